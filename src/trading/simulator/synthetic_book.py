"""The book that stands for everybody else: levels around the last traded price.

It is rebuilt after each tick, and only when somebody asks. What accounts take from it stays taken
until the next tick, so two market orders in a row do not meet the same liquidity twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Protocol

from trading.model.market import Instrument
from trading.model.order import ZERO, Side
from trading.simulator.book_config import BookShapeConfig

BPS = Decimal("0.0001")


@dataclass(slots=True)
class Level:
    """A price and what is left of the quantity there."""

    price: Decimal
    quantity: Decimal


class MarketBook(Protocol):
    """The book of everybody else, whom accounts' orders meet."""

    @property
    def last_price(self) -> Decimal | None: ...

    def move_to(self, last_price: Decimal) -> None: ...

    def side(self, side: Side) -> list[Level]: ...

    def queue_at(self, side: Side, price: Decimal) -> Decimal: ...


class SyntheticBook:
    """Bids strictly below the last price, asks strictly above it."""

    def __init__(self, instrument: Instrument, shape: BookShapeConfig) -> None:
        self._instrument = instrument
        self._shape = shape
        self._last: Decimal | None = None
        self._sides: dict[Side, list[Level]] | None = None

    @property
    def last_price(self) -> Decimal | None:
        return self._last

    def move_to(self, last_price: Decimal) -> None:
        """Re-centre on a new last price; the levels are built when next asked for."""
        self._last = last_price
        self._sides = None

    def side(self, side: Side) -> list[Level]:
        """Bids (BUY) or asks (SELL), best first. Takers reduce the levels in place."""
        if self._last is None:
            return []
        if self._sides is None:
            self._sides = {side: self._build(self._last, side) for side in Side}
        return self._sides[side]

    def queue_at(self, side: Side, price: Decimal) -> Decimal:
        """Quantity that rests before an order placed now at ``price``; 0 if it is the best price.

        The levels are a coarse picture of a dense book, so a price between or beyond them is
        given the quantity of the nearest better level.
        """
        queue = ZERO
        for level in self.side(side):
            better = level.price >= price if side is Side.BUY else level.price <= price
            if not better:
                break
            queue = level.quantity
        return queue

    def _build(self, last: Decimal, side: Side) -> list[Level]:
        tick = self._instrument.tick_size
        step = self._instrument.step_size
        sign = -1 if side is Side.BUY else 1
        half_spread = last * self._shape.spread_bps * BPS / 2
        spacing = max(tick, last * self._shape.level_spacing_bps * BPS)
        notional = self._shape.level_notional
        # Strictly beyond the last price: an account's order resting there must not be crossed.
        edge = self._instrument.round_price(last, up=sign > 0)
        if edge == last:
            edge += sign * tick
        levels: list[Level] = []
        for index in range(self._shape.levels):
            wanted = last + sign * (half_spread + index * spacing)
            price = self._instrument.round_price(wanted, up=sign > 0)
            price = max(price, edge) if sign > 0 else min(price, edge)
            if price <= 0:
                break
            quantity = (notional / price / step).to_integral_value(ROUND_DOWN) * step
            levels.append(Level(price, max(quantity, step)))
            edge = price + sign * tick
            notional *= self._shape.depth_decay
        return levels
