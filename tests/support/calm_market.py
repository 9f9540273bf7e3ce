"""The conditions of a market in which every entry may pass."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from trading.model.market import Book, BookLevel
from trading.risk.entry_facts import MarketConditions

# Wide enough for whatever a test counts that is not about pace, sectors and alikeness.
UNHURRIED = {
    "max_orders_per_hour": 10_000,
    "max_symbol_entries_per_hour": 10_000,
    "max_proposals_per_minute": 10_000,
    "max_losing_streak": 100,
    "max_sector_exposure_pct": 100.0,
    "cash_reserve_pct": 0.0,
}


class Uncorrelated(dict[str, float | None]):
    """No pair moves with any other."""

    def get(self, key: str, default: object = None) -> float | None:  # type: ignore[override]
        return 0.0


async def calm(symbol: str, others: Sequence[str]) -> MarketConditions:
    """Little moves, much trades, and no pair moves with another; the book is the venue's."""
    return MarketConditions(
        symbol=symbol,
        volatility_pct=0.1,
        quote_volume_1h=1e12,
        correlations=Uncorrelated(),
    )


def market(symbol: str) -> MarketConditions:
    """The same with a deep book around a price of 1."""
    return MarketConditions(
        symbol=symbol,
        volatility_pct=0.1,
        quote_volume_1h=1e12,
        correlations=Uncorrelated(),
        book=deep_book(symbol, 1.0),
    )


def deep_book(symbol: str, price: float) -> Book:
    """Any quantity 0.1 % from ``price``."""
    last, endless = Decimal(str(price)), Decimal(10**9)
    return Book(
        symbol=symbol,
        time_ms=0,
        bids=(BookLevel(price=last * Decimal("0.999"), quantity=endless),),
        asks=(BookLevel(price=last * Decimal("1.001"), quantity=endless),),
    )
