"""Stops a running crew: the breaker, the deadline and the call budget are read at every step.

CrewAI swallows every exception of a hook except ``HookAborted``, and a blocked tool does not stop
a crew. So both hooks are registered, whatever goes wrong in them becomes ``HookAborted``, and it
is the one before the model call that ends the run.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import Any

from agents.run_state import RunState
from tools.framework import HookAborted, InterceptionPoint, scoped_hooks
from tools.run_context import RunContext
from trading.api.client import RecordClient
from trading.model.breaker import BreakerStatus


class RunGuard:
    """Watches over one run. ``stops_on_trip`` is False for the guardian crew, which works on."""

    def __init__(
        self,
        client: RecordClient,
        run: RunContext,
        state: RunState,
        *,
        max_model_calls: int,
        stops_on_trip: bool = True,
    ) -> None:
        self._client = client
        self._run = run
        self._state = state
        self._max_model_calls = max_model_calls
        self._stops_on_trip = stops_on_trip
        self._lock = threading.Lock()
        self._model_calls = 0

    def hooks(self) -> AbstractContextManager[Any]:
        """Both hooks, for the run that is kicked off inside this context."""
        return scoped_hooks(
            {
                InterceptionPoint.PRE_MODEL_CALL: [self._before_model_call],
                InterceptionPoint.PRE_TOOL_CALL: [self._before_tool_call],
            }
        )

    def why_stop(self) -> str | None:
        """Why the run must not take another step; None when it may."""
        snapshot = self._client.breaker_snapshot()
        if self._stops_on_trip:
            if snapshot.status is BreakerStatus.TRIGGERED:
                return f"the circuit breaker is TRIGGERED: {snapshot.reason or 'no reason'}"
            if snapshot.epoch != self._run.epoch:
                return f"the epoch is {snapshot.epoch}, this run began in {self._run.epoch}"
        if (reason := self._state.stop_reason) is not None:
            return reason
        late_ms = self._client.now_ms() - self._run.deadline_ms
        if late_ms >= 0:
            return f"the deadline passed {late_ms} ms ago"
        if self._model_calls >= self._max_model_calls:
            return f"the budget of {self._max_model_calls} model calls is used up"
        return None

    def check(self) -> None:
        """Raises HookAborted when the run must stop, or when nobody can say."""
        try:
            reason = self.why_stop()
        except Exception as error:
            raise HookAborted(f"the breaker cannot be read: {error}", "run_guard") from error
        if reason is not None:
            raise HookAborted(reason, "run_guard")

    def _before_model_call(self, _context: Any) -> None:
        self.check()
        with self._lock:
            self._model_calls += 1

    def _before_tool_call(self, _context: Any) -> None:
        self.check()
