"""A crew's records without a core: straight into the store.

There is nothing to trade with behind it, and the breaker reads as TRIGGERED. Market time goes on
from where the store ends: a note on a replay of 2020 must not make today a day of that store.
"""

from __future__ import annotations

import sqlite3
import threading

from trading.clock import Clock, ScaledClock, SystemClock
from trading.model.breaker import BreakerSnapshot, BreakerStatus
from trading.model.decision import AgentDecision
from trading.model.desk import DeskNote
from trading.model.model_call import ModelCall, ModelUsage
from trading.storage.audit_log import AuditLog
from trading.storage.decision_repository import DecisionRepository
from trading.storage.desk_note_repository import DeskNoteRepository
from trading.storage.model_call_repository import ModelCallRepository

NO_CORE = "no core is running"


class StoreRecords:
    """Implements ``RecordClient``. Safe to use from several threads."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._lock = threading.Lock()
        newest = AuditLog(connection).latest(1)
        wall = SystemClock()
        self._wall_ms = wall.now_ms
        self._clock: Clock = ScaledClock(newest[0].time_ms, 1.0) if newest else wall
        self._decisions = DecisionRepository(connection)
        self._models = ModelCallRepository(connection)
        self._notes = DeskNoteRepository(connection)

    def breaker_snapshot(self) -> BreakerSnapshot:
        return BreakerSnapshot(
            status=BreakerStatus.TRIGGERED,
            epoch=0,
            causes=(NO_CORE,),
            reason=NO_CORE,
            changed_at_ms=0,
            size_multiplier=0.0,
        )

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def record_decision(self, decision: AgentDecision) -> int:
        with self._lock:
            return self._decisions.record(decision, self.now_ms())

    def model_usage(self) -> ModelUsage:
        with self._lock:
            return self._models.usage(self._wall_ms())

    def record_model_call(self, call: ModelCall) -> ModelUsage:
        with self._lock:
            self._models.record(call, self._wall_ms())
            return self._models.usage(self._wall_ms())

    def record_desk_note(self, note: DeskNote) -> int:
        with self._lock:
            return self._notes.record(note, self.now_ms())
