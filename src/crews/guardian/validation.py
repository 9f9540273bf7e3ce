"""Plain-code checks of what the guardian claims: actions and numbers must be on record."""

from __future__ import annotations

from agents.outputs import AgentOutput, GuardianAssessment, RecoveryAssessment
from tools.run_context import RunContext

_ACTED_BY = {"warn": "set_circuit_breaker_warning", "trip": "trigger_circuit_breaker"}
_RECOMMENDED_BY = {
    "recover": "start_circuit_breaker_recovery",
    "clear_latch": "clear_circuit_breaker",
}
_TOLERANCE = 0.01  # of a share: agents may round


def problems_of(output: AgentOutput, run: RunContext) -> list[str]:
    """Claims that no recorded tool result bears out."""
    match output:
        case GuardianAssessment():
            return _of_assessment(output, run)
        case RecoveryAssessment():
            return _of_recovery(output, run)
    return []


def _of_assessment(output: GuardianAssessment, run: RunContext) -> list[str]:
    problems = []
    tool = _ACTED_BY.get(output.action)
    if tool is not None and run.last(tool) is None:
        problems.append(f"claims to have used {tool}, which is not on record")
    drawdown = run.last("calculate_market_drawdown")
    if drawdown is None:
        if not run.called("calculate_market_drawdown"):
            problems.append("has not called calculate_market_drawdown")
    elif abs(drawdown["share_of_limit"] - output.share_of_limit) > _TOLERANCE:
        problems.append(
            f"claims {output.share_of_limit} of a limit, recorded is {drawdown['share_of_limit']}"
        )
    return problems


def _of_recovery(output: RecoveryAssessment, run: RunContext) -> list[str]:
    recorded = run.last("assess_market_recovery_conditions")
    if recorded is None:
        if run.called("assess_market_recovery_conditions"):
            return [] if output.recommendation == "wait" else ["recommends without conditions"]
        return ["has not called assess_market_recovery_conditions"]
    problems = []
    if output.conditions_met != recorded["met"]:
        problems.append(f"claims conditions_met {output.conditions_met}, recorded is the contrary")
    unmet = {name for name, met in recorded["conditions"].items() if not met}
    if invented := set(output.unmet) - unmet:
        problems.append(f"claims unmet: {', '.join(sorted(invented))}, which is not on record")
    if output.recommendation != "wait" and not recorded["met"]:
        problems.append(f"recommends {output.recommendation} while conditions are not met")
    return problems
