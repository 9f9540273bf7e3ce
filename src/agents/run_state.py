"""What is known of a crew's run beside its tools' results: refusals, failures, a wish to stop."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from agents.claims import Collections


@dataclass(slots=True)
class RunState:
    """One run. Safe to use from the threads of tasks that run side by side.

    ``facts`` is the data that went into the prompts, by block name; ``accepted`` the answers that
    stood the checks, by task.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    contexts: dict[str, str] = field(default_factory=dict)  # of each task's first attempt
    accepted: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    collections: Collections = field(default_factory=Collections)  # of what claims may rest on
    _problems: dict[str, list[str]] = field(default_factory=dict)
    _refusals: dict[str, list[str]] = field(default_factory=dict)
    _failures: dict[str, str] = field(default_factory=dict)
    _hung: set[str] = field(default_factory=set)
    _stop_reason: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def refuse(self, task: str, problems: list[str]) -> bool:
        """Note why an answer is refused; True the first time, when the agent may answer again."""
        with self._lock:
            is_first = task not in self._refusals
            self._refusals.setdefault(task, problems)
            return is_first

    def refusals(self, task: str) -> list[str]:
        """Why the first answer of ``task`` was refused; empty when it was not."""
        with self._lock:
            return list(self._refusals.get(task, ()))

    def judge(self, task: str, problems: list[str], accepted: dict[str, Any] | None) -> None:
        """Note what is wrong with the final answer of ``task``, or the answer that is accepted."""
        with self._lock:
            self._problems[task] = problems
            if accepted is not None:
                self.accepted[task] = accepted

    def problems(self, task: str) -> list[str]:
        """What is wrong with the final answer of ``task``."""
        with self._lock:
            return list(self._problems.get(task, ()))

    def note(self, reason: str) -> None:
        """Note what stands against acting, whatever the agents say."""
        with self._lock:
            if reason not in self.notes:
                self.notes.append(reason)

    def fail(self, task: str, reason: str, *, hung: bool = False) -> None:
        """Note that a task's agent gave no answer; ``hung``: its thread may still be at work."""
        with self._lock:
            self._failures.setdefault(task, reason)
            if hung:
                self._hung.add(task)

    def failure(self, task: str) -> str | None:
        """Why ``task`` has no answer; None when it did not fail."""
        with self._lock:
            return self._failures.get(task)

    @property
    def failures(self) -> dict[str, str]:
        with self._lock:
            return dict(self._failures)

    @property
    def is_reusable(self) -> bool:
        """False when a thread may still use the run's crew."""
        with self._lock:
            return not self._hung

    def stop(self, reason: str) -> None:
        """Ask for the end of the whole run; the first reason counts."""
        with self._lock:
            self._stop_reason = self._stop_reason or reason

    @property
    def stop_reason(self) -> str | None:
        with self._lock:
            return self._stop_reason


_current: ContextVar[RunState | None] = ContextVar("spikeguard_run_state", default=None)


def current_state() -> RunState | None:
    return _current.get()


@contextlib.contextmanager
def state_scope(state: RunState) -> Iterator[RunState]:
    """Make ``state`` the current one for this thread and those that CrewAI starts from it."""
    token = _current.set(state)
    try:
        yield state
    finally:
        _current.reset(token)
