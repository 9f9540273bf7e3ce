"""Records of what agents decided, and of what plain code made of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from agents.outputs import AgentOutput, as_record
from crews.crew_run import CrewRun
from tools.framework import Task, TaskOutput
from trading.api.client import RecordClient, TradingClient
from trading.api.schemas import ActivityEntry
from trading.errors import SpikeguardError
from trading.model.decision import NOT_DECIDED, AgentDecision

logger = logging.getLogger(__name__)


def output_of(task: Task) -> AgentOutput | None:
    """The task's typed output; None when it did not run, or answered something else."""
    finished: TaskOutput | None = task.output
    if finished is None or not isinstance(finished.pydantic, AgentOutput):
        return None
    return finished.pydantic


@dataclass(frozen=True, slots=True)
class PromptSet:
    """Versions and hashes of a crew's prompts, by task."""

    version: str
    hashes: dict[str, str]


def build_decision(
    task: Task,
    agent_name: str,
    run: CrewRun,
    prompts: PromptSet,
    *,
    label: str,
    input_data: dict[str, Any],
    spike_id: str | None = None,
    breaker_event_id: int | None = None,
) -> AgentDecision | None:
    """The record of a finished task; None for one that did not run.

    ``label`` says who decides where the meter does not know it: the rules use no budget.
    """
    finished: TaskOutput | None = task.output
    name = task.name or ""
    failure, problems = run.state.failure(name), run.state.problems(name)
    if failure is None and (finished is None or not finished.raw):
        return None
    output = output_of(task)
    raw = finished.raw[:2000] if finished else ""
    record = as_record(output) if output else {"raw": raw}
    usage = run.meter.of(name)
    decided_by = usage.decided_by or label
    if failure is not None:
        decision, reasoning = NOT_DECIDED, failure
    elif output is None:
        decision, reasoning = "invalid output", "the answer does not fit the task's schema"
    else:
        decision, reasoning = output.decision, output.reasoning
    return AgentDecision(
        agent_name=agent_name,
        agent_role=task.agent.role if task.agent else agent_name,
        decision_type=name,
        decision=decision,
        confidence=output.confidence if output else 0.0,
        reasoning=reasoning,
        input_data=input_data,
        output_data={
            **record,
            "decided_by": decided_by,
            "rejected_because": problems,
            "first_refused_because": run.state.refusals(name),
        },
        execution_time_ms=(task.execution_duration or 0.0) * 1000,
        spike_event_id=spike_id or run.context.spike_id,
        circuit_breaker_event_id=breaker_event_id,
        decided_by=decided_by,
        prompt_version=prompts.version,
        prompt_hash=prompts.hashes.get(name, ""),
        model_calls=usage.model_calls,
        tokens=usage.tokens,
        cost_micro_usd=usage.cost_micro_usd,
    )


def record_decision(client: RecordClient, decision: AgentDecision | None) -> None:
    """Send it to the core. A core that cannot take it does not undo what was decided."""
    if decision is None:
        return
    try:
        client.record_decision(decision)
    except SpikeguardError as error:
        logger.warning("decision of %s not recorded: %s", decision.agent_name, error)


def record_activity(client: TradingClient, source: str, text: str, level: str = "info") -> None:
    """A line for the activity feed; lost when the core cannot take it."""
    try:
        now_ms = client.now_ms()
        client.record_activity(
            ActivityEntry(time_ms=now_ms, source=source, text=text[:500], level=level)
        )
    except SpikeguardError as error:
        logger.warning("activity of %s not recorded: %s", source, error)
