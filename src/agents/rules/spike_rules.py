"""The rules behind the five tasks of the spike-trading crew."""

from __future__ import annotations

import math
from typing import Any, Literal

from agents.config import RulePolicyConfig
from agents.outputs import (
    ContextAnalysis,
    ExecutionDecision,
    RiskEvaluation,
    SpikeDetectionReport,
    StabilityReport,
)
from agents.rules.view import Step, TaskView, ToolCall, explain

_CRASH_AT = 1.0  # share of a crash metric's hard limit
_BUSY = 2.0  # times the usual volume
_ISOLATED_ENOUGH = 0.35  # below, the market explains most of the move
_GIVEN_BACK = 0.5  # beyond, the move is over


def spike_detection(view: TaskView, policy: RulePolicyConfig) -> Step:
    """Confirmed when the pair's own window moves the spike's way, or has the reported volume."""
    spike, window = view.data["spike"], view.data["window"]
    # What a book, a future or a liquidation foretells has to show in the price as well.
    same_way = window["return_pct"] > 0 if spike["direction"] == "up" else window["return_pct"] < 0
    busy = window["volume_multiple"] >= _BUSY
    confirmed = window["ready"] and (same_way or (spike["type"] == "volume" and busy))
    return SpikeDetectionReport(
        symbol=spike["symbol"],
        confirmed=confirmed,
        direction=spike["direction"],
        magnitude_pct=spike["magnitude_pct"],
        confidence=spike["confidence"] if confirmed else 0.0,
        reasoning=explain(
            f"{spike['type']} spike {spike['direction']} of {spike['magnitude_pct']:.2f} % in "
            f"{spike['timeframe_minutes']} min ({spike['severity']}): {spike['evidence']}",
            f"the {window['window']} window returns {window['return_pct']:.2f} % at "
            f"{window['volume_multiple']:.1f} times the usual volume",
        ),
    )


def stability_check(view: TaskView, policy: RulePolicyConfig) -> Step:
    """Unsafe when the check says so, or a crash metric has used too much of its limit."""
    check = view.data["stability"]
    share = check["share_of_limit"]
    concerns = list(check["problems"])
    recovering = view.data["breaker"]["status"] == "RECOVERING"
    if share > policy.max_share_of_crash_limit and not recovering:
        concerns.append(f"{check['worst_metric']} is at {share:.0%} of its hard limit")
    stable = check["stable"] and not concerns
    return StabilityReport(
        stable=stable,
        critical=not stable and (share >= _CRASH_AT or not view.data["breaker"]["entries_allowed"]),
        share_of_limit=share,
        concerns=concerns[:10],
        confidence=max(0.0, min(1.0, 1.0 - share)) if stable else 0.9,
        reasoning=explain(
            f"worst crash metric {check['worst_metric']} at {share:.0%} of its limit",
            f"{check['breadth_falling']} of {check['breadth_tracked']} pairs falling hard",
            *concerns,
        ),
    )


def context_analysis(view: TaskView, policy: RulePolicyConfig) -> Step:
    """Momentum is what stands on its own, is not a pump, is tradable and has not faded."""
    facts, outside = view.data["context"], view.data["outside"]
    kind, why = _classify(facts, policy)
    return ContextAnalysis(
        symbol=facts["symbol"],
        classification=kind,
        favourable=kind == "momentum",
        isolated_share=facts["isolated_share"],
        pump_and_dump_likelihood=facts["pump_and_dump_likelihood"],
        confidence=round(
            min(outside["most_confidence"], 1.0 - facts["pump_and_dump_likelihood"]), 4
        ),
        reasoning=explain(
            why,
            f"unknown: {', '.join(outside['unknown'])}" if outside["unknown"] else "news are known",
            f"{facts['reference']} moved {facts['reference_return_pct']:.2f} %, "
            f"{facts['isolated_share']:.0%} of the move is the pair's own",
            f"volume {facts['volume_multiple']:.1f} times the usual",
            f"book imbalance {facts['book_imbalance']:+.2f}",
        ),
    )


def _classify(
    facts: dict[str, Any], policy: RulePolicyConfig
) -> tuple[Literal["momentum", "pump_and_dump", "market_move", "unclear"], str]:
    spread, slippage = facts["spread_pct"], facts["slippage_pct_1000"]
    if facts["pump_and_dump_likelihood"] > policy.max_pump_and_dump_likelihood:
        return "pump_and_dump", f"looks like a pump ({facts['pump_and_dump_likelihood']:.0%})"
    if facts["isolated_share"] < _ISOLATED_ENOUGH:
        return "market_move", "the whole market moves"
    if facts["retraced_share"] > _GIVEN_BACK:
        return "unclear", f"{facts['retraced_share']:.0%} of the move is already given back"
    if spread is None or spread > policy.max_spread_pct:
        return "unclear", f"the spread is {'open' if spread is None else f'{spread:.2f} %'}"
    if slippage is None or slippage > policy.max_slippage_pct:
        return "unclear", "the book is too thin to enter without slippage"
    return "momentum", "momentum of its own"


