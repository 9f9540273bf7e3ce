"""Whose behalf a tool acts on: the crew run it belongs to, and what it has seen so far.

The context travels in a ``ContextVar``, which CrewAI copies into its threads. A tool thread that
outlives its run (a timed-out task's thread is never killed) so keeps the epoch and the deadline
of the run it was started by, even when its crew is already busy with another spike.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from trading.model.spike import Spike


@dataclass(frozen=True, slots=True)
class ToolRecord:
    """One finished tool call of a run."""

    tool: str
    arguments: dict[str, Any]
    result: dict[str, Any]


@dataclass(slots=True)
class RunContext:
    """One run of one crew. ``deadline_ms`` is market time; times and epoch are never a model's."""

    crew: str
    epoch: int
    deadline_ms: int
    spike: Spike | None = None
    proposal_ttl_ms: int = 10_000
    max_price_move_pct: float | None = None  # since the alert; beyond it the spike is stale
    _records: list[ToolRecord] = field(default_factory=list, init=False)
    _order_claimed: bool = field(default=False, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    @property
    def spike_id(self) -> str | None:
        return self.spike.id if self.spike else None

    def add(self, record: ToolRecord) -> None:
        with self._lock:
            self._records.append(record)

    def results(self) -> list[dict[str, Any]]:
        """What all tools answered in this run, oldest first."""
        with self._lock:
            return [record.result for record in self._records]

    def results_of(self, tool: str) -> list[ToolRecord]:
        """Calls of ``tool`` that succeeded, oldest first."""
        with self._lock:
            return [r for r in self._records if r.tool == tool and r.result.get("ok") is True]

    def called(self, tool: str) -> bool:
        """Whether ``tool`` was called at all, whatever it answered."""
        with self._lock:
            return any(record.tool == tool for record in self._records)

    def last(self, tool: str) -> dict[str, Any] | None:
        """Result of the newest successful call of ``tool``."""
        records = self.results_of(tool)
        return records[-1].result if records else None

    def claim_order(self) -> bool:
        """True exactly once in a run: a run may send one entry, however often a model asks."""
        with self._lock:
            first, self._order_claimed = not self._order_claimed, True
            return first


_current: ContextVar[RunContext | None] = ContextVar("spikeguard_run", default=None)


def current_run() -> RunContext | None:
    return _current.get()


@contextlib.contextmanager
def run_scope(run: RunContext) -> Iterator[RunContext]:
    """Make ``run`` the current one for this thread and those started from it."""
    token = _current.set(run)
    try:
        yield run
    finally:
        _current.reset(token)
