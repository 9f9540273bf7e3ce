"""The account's money as the core sees it."""

from __future__ import annotations

from decimal import Decimal

from trading.model.base import ValueModel
from trading.model.order import Balance, OrderReport, Position


class EquityPoint(ValueModel):
    """What the account was worth at one moment, in the quote asset.

    ``without_breaker``: what it would be worth had the breaker not acted, where that is known.
    ``benchmark_price``: the price then of what holding is measured by.
    """

    time_ms: int
    equity: Decimal
    cash: Decimal
    without_breaker: Decimal | None = None
    benchmark_price: Decimal | None = None


class Portfolio(ValueModel):
    """Money as it stands, in the quote asset unless said."""

    quote_asset: str
    equity: Decimal
    free: Decimal
    balances: tuple[Balance, ...]
    positions: tuple[Position, ...]
    open_orders: tuple[OrderReport, ...]
    reserved_exposure: Decimal
    exposure: Decimal
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    prices: dict[str, Decimal]
