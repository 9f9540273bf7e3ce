"""Tools that ask the core's risk engine, without reserving or sending anything."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Any, ClassVar

from pydantic import Field

from tools.base import NoArguments, ToolArguments, ToolClass, TradingTool
from tools.proposals import TradeArguments, build_proposal, require_spike_run
from trading.errors import DecisionRejectedError
from trading.model.breaker import BreakerSnapshot, BreakerStatus
from trading.model.decision import RiskPreview

_CENT = Decimal("0.01")


class PositionSizeArguments(ToolArguments):
    symbol: str = Field(pattern=r"^[A-Z0-9]{3,20}$", description="The pair that spiked.")
    stop_loss_pct: float = Field(gt=0, lt=50, description="Stop distance below the entry, in %.")
    take_profit_pct: float = Field(gt=0, lt=500, description="Target above the entry, in %.")
    confidence: float = Field(ge=0, le=1, description="How sure, 0 to 1.")


def _preview_fields(preview: RiskPreview) -> dict[str, Any]:
    return {
        "approved": preview.approved,
        "rule": preview.rule,
        "reason": preview.reason,
        "approved_notional": float(preview.notional),
        "quantity": str(preview.quantity),
        "size_multiplier": preview.size_multiplier,
        "risk_amount": float(preview.risk_amount),
        "equity": float(preview.equity),
        "exposure": float(preview.exposure),
        "max_exposure": float(preview.max_exposure),
    }


class EvaluateTradeRisk(TradingTool):
    name: str = "evaluate_trade_risk"
    description: str = (
        "Would the risk engine accept exactly this trade now, and at what size? Must approve "
        "before an entry with the same numbers can be placed."
    )
    args_schema: Any = TradeArguments
    tool_class: ClassVar[ToolClass] = ToolClass.ANALYSE

    def perform(self, arguments: TradeArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        run, spike = require_spike_run(arguments.symbol)
        notional = Decimal(str(arguments.notional))
        proposal = build_proposal(run, spike, arguments, self._client.now_ms(), notional)
        return {
            "symbol": spike.symbol,
            "requested_notional": arguments.notional,
            "stop_loss_pct": arguments.stop_loss_pct,
            "take_profit_pct": arguments.take_profit_pct,
            **_preview_fields(self._client.preview_trade(proposal)),
        }


class CalculatePositionSize(TradingTool):
    name: str = "calculate_position_size"
    description: str = (
        "The largest size the risk engine allows for a trade with this stop, all limits and the "
        "breaker's size cap considered."
    )
    args_schema: Any = PositionSizeArguments
    tool_class: ClassVar[ToolClass] = ToolClass.ANALYSE

    def perform(
        self, arguments: PositionSizeArguments, snapshot: BreakerSnapshot
    ) -> dict[str, Any]:
        run, spike = require_spike_run(arguments.symbol)
        portfolio = self._client.portfolio()
        ceiling = portfolio.free.quantize(_CENT, ROUND_DOWN)
        if ceiling <= 0:
            raise DecisionRejectedError("no_funds", f"no free {portfolio.quote_asset}")
        probe = TradeArguments(
            symbol=spike.symbol,
            notional=float(ceiling),
            stop_loss_pct=arguments.stop_loss_pct,
            take_profit_pct=arguments.take_profit_pct,
            confidence=arguments.confidence,
            reasoning="size probe",
        )
        proposal = build_proposal(run, spike, probe, self._client.now_ms(), ceiling)
        preview = self._client.preview_trade(proposal)
        # The engine applies the breaker's multiplier to whatever is asked of it, so the size to ask
        # for is the one before it.
        multiplier = Decimal(str(preview.size_multiplier))
        request = preview.notional / multiplier if multiplier > 0 else Decimal(0)
        return {
            "symbol": spike.symbol,
            "free": float(portfolio.free),
            "notional_to_request": float(min(request, ceiling).quantize(_CENT, ROUND_DOWN)),
            **_preview_fields(preview),
        }


class CheckMarketStability(TradingTool):
    name: str = "check_market_stability"
    description: str = (
        "Is the whole market calm enough for an entry: data health, the worst crash metric "
        "against its limit, breadth, and the breaker."
    )
    args_schema: Any = NoArguments
    tool_class: ClassVar[ToolClass] = ToolClass.READ

    def perform(self, arguments: NoArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        market = self._client.market()
        worst = market.worst
        problems = []
        if not market.healthy:
            problems.append(f"market data: {market.problem or 'unhealthy'}")
        if any(metric.is_breached for metric in market.metrics):
            breached = ", ".join(m.name for m in market.metrics if m.is_breached)
            # After a crash the windows still hold the fall; the breaker's stages govern then.
            if snapshot.status is not BreakerStatus.RECOVERING:
                problems.append(f"hard limit reached: {breached}")
        if not snapshot.allows_entries:
            problems.append(f"the breaker is {snapshot.status}")
        return {
            "stable": not problems,
            "problems": problems,
            "share_of_limit": round(market.share_of_limit, 4),
            "worst_metric": worst.name if worst else None,
            "worst_value": round(worst.value, 4) if worst else None,
            "breadth_falling": market.breadth_falling,
            "breadth_tracked": market.breadth_tracked,
            "feed_age_ms": market.feed_age_ms,
            "size_multiplier": snapshot.size_multiplier,
        }
