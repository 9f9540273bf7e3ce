"""What the market tells us: instruments, ticks, bars, books.

Ticks and bars carry floats, because they feed statistics millions of times a day; anything that
becomes an order, a fill or a balance is Decimal (``trading.model.order``).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_UP, Decimal

import msgspec

from trading.model.base import NonNegativeDecimal, PositiveDecimal, SymbolName, ValueModel

INTERVAL_MINUTES = {
    "1m": 1,
    "3m": 3,
    "5m": 5,
    "15m": 15,
    "30m": 30,
    "1h": 60,
    "2h": 120,
    "4h": 240,
    "6h": 360,
    "8h": 480,
    "12h": 720,
    "1d": 1440,
}
"""Lengths of bars by the name that venues give them."""


class Tick(msgspec.Struct, frozen=True, gc=False):
    """One (aggregate) trade on the tape. ``time_ms`` is the venue's event time, UTC.

    A msgspec struct, because adapters decode millions of them a day straight from the wire.
    """

    symbol: str
    price: float
    quantity: float
    time_ms: int
    is_seller_aggressor: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """Open, high, low, close and base volume of ``interval_ms`` from ``open_time_ms`` on.

    ``trades`` is their number, None where it is not known.
    """

    symbol: str
    open_time_ms: int
    interval_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int | None = None

    def __post_init__(self) -> None:
        if not (0 < self.low <= min(self.open, self.close)):
            raise ValueError(f"{self.symbol} bar at {self.open_time_ms}: low {self.low} is wrong")
        if self.high < max(self.open, self.close):
            raise ValueError(f"{self.symbol} bar at {self.open_time_ms}: high {self.high} is wrong")

    @property
    def close_time_ms(self) -> int:
        """First millisecond after the bar."""
        return self.open_time_ms + self.interval_ms


class BookLevel(ValueModel):
    """A price and the quantity resting there."""

    price: PositiveDecimal
    quantity: PositiveDecimal


class Book(ValueModel):
    """Best levels of an order book, best first on both sides."""

    symbol: SymbolName
    time_ms: int
    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]

    @property
    def mid(self) -> Decimal | None:
        """Middle of the best bid and ask; None when a side is empty."""
        if not self.bids or not self.asks:
            return None
        return (self.bids[0].price + self.asks[0].price) / 2


class Instrument(ValueModel):
    """A tradable pair and the steps the venue insists on."""

    symbol: SymbolName
    base_asset: str
    quote_asset: str
    tick_size: PositiveDecimal
    step_size: PositiveDecimal
    min_quantity: NonNegativeDecimal
    max_quantity: PositiveDecimal
    min_notional: NonNegativeDecimal
    trading: bool = True

    def round_quantity_down(self, quantity: Decimal) -> Decimal:
        """Largest multiple of the step that is not above ``quantity``."""
        return (quantity / self.step_size).to_integral_value(ROUND_DOWN) * self.step_size

    def round_price(self, price: Decimal, *, up: bool | None = None) -> Decimal:
        """Nearest tick, or the next tick up or down."""
        mode = ROUND_HALF_EVEN if up is None else ROUND_UP if up else ROUND_DOWN
        return (price / self.tick_size).to_integral_value(mode) * self.tick_size
