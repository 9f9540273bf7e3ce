"""The book of a real venue, for paper orders to meet instead of a synthetic one."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal

from trading.model.market import Instrument
from trading.model.order import ZERO, Side
from trading.model.signals import BookTop
from trading.simulator.synthetic_book import Level

ReadBook = Callable[[], BookTop | None]


class LiveBook:
    """Levels as the venue last told them; empty while its book is not known.

    What paper orders take stays taken until the venue's book changes: the venue knows nothing of
    them.
    """

    def __init__(self, instrument: Instrument, read: ReadBook) -> None:
        self._instrument = instrument
        self._read = read
        self._last: Decimal | None = None
        self._seen: BookTop | None = None
        self._sides: dict[Side, list[Level]] = {side: [] for side in Side}

    @property
    def last_price(self) -> Decimal | None:
        return self._last

    def move_to(self, last_price: Decimal) -> None:
        """A trade printed; the levels are the venue's to move."""
        self._last = last_price

    def side(self, side: Side) -> list[Level]:
        """Bids (BUY) or asks (SELL), best first. Takers reduce the levels in place."""
        top = self._read()
        if top != self._seen:
            self._seen = top
            self._sides = {
                Side.BUY: self._levels(top.bids if top else ()),
                Side.SELL: self._levels(top.asks if top else ()),
            }
        return self._sides[side]

    def queue_at(self, side: Side, price: Decimal) -> Decimal:
        """Quantity that rests before an order placed now at ``price``: all that is there.

        Beyond the levels that are known it is taken to be as much as on the last of them.
        """
        levels = self.side(side)
        for level in levels:
            if level.price == price:
                return level.quantity
            if (level.price < price) is (side is Side.BUY):
                return ZERO
        return levels[-1].quantity if levels else ZERO

    def _levels(self, rows: tuple[tuple[float, float], ...]) -> list[Level]:
        tick, step = self._instrument.tick_size, self._instrument.step_size
        return [
            Level(
                (Decimal(repr(price)) / tick).to_integral_value() * tick,
                (Decimal(repr(quantity)) / step).to_integral_value(ROUND_DOWN) * step,
            )
            for price, quantity in rows
        ]
