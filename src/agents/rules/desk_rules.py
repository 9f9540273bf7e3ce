"""The rules behind the safety desk's notes: what the figures say, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from agents.config import RulePolicyConfig
from agents.outputs import (
    DayNarrative,
    ErrorExplanation,
    Explanation,
    ReconciliationExplanation,
    RefusalExplanation,
    SessionReport,
)
from agents.rules.view import Step, TaskView, explain

_SURE = 0.9  # the rules only repeat what is on record
_LONGEST_SUMMARY = 2_900
_LONGEST_POINT = 500
_MOST_POINTS = 10

ExplanationT = TypeVar("ExplanationT", bound=Explanation)


def refusal_explanation(view: TaskView, policy: RulePolicyConfig) -> Step:
    """The rule, its limit, the value, and how often it refused lately."""
    refusal, alike = view.data["refusal"], view.data["refusals_by_this_rule"]
    pair = refusal["pair"] or "no single pair"
    meaning = refusal["meaning"] or "the rule is not one of the risk engine's tables"
    message = refusal["message"].removeprefix(f"{refusal['rule']}: ")
    causes = [meaning]
    if refusal["limit"] is not None and refusal["value"] is not None:
        causes.append(f"the limit is {refusal['limit']}, the value was {refusal['value']}")
    if refusal["details"]:
        causes.append(f"details: {refusal['details']}")
    checks = [f"`explain` covers one refusal; `report` counts all those by {refusal['rule']}"]
    if alike["last_hour"] > 1:
        checks.insert(
            0,
            f"the rule refused {alike['last_hour']} entries within the hour, "
            f"{alike['last_hour_same_pair']} of them in this pair: is the same proposal repeated?",
        )
    if view.data["breaker_status"] != "SAFE":
        checks.insert(0, f"the breaker was {view.data['breaker_status']} then")
    return _written(
        RefusalExplanation,
        view,
        f"An entry in {pair} was refused by {refusal['rule']}: {message}",
        causes,
        checks,
        ["none is needed: nothing was sent, and the refusal stands"],
    )


def reconciliation_explanation(view: TaskView, policy: RulePolicyConfig) -> Step:
    """What differed, asset by asset, and what the outcome asks of a person."""
    report = view.data["report"]
    said = report["problem"] or "nothing differed"
    differing = [one for one in view.data["assets"] if _is_not_zero(one["difference"])]
    causes = [
        f"{one['asset']}: ours {one['ours']}, of others {one['external']}, dust {one['dust']}; the "
        f"venue has {one['at_venue']}, a difference of {one['difference']}"
        for one in differing
    ]
    checks = ["the venue's own list of trades, transfers and fees of these assets"]
    if report["external_orders"]:
        orders = ", ".join(report["external_orders"])
        checks.append(f"orders that are not ours: {orders}")
    steps = {
        "latched": [
            "compare the account at the venue by hand before anything is released",
            "a person who has found the reason releases the latch with `breaker clear`, giving it",
        ],
        "fixed": ["none is needed: it was within tolerance, and our books follow the venue"],
        "incomplete": ["wait for the next comparison; look at the venue if it stays incomplete"],
    }.get(report["outcome"], ["wait for the next comparison, which confirms it or not"])
    return _written(
        ReconciliationExplanation,
        view,
        f"The comparison with {report['venue']} ({report['cause']}) ended {report['outcome']}: "
        f"{said}",
        causes,
        checks,
        steps,
    )


def error_explanation(view: TaskView, policy: RulePolicyConfig) -> Step:
    """The patterns by how often they came, each with its suggestion where there is one."""
    patterns, recovery = view.data["patterns"], view.data["recovery"]
    causes = [
        f"{one['name']}: {one['count']} times, last: {one['last_message']}" for one in patterns
    ]
    steps = [f"{one['name']}: {one['suggestion']}" for one in patterns if one["suggestion"]]
    checks = ["the log files of the processes at the times given, in the runtime folder's logs/"]
    if recovery is not None and recovery["not_answering"]:
        checks.insert(0, f"not answering now: {', '.join(recovery['not_answering'])}")
    if recovery is not None and recovery["given_up"]:
        checks.append(
            f"{recovery['given_up']} calls were given up, {recovery['recovered']} came right"
        )
    return _written(
        ErrorExplanation,
        view,
        f"Errors repeated, most often {patterns[0]['name']} ({patterns[0]['count']} times)",
        causes,
        checks,
        steps or ["begin with the pattern that came most often"],
    )


def day_narrative(view: TaskView, policy: RulePolicyConfig) -> Step:
    """Orders, refusals, halts and commands, in this order."""
    day = view.data["day"]
    traded = [
        f"{one['venue']}: {one['entries']} entries of {one['entry_notional']}, {one['exits']} "
        f"exit orders, {one['closed_trades']} trades closed, profit {one['profit_loss']}"
        for one in day["venues"]
    ]
    refused = [f"{one['rule']} refused {one['count']}" for one in day["refusals"]]
    halts = [f"{one['time']} breaker {one['what']}: {one['details']}" for one in day["breaker"]]
    commands = [f"{one['time']} {one['what']}: {one['details']}" for one in day["operator"]]
    changed = day["configuration_count"]
    checks = []
    if day["breaker_count"]:
        checks.append(f"{day['breaker_count']} changes of the breaker")
    if day["operator_count"]:
        checks.append(f"{day['operator_count']} commands of operators, each with its reason")
    if changed:
        checks.append(f"{changed} entries about the configuration")
    return _written(
        DayNarrative,
        view,
        f"On {day['day']}: " + ("; ".join(traded) or "no orders"),
        [*refused[:4], *halts[-3:], *commands[-3:]],
        checks,
        [],
    )


def session_report(view: TaskView, policy: RulePolicyConfig) -> Step:
    """Trades, profit by pair and by exit, halts, and what went wrong."""
    session, trouble = view.data["session"], view.data["trouble"]
    ended = session["final_balance"]
    balance = f"from {session['virtual_balance']}" + (f" to {ended}" if ended is not None else "")
    traded = f"{session['total_trades']} trades, {session['winning_trades']} won, profit "
    summary = (
        f"On {session['venue']}, {session['market']} ({session['status']}): {traded}"
        f"{session['profit_loss']} after fees of {session['fees']}; balance {balance} "
        f"{session['quote_asset']}"
    )
    causes = [
        f"{name}: {one['trades']} trades, {one['won']} won, profit {one['profit_loss']}"
        for sums in (view.data["by_pair"], view.data["by_exit"])
        for name, one in sums.items()
    ]
    halts = [
        f"{one['at']} breaker {one['from_status']} → {one['to_status']}: {one['reason']}"
        for one in view.data["breaker_changes"]
    ]
    faults = [
        f"{name.replace('_', ' ')}: {_counts(trouble[name])}"
        for name in ("risk_events", "reconciliations", "failed_tools", "failed_agents")
        if trouble[name]
    ]
    return _written(
        SessionReport,
        view,
        summary,
        [*causes[:5], *halts[-5:]],
        [*faults, f"orders by how they ended: {_counts(trouble['orders']) or 'none'}"],
        ["simulated fills are a model: do not take the profit for what real orders would earn"],
    )


def _written(
    kind: type[ExplanationT],
    view: TaskView,
    summary: str,
    causes: list[str],
    checks: list[str],
    steps: list[str],
) -> ExplanationT:
    return kind.model_validate(
        {
            "subject": view.data["subject"]["id"],
            "summary": _cut(summary, _LONGEST_SUMMARY),
            "causes": _points(causes),
            "what_to_check": _points(checks),
            "proposed_steps": _points(steps),
            "confidence": _SURE,
            "reasoning": explain("the sentences repeat what is on record"),
        }
    )


def _points(texts: list[str]) -> list[str]:
    return [_cut(text, _LONGEST_POINT) for text in texts[:_MOST_POINTS]]


def _cut(text: str, length: int) -> str:
    """At a space: half a number would be another number."""
    return text if len(text) <= length else text[:length].rpartition(" ")[0] + " …"


def _counts(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in numbers.items())


def _is_not_zero(text: str) -> bool:
    return float(text) != 0
