"""The rules behind the guardian crew's two tasks."""

from __future__ import annotations

from typing import Any, Literal

from agents.config import RulePolicyConfig
from agents.outputs import GuardianAssessment, IncidentReport, RecoveryAssessment
from agents.rules.view import Step, TaskView, ToolCall, explain

_CRASH_AT = 1.0


def guardian_assessment(view: TaskView, policy: RulePolicyConfig) -> Step:
    """Look at the drawdowns and warn early.

    The rules never trip: whatever they could see in numbers the core's detector has already
    judged, and a second trip for the same fall would undo an operator's override.
    """
    drawdown = view.results.get("calculate_market_drawdown")
    if drawdown is None:
        return [ToolCall("calculate_market_drawdown", {"symbol": view.data["btc_symbol"]})]
    if not drawdown["ok"]:
        return _assessment("none", "high", 0.0, [f"no drawdown: {drawdown['message']}"])
    status = view.data["breaker"]["status"]
    share = drawdown["share_of_limit"]
    level = _level(share)
    concerns = _concerns(drawdown)
    if status in ("TRIGGERED", "RECOVERING"):
        return _assessment("none", level, share, concerns)
    if status == "SAFE" and concerns:
        if "set_circuit_breaker_warning" not in view.results:
            return [ToolCall("set_circuit_breaker_warning", {"reason": explain(concerns[0])})]
        return _assessment("warn", level, share, concerns)
    return _assessment("none", level, share, concerns)


def recovery_assessment(view: TaskView, policy: RulePolicyConfig) -> Step:
    """Read the conditions and say which are not met; nothing is recommended before all are."""
    conditions = view.results.get("assess_market_recovery_conditions")
    if conditions is None:
        return [ToolCall("assess_market_recovery_conditions", {})]
    met = bool(conditions["ok"] and conditions["met"])
    unmet = _unmet(conditions)
    recommendation: Literal["wait", "recover", "clear_latch"] = "wait"
    if met:
        latched = view.data["breaker"]["latch"] != "NONE"
        recommendation = "clear_latch" if latched else "recover"
    return RecoveryAssessment(
        recommendation=recommendation,
        conditions_met=met,
        unmet=unmet,
        confidence=0.9,
        reasoning=explain("all conditions are met" if met else f"not met: {', '.join(unmet)}"),
    )


def incident_report(view: TaskView, policy: RulePolicyConfig) -> Step:
    """What tripped the breaker, where the market stands, what an operator can do."""
    breaker, market = view.data["breaker"], view.data["market"]
    causes = list(breaker["causes"]) or [breaker["reason"] or "no cause recorded"]
    worst = market["worst_metric"]
    state = (
        f"worst crash metric {worst} at {market['share_of_limit']:.0%} of its hard limit"
        if worst
        else "no crash metric is ready"
    )
    latched = breaker["latch"] != "NONE"
    return IncidentReport(
        title=f"Trading halted in epoch {breaker['epoch']}: {causes[0]}"[:200],
        summary=explain(breaker["reason"] or "no reason recorded", state)[:3000],
        causes=causes[:10],
        recommendation=(
            "The latch needs an operator: check positions and data, then clear it with a reason."
            if latched
            else "Leave it to the rules: recovery begins when cool-down and conditions are met."
        ),
        confidence=0.9,
        reasoning=explain("put together from the breaker's record and the crash metrics"),
    )


def _level(share: float) -> Literal["calm", "elevated", "high", "crash"]:
    if share >= _CRASH_AT:
        return "crash"
    if share >= 0.8:
        return "high"
    return "elevated" if share >= 0.4 else "calm"


def _concerns(drawdown: dict[str, Any]) -> list[str]:
    found = [] if drawdown["healthy"] else [f"market data: {drawdown['problem'] or 'unhealthy'}"]
    for metric in drawdown["metrics"]:
        if metric["ready"] and metric["value"] >= metric["soft_limit"]:
            found.append(
                f"{metric['name']} {metric['value']:.2f} {metric['unit']} of "
                f"{metric['hard_limit']:g} {metric['unit']}"
            )
    return found[:10]


def _unmet(conditions: dict[str, Any]) -> list[str]:
    if not conditions["ok"]:
        return []
    return [name for name, met in conditions["conditions"].items() if not met][:20]


def _assessment(
    action: Literal["none", "warn", "trip"],
    level: Literal["calm", "elevated", "high", "crash"],
    share: float,
    concerns: list[str],
) -> GuardianAssessment:
    return GuardianAssessment(
        action=action,
        risk_level=level,
        share_of_limit=share,
        concerns=concerns[:10],
        confidence=0.9,
        reasoning=explain(f"worst crash metric at {share:.0%} of its hard limit", *concerns[:10]),
    )
