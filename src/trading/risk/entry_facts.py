"""What the rules for a sized entry judge by. Nothing of it comes from the proposal's own words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from trading.model.market import Book
from trading.model.order import ZERO

HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class AccountView:
    """The account at one moment, in the quote asset.

    ``cash`` is what is held of the quote asset, locked or not; ``open_notional`` is the positions'
    value by symbol. The opening equities are those of the UTC day and of the week that began on
    Monday, ``peak_equity`` the highest ever seen; None where it is not known yet.
    """

    equity: Decimal
    cash: Decimal
    day_start_equity: Decimal
    open_notional: Mapping[str, Decimal]
    week_start_equity: Decimal | None = None
    peak_equity: Decimal | None = None

    @property
    def daily_loss_pct(self) -> Decimal:
        """Loss since the start of the UTC day in % of the equity then; negative for a gain."""
        return _loss_pct(self.day_start_equity, self.equity)

    @property
    def weekly_loss_pct(self) -> Decimal:
        """Loss since the start of the week in % of the equity then; negative for a gain."""
        return _loss_pct(self.week_start_equity, self.equity)

    @property
    def drawdown_pct(self) -> Decimal:
        """How far the equity is below its peak, in % of the peak."""
        return max(_loss_pct(self.peak_equity, self.equity), ZERO)


def _loss_pct(before: Decimal | None, now: Decimal) -> Decimal:
    if before is None or before <= 0:
        return ZERO
    return (before - now) / before * HUNDRED


@dataclass(frozen=True, slots=True)
class TradeHistory:
    """Profits of closed trades, newest first, and when the newest was closed."""

    profits: Sequence[Decimal] = ()
    last_closed_at_ms: int | None = None

    @property
    def losing_streak(self) -> int:
        """How many of the newest trades lost in a row."""
        streak = 0
        for profit in self.profits:
            if profit >= 0:
                break
            streak += 1
        return streak


@dataclass(frozen=True, slots=True)
class MarketConditions:
    """The market of one pair just before an entry; None where it cannot be told.

    ``volatility_pct`` is the standard deviation of one-minute returns over the last hour,
    ``quote_volume_1h`` what was traded in it, in the quote asset. ``correlations`` are those of
    one-minute returns with the pairs that were asked about, by symbol; ``book`` is the venue's.
    """

    symbol: str
    volatility_pct: float | None = None
    quote_volume_1h: float | None = None
    correlations: Mapping[str, float | None] = field(default_factory=dict)
    book: Book | None = None


ReadConditions = Callable[[str, Sequence[str]], Awaitable[MarketConditions]]
"""Conditions of a pair, with its correlations to the named others; the book is left out."""


@dataclass(frozen=True, slots=True)
class EntryOrder:
    """An entry that has its size. ``limit_price`` is the most it may pay."""

    symbol: str
    quantity: Decimal
    limit_price: Decimal
    last_price: Decimal
    takes_liquidity: bool = True

    @property
    def notional(self) -> Decimal:
        """The most that it costs, in the quote asset."""
        return self.quantity * self.limit_price


@dataclass(frozen=True, slots=True)
class SentEntry:
    """An entry of the last hour."""

    time_ms: int
    symbol: str


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """Everything known in the moment of the check, under the reservations' lock."""

    now_ms: int
    order: EntryOrder
    account: AccountView
    reserved: Mapping[str, Decimal]
    history: TradeHistory
    market: MarketConditions
    sent: Sequence[SentEntry]  # oldest first

    @property
    def promised(self) -> Decimal:
        """Reserved by all orders under way."""
        return sum(self.reserved.values(), ZERO)

    @property
    def exposure_by_symbol(self) -> dict[str, Decimal]:
        """Open positions and reservations, without this order."""
        totals = dict(self.account.open_notional)
        for symbol, notional in self.reserved.items():
            totals[symbol] = totals.get(symbol, ZERO) + notional
        return totals

    def sent_since(self, time_ms: int, symbol: str | None = None) -> int:
        """Entries sent after ``time_ms``, of one pair where named."""
        return sum(
            entry.time_ms > time_ms and (symbol is None or entry.symbol == symbol)
            for entry in self.sent
        )
