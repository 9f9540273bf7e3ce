"""What the breaker tells of itself, and the figures that others fill in afterwards."""

from __future__ import annotations

from typing import Any, Unpack

from trading.clock import DAY_MS
from trading.model.breaker import (
    Actor,
    BreakerSnapshot,
    BreakerStatistics,
    BreakerStatus,
    RecoveryConditions,
)
from trading.risk.breaker_core import BreakerCore
from trading.risk.breaker_recovery import recovery_blockers, recovery_report
from trading.storage.breaker_event_repository import EventFigures


class BreakerReports(BreakerCore):
    """Reports for operators, tools and screens; they may read the store, none changes the state."""

    def blockers(self, actor: Actor = Actor.RULE) -> tuple[str, ...]:
        """Why ``actor`` cannot start the recovery now; empty unless TRIGGERED."""
        state = self._state
        if state.status is not BreakerStatus.TRIGGERED:
            return ()
        now_ms = self._clock.now_ms()
        return recovery_blockers(state, self._config, self._facts, now_ms, actor=actor)

    def recovery_conditions(self) -> RecoveryConditions:
        """Each condition of recovery, judged by the facts of the last ``advance``."""
        return recovery_report(self._state, self._config, self._facts, self._clock.now_ms())

    @property
    def is_stored(self) -> bool:
        """Whether the store has the state that is in force."""
        return self._pending_trip is None and self._store is not None

    def get_full_state(self) -> dict[str, Any]:
        """Everything known, as plain JSON values."""
        state = self._state
        return {
            **self._snapshot.model_dump(mode="json"),
            "enforcing": self._enforcing,
            "entries_blocked": self._block.blocked,
            "llm_only": state.llm_only,
            "trip_times_ms": list(state.trip_times_ms),
            "revision": state.revision,
            "stored": self.is_stored,
            "blockers": list(self.blockers()),
            "facts": self._facts.model_dump(mode="json") if self._facts else None,
        }

    def get_trigger_info(self) -> dict[str, Any] | None:
        """The trip behind the current halt, as plain JSON values; None when nothing is halted.

        Raises StoreError when its row cannot be read.
        """
        snapshot, state = self._snapshot, self._state
        if not snapshot.is_active:
            return None
        info: dict[str, Any] = {
            "event_id": state.event_id,
            "epoch": state.epoch,
            "reason": state.reason,
            "causes": list(state.causes),
            "actor": state.actor.value,
            "rule": None,
            "triggered_at_ms": state.triggered_at_ms,
            "cooldown_until_ms": state.cooldown_until_ms,
            "latch": state.latch.value,
            "details": {},
            "market_snapshot": None,
        }
        if state.event_id is not None and self._store is not None:
            with self._lock:
                info.update(self._store.trip_record(state.event_id))
        return info

    def get_stats(self) -> BreakerStatistics:
        """Totals over the life of the store. Raises StoreError when there is none."""
        with self._lock:
            totals = self._require_store().events.totals(self._clock.now_ms() - DAY_MS)
        return BreakerStatistics(
            trips=totals.trips,
            false_trips=totals.false_trips,
            trips_24h=totals.trips_since,
            total_downtime_seconds=totals.downtime_seconds,
            total_capital_saved=totals.capital_saved,
            last_trip_at_ms=totals.last_trip_at_ms,
            last_trip_reason=totals.last_trip_reason,
        )

    def update_event(self, event_id: int, **figures: Unpack[EventFigures]) -> None:
        """Fill in what became known after a transition. Raises StoreError."""
        with self._lock:
            self._require_store().update_event(event_id, **figures)

    def note_quiescent(self, trip: BreakerSnapshot, now_ms: int) -> int:
        """Note when ``trip`` came to rest; returns the time on record, that of the first note.

        Raises StoreError.
        """
        if trip.event_id is None:
            return now_ms
        with self._lock:
            return self._require_store().note_quiescent(trip.event_id, trip.epoch, now_ms)

    def quiescent_at_ms(self) -> int | None:
        """When the current halt's latest trip came to rest, as stored. Raises StoreError."""
        event_id = self._state.event_id
        if event_id is None or not self._snapshot.is_active:
            return None
        with self._lock:
            return self._require_store().quiescent_at_ms(event_id)
