"""The trace of a replay: everything that was seen, said and done, as lines with one hash.

Lines hold market time and content, never wall time or measured durations, so that the same input
gives the same hash. Within one crew run analysts work side by side; their lines are put in the
order of agent, then of what that agent did, whichever thread came first. Nor do they hold what a
model cost, or whether it was asked or read from a recording: a recording has the hash of the replay
that it was made in.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from agents.llm_choice import author
from trading.api.in_process import InProcessTradingClient
from trading.events import (
    BreakerChanged,
    CrashDetected,
    EntryRefused,
    EventBus,
    FillReceived,
    OrderUpdated,
    PositionChanged,
    SpikeDetected,
)
from trading.model.decision import NOT_DECIDED, AgentDecision, ToolExecution

_MEASURED = frozenset({"execution_time_ms", "detection_latency_ms", "duration_ms"})


class Trace:
    """Collects lines; ``sha256`` is over all of them, each followed by a newline."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._run: list[tuple[str, bytes]] | None = None
        self._lock = threading.Lock()

    def add(self, time_ms: int, kind: str, content: Any) -> None:
        """A line of the core, in the order it happened."""
        with self._lock:
            self._lines.append(_line(time_ms, kind, content))

    def add_of_agent(self, time_ms: int, kind: str, agent: str, content: Any) -> None:
        """A line of an agent; inside ``crew_run`` it waits for the canonical order."""
        line = _line(time_ms, kind, content)
        with self._lock:
            if self._run is None:
                self._lines.append(line)
            else:
                self._run.append((f"{agent} {kind}", line))

    @contextmanager
    def crew_run(self) -> Iterator[None]:
        """Lines of agents within the block are sorted by agent and kind (stable) at its end."""
        with self._lock:
            self._run = []
        try:
            yield
        finally:
            with self._lock:
                ordered = sorted(self._run or (), key=lambda entry: entry[0])
                self._lines.extend(line for _, line in ordered)
                self._run = None

    def listen(self, bus: EventBus) -> None:
        """Take down every event of the core."""
        bus.subscribe(SpikeDetected, lambda e: self.add(e.spike.detected_at_ms, "spike", e.spike))
        bus.subscribe(
            CrashDetected,
            lambda e: self.add(e.time_ms, "crash", {"rule": e.rule, "reason": e.reason}),
        )
        bus.subscribe(
            BreakerChanged, lambda e: self.add(e.current.changed_at_ms, "breaker", e.current)
        )
        bus.subscribe(OrderUpdated, lambda e: self.add(e.report.time_ms, "order", e.report))
        bus.subscribe(FillReceived, lambda e: self.add(e.fill.time_ms, "fill", e.fill))
        bus.subscribe(PositionChanged, lambda e: self.add(0, "position", e.position))
        bus.subscribe(
            EntryRefused,
            lambda e: self.add(0, "refused", {"symbol": e.symbol, "rule": e.rule}),
        )

    @property
    def sha256(self) -> str:
        return hashlib.sha256(b"\n".join([*self._lines, b""])).hexdigest()

    def write(self, path: Path) -> None:
        """Write the hashed lines; `sha256sum` of the file gives the reported hash."""
        path.write_bytes(b"\n".join([*self._lines, b""]))


class TracingClient(InProcessTradingClient):
    """Takes down what agents decide and which tools they call, and counts both.

    ``failures`` are decisions that nobody made (no model answered, say), ``last_failure`` why.
    """

    trace: Trace | None = None
    decisions = 0
    failures = 0
    last_failure = ""
    tool_calls = 0

    def record_decision(self, decision: AgentDecision) -> int:
        type(self)._count(self, "decisions")
        if decision.decision == NOT_DECIDED:
            type(self)._count(self, "failures")
            self.last_failure = f"{decision.decision_type}: {decision.reasoning}"[:400]
        if self.trace is not None:
            content = decision_content(decision)
            self.trace.add_of_agent(self.now_ms(), "decision", decision.agent_name, content)
        return super().record_decision(decision)

    def record_tool_execution(self, execution: ToolExecution) -> None:
        type(self)._count(self, "tool_calls")
        if self.trace is not None:
            agent = execution.agent_name or ""
            content = execution.model_dump(mode="json", exclude={"execution_time_ms"})
            self.trace.add_of_agent(self.now_ms(), "tool", agent, content)
        super().record_tool_execution(execution)

    _counting = threading.Lock()

    def _count(self, name: str) -> None:
        with self._counting:
            setattr(self, name, getattr(self, name) + 1)


def decision_content(decision: AgentDecision) -> dict[str, Any]:
    """What is hashed of a decision: the words, and whose they are."""
    measured = {"execution_time_ms", "tokens", "cost_micro_usd"}
    content = decision.model_dump(mode="json", exclude=measured)
    for part in (content, content["output_data"]):
        if "decided_by" in part:
            part["decided_by"] = author(part["decided_by"])
    return content


def _line(time_ms: int, kind: str, content: Any) -> bytes:
    if hasattr(content, "model_dump"):
        content = content.model_dump(mode="json", exclude=set(_MEASURED))
    return orjson.dumps([time_ms, kind, content], default=_plain, option=orjson.OPT_SORT_KEYS)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"{type(value).__name__} has no place in a trace")
