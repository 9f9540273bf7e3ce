"""Plain-code checks of what the agents claim: numbers must be those on record, a "no" is final."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from agents.config import RulePolicyConfig
from agents.outputs import (
    AgentOutput,
    ContextAnalysis,
    ExecutionDecision,
    RiskEvaluation,
    SpikeDetectionReport,
    StabilityReport,
)
from crews.spike_trading.outside import TOOLS as OUTSIDE_TOOLS
from crews.spike_trading.outside import most_confidence
from tools.run_context import RunContext
from trading.model.spike import Spike

_TOLERANCE = 0.01  # of the claimed number's own unit: agents may round


def _differs(claimed: float, recorded: float | None) -> bool:
    return recorded is None or not math.isclose(claimed, recorded, abs_tol=_TOLERANCE)


def check_detection(output: SpikeDetectionReport, run: RunContext, spike: Spike) -> list[str]:
    problems = []
    if output.symbol != spike.symbol:
        problems.append(f"claims {output.symbol}, the spike is on {spike.symbol}")
    if output.direction != spike.direction.value:
        problems.append(f"claims direction {output.direction}, recorded is {spike.direction}")
    if _differs(output.magnitude_pct, spike.magnitude_pct):
        problems.append(f"claims {output.magnitude_pct} %, recorded is {spike.magnitude_pct} %")
    return problems


def check_stability(output: StabilityReport, run: RunContext, spike: Spike) -> list[str]:
    recorded = run.last("check_market_stability") or {}
    problems = []
    if output.stable and not recorded.get("stable", False):
        problems.append("calls the market stable, the recorded check does not")
    if _differs(output.share_of_limit, recorded.get("share_of_limit")):
        problems.append(
            f"claims {output.share_of_limit} of a limit, recorded is "
            f"{recorded.get('share_of_limit')}"
        )
    return problems


def check_context(output: ContextAnalysis, run: RunContext, spike: Spike) -> list[str]:
    recorded = run.last("analyze_spike_context") or {}
    problems = []
    if output.symbol != spike.symbol:
        problems.append(f"claims {output.symbol}, the spike is on {spike.symbol}")
    for name in ("isolated_share", "pump_and_dump_likelihood"):
        claimed = getattr(output, name)
        if _differs(claimed, recorded.get(name)):
            problems.append(f"claims {name} {claimed}, recorded is {recorded.get(name)}")
    unknown = [name for name in OUTSIDE_TOOLS if not (run.last(name) or {}).get("available")]
    if output.confidence > most_confidence(unknown) + _TOLERANCE:
        problems.append(
            f"claims confidence {output.confidence}, {most_confidence(unknown)} is the most with "
            f"{len(unknown)} outside sources unknown"
        )
    if output.favourable and output.classification != "momentum":
        problems.append(f"calls {output.classification} favourable")
    return problems


def check_risk(output: RiskEvaluation, run: RunContext, spike: Spike) -> list[str]:
    problems = []
    if output.symbol != spike.symbol:
        problems.append(f"claims {output.symbol}, the spike is on {spike.symbol}")
    if not output.approved:
        return problems
    recorded = run.last("evaluate_trade_risk")
    if recorded is None or not recorded["approved"]:
        return [*problems, "approves what the risk engine has not approved in this run"]
    pairs = (
        ("notional", "requested_notional"),
        ("stop_loss_pct", "stop_loss_pct"),
        ("take_profit_pct", "take_profit_pct"),
    )
    for claimed_name, recorded_name in pairs:
        claimed = getattr(output, claimed_name)
        if _differs(claimed, recorded[recorded_name]):
            problems.append(
                f"claims {claimed_name} {claimed}, approved was {recorded[recorded_name]}"
            )
    return problems


def check_execution(output: ExecutionDecision, run: RunContext, spike: Spike) -> list[str]:
    problems = []
    if output.symbol != spike.symbol:
        problems.append(f"claims {output.symbol}, the spike is on {spike.symbol}")
    sent = entry_result(run)
    if output.action == "enter" and sent is None:
        problems.append("claims an entry that no tool confirmed")
    if output.action == "enter" and sent and output.client_order_id != sent["client_order_id"]:
        problems.append(f"claims order {output.client_order_id}, sent {sent['client_order_id']}")
    if output.action != "enter" and sent is not None:
        problems.append(f"claims {output.action}, but sent {sent['client_order_id']}")
    waits = approval_wanted(run) is not None
    if output.action == "await_approval" and not waits:
        problems.append("claims to wait for an approval that nobody was asked for")
    if output.action == "abstain" and waits:
        problems.append("claims to have abstained, but its entry waits for a person's approval")
    return problems


CHECKS: Mapping[str, Callable[[Any, RunContext, Spike], list[str]]] = {
    "spike_detection": check_detection,
    "stability_check": check_stability,
    "context_analysis": check_context,
    "risk_evaluation": check_risk,
    "execution": check_execution,
}


def problems_of(name: str, output: AgentOutput | None, run: RunContext, spike: Spike) -> list[str]:
    """What is wrong with the output of task ``name``; a missing one is a problem too."""
    if output is None:
        return ["gave no answer of the right form"]
    return CHECKS[name](output, run, spike)


def entry_result(run: RunContext) -> dict[str, Any] | None:
    """The core's answer to this run's entry, if it left or may have left."""
    result = run.last("place_entry_order")
    return result if result is not None and result["outcome"] in ("accepted", "unknown") else None


def approval_wanted(run: RunContext) -> dict[str, Any] | None:
    """The core's answer to this run's entry, if a person has to approve it first."""
    result = run.last("place_entry_order")
    waits = result is not None and result["outcome"] == "awaiting_approval"
    return result if waits else None


def objection(output: AgentOutput, policy: RulePolicyConfig, spike: Spike) -> str | None:
    """What a sound output has against an entry; None when it has nothing."""
    match output:
        case SpikeDetectionReport(confirmed=False):
            return "spike not confirmed"
        case SpikeDetectionReport() if min(output.confidence, spike.confidence) < (
            policy.min_confidence
        ):
            return f"confidence {min(output.confidence, spike.confidence):.2f} is too low"
        case StabilityReport(stable=False):
            return f"market unsafe: {'; '.join(output.concerns) or output.reasoning}"
        case ContextAnalysis(favourable=False):
            return f"context: {output.classification}"
        case ContextAnalysis() if output.pump_and_dump_likelihood > (
            policy.max_pump_and_dump_likelihood
        ):
            return f"pump likelihood {output.pump_and_dump_likelihood:.2f}"
        case RiskEvaluation(approved=False):
            return f"risk veto: {output.reasoning}"
        case ExecutionDecision(action="abstain"):
            return f"executor abstained: {output.reasoning}"
    return None
