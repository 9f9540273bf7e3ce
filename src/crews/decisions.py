"""Records of what agents decided, and of what plain code made of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from agents.outputs import AgentOutput, as_record
from tools.framework import Task, TaskOutput
from trading.api.client import TradingClient
from trading.api.schemas import ActivityEntry
from trading.errors import SpikeguardError
from trading.model.decision import AgentDecision

logger = logging.getLogger(__name__)


def output_of(task: Task) -> AgentOutput | None:
    """The task's typed output; None when it did not run, or answered something else."""
    finished: TaskOutput | None = task.output
    if finished is None or not isinstance(finished.pydantic, AgentOutput):
        return None
    return finished.pydantic


def build_decision(
    task: Task,
    agent_name: str,
    *,
    decided_by: str,
    problems: Sequence[str] = (),
    input_data: dict[str, Any],
    spike_id: str | None = None,
    breaker_event_id: int | None = None,
) -> AgentDecision | None:
    """The record of a finished task; None for one that did not run."""
    finished: TaskOutput | None = task.output
    if finished is None or not finished.raw:
        return None
    output = output_of(task)
    record = as_record(output) if output else {"raw": finished.raw[:2000]}
    return AgentDecision(
        agent_name=agent_name,
        agent_role=finished.agent,
        decision_type=task.name or "",
        decision=output.decision if output else "invalid output",
        confidence=output.confidence if output else 0.0,
        reasoning=output.reasoning if output else "the answer does not fit the task's schema",
        input_data=input_data,
        output_data={**record, "decided_by": decided_by, "rejected_because": list(problems)},
        execution_time_ms=(task.execution_duration or 0.0) * 1000,
        spike_event_id=spike_id,
        circuit_breaker_event_id=breaker_event_id,
    )


def record_decision(client: TradingClient, decision: AgentDecision | None) -> None:
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
