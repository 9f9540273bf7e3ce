"""What the account has at stake."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from tools import analytics, risk_math
from tools.base import NoArguments, ToolClass, TradingTool
from trading.errors import MarketDataError
from trading.model.breaker import BreakerSnapshot
from trading.model.order import Position

_HUNDRED = Decimal(100)


def _position_fields(position: Position, price: Decimal) -> dict[str, Any]:
    value = position.quantity * price
    entry, stop = position.average_entry_price, position.stop_price
    at_stake = None if stop is None else max(Decimal(0), (price - stop) * position.quantity)
    return {
        "symbol": position.symbol,
        "value": analytics.rounded(value, 2),
        "price": float(price),
        "entry_price": float(entry),
        "unrealized_pnl": analytics.rounded((price - entry) * position.quantity, 2),
        "unrealized_pct": analytics.rounded((price / entry - 1) * _HUNDRED) if entry else None,
        "stop_price": None if stop is None else float(stop),
        "stop_distance_pct": (
            None if stop is None else analytics.rounded((1 - stop / price) * _HUNDRED)
        ),
        "loss_at_stop": None if at_stake is None else analytics.rounded(at_stake, 2),
    }


class AnalyzePortfolio(TradingTool):
    name: str = "analyze_portfolio"
    description: str = (
        "Each position's value, result, stop and loss at its stop; exposure, concentration and "
        "what of the equity would be lost if every stop were hit."
    )
    args_schema: Any = NoArguments
    tool_class: ClassVar[ToolClass] = ToolClass.READ

    def perform(self, arguments: NoArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        portfolio = self._client.portfolio()
        held = [position for position in portfolio.positions if position.quantity > 0]
        if unpriced := sorted({one.symbol for one in held} - set(portfolio.prices)):
            raise MarketDataError(f"no price of {', '.join(unpriced)}: nothing can be said")
        fields = [_position_fields(one, portfolio.prices[one.symbol]) for one in held]
        values = [one["value"] for one in fields]
        at_stake = [one["loss_at_stop"] for one in fields if one["loss_at_stop"] is not None]
        equity = float(portfolio.equity)

        def of_equity(amount: float) -> float | None:
            return analytics.rounded(amount / equity * 100) if equity > 0 else None

        return {
            "quote_asset": portfolio.quote_asset,
            "equity": equity,
            "free": float(portfolio.free),
            "exposure_pct": of_equity(float(portfolio.exposure)),
            "reserved_pct": of_equity(float(portfolio.reserved_exposure)),
            "realized_pnl": float(portfolio.realized_pnl),
            "unrealized_pnl": float(portfolio.unrealized_pnl),
            "positions": fields,
            "largest_position_pct": of_equity(max(values, default=0.0)),
            "concentration": analytics.rounded(risk_math.concentration(values)),
            "loss_if_all_stops_pct": of_equity(sum(at_stake)),
            "without_stop": [one["symbol"] for one in fields if one["stop_price"] is None],
        }