def risk_evaluation(view: TaskView, policy: RulePolicyConfig) -> Step:
    """Stop from volatility, target from the stop, size from the risk engine, or a veto."""
    spike, volatility = view.data["spike"], view.data["volatility_pct"]
    wanted = policy.stop_volatility_multiple * volatility * math.sqrt(15)
    stop = round(min(max(wanted, policy.min_stop_loss_pct), policy.max_stop_loss_pct), 2)
    target = round(stop * policy.reward_to_risk, 2)
    basis = f"stop {stop} % from a 1-minute volatility of {volatility:.3f} %, target {target} %"
    trade = {
        "symbol": spike["symbol"],
        "stop_loss_pct": stop,
        "take_profit_pct": target,
        "confidence": spike["confidence"],
    }

    def veto(reason: str) -> RiskEvaluation:
        return RiskEvaluation(
            symbol=spike["symbol"],
            approved=False,
            notional=0,
            stop_loss_pct=stop,
            take_profit_pct=target,
            confidence=0.9,
            reasoning=explain(reason, basis),
        )

    if spike["confidence"] < policy.min_confidence:
        return veto(f"confidence {spike['confidence']:.2f} is below {policy.min_confidence}")
    size = view.results.get("calculate_position_size")
    if size is None:
        return [ToolCall("calculate_position_size", trade)]
    if not size["ok"] or not size["approved"] or size["notional_to_request"] <= 0:
        return veto(_refused(size))
    evaluation = view.results.get("evaluate_trade_risk")
    if evaluation is None:
        arguments = {**trade, "notional": size["notional_to_request"], "reasoning": explain(basis)}
        return [ToolCall("evaluate_trade_risk", arguments)]
    if not evaluation["ok"] or not evaluation["approved"]:
        return veto(_refused(evaluation))
    return RiskEvaluation(
        symbol=spike["symbol"],
        approved=True,
        notional=evaluation["requested_notional"],
        stop_loss_pct=stop,
        take_profit_pct=target,
        confidence=spike["confidence"],
        reasoning=explain(
            basis,
            f"the risk engine allows {evaluation['approved_notional']:.2f} and puts "
            f"{evaluation['risk_amount']:.2f} at stake",
        ),
    )


def execution(view: TaskView, policy: RulePolicyConfig) -> Step:
    """Enter with the approved numbers when every colleague agrees; else abstain."""
    spike = view.data["spike"]
    risk = view.colleagues.get("risk_evaluation")

    def abstain(reason: str) -> ExecutionDecision:
        return ExecutionDecision(
            symbol=spike["symbol"], action="abstain", confidence=0.9, reasoning=explain(reason)
        )

    if spike["direction"] != "up":
        return abstain("a falling spike is not bought: spot is long only")
    if risk is None or not risk["approved"]:
        return abstain("the risk assessor has not approved it")
    order = view.results.get("place_entry_order")
    if order is None:
        basis = f"approved notional {risk['notional']:.2f}, stop {risk['stop_loss_pct']} %"
        arguments = {
            "symbol": spike["symbol"],
            "notional": risk["notional"],
            "stop_loss_pct": risk["stop_loss_pct"],
            "take_profit_pct": risk["take_profit_pct"],
            "confidence": spike["confidence"],
            "reasoning": explain(f"confirmed, stable, favourable; {basis}"),
        }
        return [ToolCall("place_entry_order", arguments)]
    if not order["ok"] or order["outcome"] == "refused":
        return abstain(f"the order was refused: {_refused(order)}")
    if order["outcome"] == "awaiting_approval":
        return ExecutionDecision(
            symbol=spike["symbol"],
            action="await_approval",
            confidence=spike["confidence"],
            reasoning=explain(order["reason"]),
        )
    return ExecutionDecision(
        symbol=spike["symbol"],
        action="enter",
        client_order_id=order["client_order_id"],
        confidence=spike["confidence"],
        reasoning=explain(f"the core answered {order['outcome']} for {order['client_order_id']}"),
    )


def _refused(answer: dict[str, Any]) -> str:
    text = answer.get("reason") or answer.get("message") or "no reason given"
    rule = answer.get("rule") or answer.get("error")
    named = not rule or str(text).startswith(f"{rule}: ")
    return str(text) if named else f"{rule}: {text}"
