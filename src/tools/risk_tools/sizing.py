"""Sizes, by the core's risk engine: nothing is reserved or sent."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Any, ClassVar

from pydantic import Field

from tools.base import SYMBOL_PATTERN, ToolArguments, ToolClass, TradingTool
from tools.proposals import TradeArguments, build_proposal, require_spike_run
from tools.run_context import RunContext
from trading.api.client import TradingClient
from trading.errors import DecisionRejectedError
from trading.model.breaker import BreakerSnapshot
from trading.model.decision import RiskPreview
from trading.model.spike import Spike

CENT = Decimal("0.01")


class PositionSizeArguments(ToolArguments):
    symbol: str = Field(pattern=SYMBOL_PATTERN, description="The pair that spiked.")
    stop_loss_pct: float = Field(gt=0, lt=50, description="Stop distance below the entry, in %.")
    take_profit_pct: float = Field(gt=0, lt=500, description="Target above the entry, in %.")
    confidence: float = Field(ge=0, le=1, description="How sure, 0 to 1.")


def preview_fields(preview: RiskPreview) -> dict[str, Any]:
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


def preview_size(
    client: TradingClient,
    run: RunContext,
    spike: Spike,
    arguments: PositionSizeArguments,
    ceiling: Decimal,
) -> RiskPreview:
    """What the risk engine says to a trade of at most ``ceiling`` (quote asset)."""
    probe = TradeArguments(
        symbol=spike.symbol,
        notional=float(ceiling),
        stop_loss_pct=arguments.stop_loss_pct,
        take_profit_pct=arguments.take_profit_pct,
        confidence=arguments.confidence,
        reasoning="size probe",
    )
    return client.preview_trade(build_proposal(run, spike, probe, client.now_ms(), ceiling))


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
            **preview_fields(self._client.preview_trade(proposal)),
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
        ceiling = portfolio.free.quantize(CENT, ROUND_DOWN)
        if ceiling <= 0:
            raise DecisionRejectedError("no_funds", f"no free {portfolio.quote_asset}")
        preview = preview_size(self._client, run, spike, arguments, ceiling)
        # The engine applies the breaker's multiplier to whatever is asked of it, so the size to ask
        # for is the one before it.
        multiplier = Decimal(str(preview.size_multiplier))
        request = preview.notional / multiplier if multiplier > 0 else Decimal(0)
        return {
            "symbol": spike.symbol,
            "free": float(portfolio.free),
            "notional_to_request": float(min(request, ceiling).quantize(CENT, ROUND_DOWN)),
            **preview_fields(preview),
        }
