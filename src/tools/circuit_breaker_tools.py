"""The eight tools around the circuit breaker: a model may tighten, and only recommend to ease."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from tools.base import NoArguments, ToolArguments, ToolClass, TradingTool
from trading.api.schemas import ActivityEntry, CommandResult, TripCommand, WarnCommand
from trading.errors import MarketDataError
from trading.model.breaker import Actor, BreakerSnapshot, BreakerStatus

SHOWN_REASON = 400  # characters of a recommendation's reason in the activity feed


class ReasonArguments(ToolArguments):
    """Any text: a halt is not refused for how its reason reads."""

    reason: str = Field(description="Why, with the numbers; a sentence or two.")


class DrawdownArguments(ToolArguments):
    symbol: str = Field(
        default="BTCUSDT", pattern=r"^[A-Z0-9]{3,20}$", description="Pair, such as BTCUSDT."
    )


def breaker_fields(snapshot: BreakerSnapshot) -> dict[str, Any]:
    """The parts of a snapshot that an agent can use."""
    return {
        "status": snapshot.status.value,
        "epoch": snapshot.epoch,
        "latch": snapshot.latch.value,
        "stage": snapshot.stage,
        "causes": list(snapshot.causes),
        "reason": snapshot.reason,
        "entries_allowed": snapshot.allows_entries,
        "size_multiplier": snapshot.size_multiplier,
        "trips_24h": snapshot.trips_24h,
    }


def _outcome(result: CommandResult) -> dict[str, Any]:
    """What a command did, and the breaker after it."""
    return {
        "applied": result.applied,
        "message": result.message,
        "after": breaker_fields(result.snapshot),
    }


class CheckCircuitBreakerStatus(TradingTool):
    name: str = "check_circuit_breaker_status"
    description: str = (
        "The circuit breaker now: status, epoch, causes, and whether entries are allowed."
    )
    args_schema: Any = NoArguments
    tool_class: ClassVar[ToolClass] = ToolClass.READ

    def perform(self, arguments: NoArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        return breaker_fields(snapshot)


class TriggerCircuitBreaker(TradingTool):
    name: str = "trigger_circuit_breaker"
    description: str = (
        "Halt all trading now, for what the numeric rules do not show. Holds for a short time "
        "only, unless a rule confirms it."
    )
    args_schema: Any = ReasonArguments
    tool_class: ClassVar[ToolClass] = ToolClass.CONTROL

    def perform(self, arguments: ReasonArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        result = self._client.trip(TripCommand(reason=arguments.reason, actor=Actor.LLM))
        return _outcome(result)


class SetCircuitBreakerWarning(TradingTool):
    name: str = "set_circuit_breaker_warning"
    description: str = "Raise SAFE to WARNING: position sizes halve."
    args_schema: Any = ReasonArguments
    tool_class: ClassVar[ToolClass] = ToolClass.CONTROL

    def perform(self, arguments: ReasonArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        result = self._client.warn(WarnCommand(reason=arguments.reason, actor=Actor.LLM))
        return _outcome(result)


class CalculateMarketDrawdown(TradingTool):
    name: str = "calculate_market_drawdown"
    description: str = (
        "Falls from the rolling highs: of one pair over every window, and all crash metrics "
        "against their limits."
    )
    args_schema: Any = DrawdownArguments
    tool_class: ClassVar[ToolClass] = ToolClass.READ

    def perform(self, arguments: DrawdownArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        market = self._client.market()
        result: dict[str, Any] = {
            "symbol": arguments.symbol,
            "healthy": market.healthy,
            "problem": market.problem,
            "share_of_limit": round(market.share_of_limit, 4),
            "worst_metric": market.worst.name if market.worst else None,
            "metrics": [
                {
                    "name": metric.name,
                    "value": round(metric.value, 4),
                    "hard_limit": metric.hard_limit,
                    "soft_limit": metric.soft_limit,
                    "unit": metric.unit,
                    "ready": metric.ready,
                }
                for metric in market.metrics
            ],
        }
        try:
            stats = self._client.symbol_stats(arguments.symbol)
        except MarketDataError as error:
            return {**result, "drawdown_pct": None, "note": str(error)}
        ready = {name: window for name, window in stats.windows.items() if window.ready}
        return {
            **result,
            "drawdown_pct": {name: round(w.drawdown_pct, 4) for name, w in ready.items()},
            "last_price": stats.last_price,
        }


class _RecommendEasing(TradingTool):
    """Easing by a model: never done, only written down with the conditions for an operator."""

    args_schema: Any = ReasonArguments
    tool_class: ClassVar[ToolClass] = ToolClass.CONTROL
    step: ClassVar[str]

    def refusal(self, snapshot: BreakerSnapshot) -> str | None:
        return None  # it changes nothing, so there is nothing to refuse

    def perform(self, arguments: ReasonArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        conditions = self._client.recovery_conditions()
        applicable = snapshot.status in (BreakerStatus.TRIGGERED, BreakerStatus.RECOVERING)
        if applicable:
            met = "all conditions are met" if conditions.met else "not all conditions are met"
            self._client.record_activity(
                ActivityEntry(
                    time_ms=self._client.now_ms(),
                    source="guardian",
                    text=f"recommends: {self.step} ({met}): {arguments.reason[:SHOWN_REASON]}",
                    level="notice",
                )
            )
        return {
            "applied": False,
            "recommended": applicable,
            "message": (
                f"A model cannot {self.step}. Recovery begins by rule when its conditions are "
                "met; clearing is the operator's."
            ),
            "conditions_met": conditions.met,
            "conditions": conditions.conditions,
            "explanations": conditions.explanations,
            "cooldown_remaining_s": conditions.cooldown_remaining_s,
        }


class StartCircuitBreakerRecovery(_RecommendEasing):
    name: str = "start_circuit_breaker_recovery"
    description: str = (
        "Recommend that recovery begins, and see its conditions. It begins by rule, not by you."
    )
    step: ClassVar[str] = "start recovery"


class ClearCircuitBreaker(_RecommendEasing):
    name: str = "clear_circuit_breaker"
    description: str = (
        "Recommend to the operator that the breaker is cleared, and see what stands against it."
    )
    step: ClassVar[str] = "clear the breaker"


class GetCircuitBreakerStatistics(TradingTool):
    name: str = "get_circuit_breaker_statistics"
    description: str = "Trips, false trips, downtime and capital saved over the store's life."
    args_schema: Any = NoArguments
    tool_class: ClassVar[ToolClass] = ToolClass.READ

    def perform(self, arguments: NoArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        return self._client.breaker_statistics().model_dump(mode="json")


class AssessMarketRecoveryConditions(TradingTool):
    name: str = "assess_market_recovery_conditions"
    description: str = "Each condition of recovery, met or not, with its value in words."
    args_schema: Any = NoArguments
    tool_class: ClassVar[ToolClass] = ToolClass.READ

    def perform(self, arguments: NoArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        return self._client.recovery_conditions().model_dump(mode="json")
