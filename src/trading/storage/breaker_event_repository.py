"""Rows of circuit_breaker_events: one for every transition of the breaker.

An *episode* is a halt from the moment trading stops until the breaker is SAFE again. Its first row
has ``kind`` "trip" and carries the episode's figures: ``status`` goes from triggered over
recovering to cleared (or is false_trigger from when an operator says so), and downtime, capital
saved, cancelled orders and the conditions that were met at the recovery are written into it as they
become known. All further rows point to it with ``episode_id``:

========== ==================================================================
kind       the transition
========== ==================================================================
trip       SAFE or WARNING → TRIGGERED
retrip     TRIGGERED → TRIGGERED with the next epoch
relapse    RECOVERING → TRIGGERED
recovery   TRIGGERED → RECOVERING stage 0
stage      RECOVERING, one stage up
latch      the MANUAL latch released
clear      → SAFE, by rule after the last stage or forced by an operator
warning    SAFE → WARNING (no episode)
easing     WARNING → SAFE (no episode)
========== ==================================================================

``triggered_at`` is the moment of the transition. In trip, retrip and relapse rows ``quiescent_at``
is when that very trip had come to rest: orders resolved, and two account snapshots that agree.
``trigger_type`` says who tripped (rule, llm, operator, system) in those rows, and repeats the kind
in the others. ``status`` of the other rows is that of the halt after the transition; cleared where
nothing is halted.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypedDict, Unpack

from trading.clock import iso
from trading.errors import StoreError
from trading.storage.audit_log import append_audit
from trading.storage.database import atomically
from trading.storage.repository import Repository, to_json, to_text

TRIP_KINDS = ("trip", "retrip", "relapse")


@dataclass(frozen=True, slots=True)
class BreakerEventRow:
    """What is known of a transition when it happens. Drops are positive percentages."""

    time_ms: int
    kind: str
    epoch: int
    from_status: str
    to_status: str
    actor: str
    reason: str
    trigger_type: str
    status: str
    rule: str | None = None
    episode_id: int | None = None
    btc_price: float | None = None
    eth_price: float | None = None
    btc_drop_pct: float | None = None
    eth_drop_pct: float | None = None
    market_cap_drop_pct: float | None = None
    liquidations_1h: float | None = None
    fear_greed_index: int | None = None
    details: dict[str, Any] | None = None
    market_snapshot: str | None = None  # as JSON
    notes: str = ""


class EventFigures(TypedDict, total=False):
    """What becomes known of an episode after its trip; None leaves a column as it is."""

    capital_saved: Decimal | None
    orders_cancelled: int | None
    positions_affected: int | None
    false_trigger: bool | None
    user_notified: bool | None  # the halt was shown to an operator
    note: str | None


@dataclass(frozen=True, slots=True)
class EpisodeTotals:
    """Sums over all trips in the store. ``trips`` counts trips and relapses."""

    trips: int
    false_trips: int
    trips_since: int
    downtime_seconds: float
    capital_saved: Decimal
    last_trip_at_ms: int | None
    last_trip_reason: str | None


class BreakerEventRepository(Repository):
    """Writes and reads circuit_breaker_events."""

    def insert(self, event: BreakerEventRow) -> int:
        """Add one transition; returns its id."""
        values = {
            "triggered_at": iso(event.time_ms),
            "triggered_at_ms": event.time_ms,
            "kind": event.kind,
            "episode_id": event.episode_id,
            "epoch": event.epoch,
            "from_status": event.from_status,
            "to_status": event.to_status,
            "actor": event.actor,
            "rule": event.rule,
            "trigger_reason": event.reason,
            "trigger_type": event.trigger_type,
            "status": event.status,
            "btc_price_at_trigger": to_text(event.btc_price),
            "eth_price_at_trigger": to_text(event.eth_price),
            "btc_drop_percent": event.btc_drop_pct,
            "eth_drop_percent": event.eth_drop_pct,
            "market_cap_drop_percent": event.market_cap_drop_pct,
            "liquidations_1h": to_text(event.liquidations_1h),
            "fear_greed_index": event.fear_greed_index,
            "trigger_details": to_json(event.details or {}),
            "market_snapshot": event.market_snapshot,
            "notes": event.notes,
        }
        with atomically(self._connection, "recording a breaker event"):
            event_id = self._insert("circuit_breaker_events", values)
            payload = {
                "event": event_id,
                "from": event.from_status,
                "to": event.to_status,
                "epoch": event.epoch,
                "reason": event.reason,
                "rule": event.rule,
                "details": event.details or {},
            }
            append_audit(
                self._connection, "breaker", event.kind, payload, event.time_ms, actor=event.actor
            )
        return event_id

    def mark_recovering(
        self, event_id: int, now_ms: int, conditions: dict[str, bool] | None
    ) -> None:
        """The episode's recovery begins; remembers the conditions as they were met."""
        self._execute(
            "UPDATE circuit_breaker_events SET recovery_started_at_ms = ?,"
            " status = CASE status WHEN 'false_trigger' THEN status ELSE 'recovering' END,"
            " recovery_conditions_met = ? WHERE id = ?",
            (now_ms, to_json(conditions or {}), event_id),
        )

    def mark_triggered(self, event_id: int) -> None:
        """The episode fell back from its recovery."""
        self._execute(
            "UPDATE circuit_breaker_events SET recovery_started_at_ms = NULL,"
            " status = CASE status WHEN 'false_trigger' THEN status ELSE 'triggered' END"
            " WHERE id = ?",
            (event_id,),
        )

    def mark_cleared(self, event_id: int, now_ms: int, note: str = "") -> None:
        """The episode is over: downtime is from the trip until now, recovery from its start."""
        self._execute(
            "UPDATE circuit_breaker_events SET cleared_at = :iso,"
            " status = CASE status WHEN 'false_trigger' THEN status ELSE 'cleared' END,"
            " cleared_at_ms = :now,"
            " downtime_seconds = max(0, :now - triggered_at_ms) / 1000.0,"
            " recovery_time_seconds = max(0, :now - recovery_started_at_ms) / 1000.0,"
            " notes = trim(notes || ' ' || :note)"
            " WHERE id = :id",
            {"iso": iso(now_ms), "now": now_ms, "note": note, "id": event_id},
        )

    def update(self, event_id: int, **figures: Unpack[EventFigures]) -> None:
        """Fill in figures that become known after the transition.

        Raises StoreError when there is no such event.
        """
        note = figures.get("note")
        values: dict[str, Any] = {
            "capital_saved": to_text(figures.get("capital_saved")),
            "orders_cancelled": figures.get("orders_cancelled"),
            "positions_affected": figures.get("positions_affected"),
            "user_notified": figures.get("user_notified"),
            "status": "false_trigger" if figures.get("false_trigger") else None,
        }
        assignments = [f"{name} = :{name}" for name, value in values.items() if value is not None]
        if note:
            assignments.append("notes = trim(notes || ' ' || :note)")
        if not assignments:
            return
        cursor = self._execute(
            f"UPDATE circuit_breaker_events SET {', '.join(assignments)} WHERE id = :id",
            {**values, "note": note, "id": event_id},
        )
        if cursor.rowcount != 1:
            raise StoreError(f"there is no circuit breaker event {event_id}")

    def note_quiescent(self, event_id: int, epoch: int, now_ms: int) -> int:
        """The episode's trip of ``epoch`` came to rest; an earlier note stands and is returned.

        Raises StoreError when there is no such trip.
        """
        key = {"id": event_id, "epoch": epoch}
        where = (
            " WHERE (id = :id OR episode_id = :id) AND epoch = :epoch"
            " AND kind IN ('trip', 'retrip', 'relapse')"
        )
        self._execute(
            "UPDATE circuit_breaker_events SET quiescent_at = coalesce(quiescent_at, :iso),"
            " quiescent_at_ms = coalesce(quiescent_at_ms, :now)" + where,
            {**key, "iso": iso(now_ms), "now": now_ms},
        )
        row = self._row("SELECT quiescent_at_ms FROM circuit_breaker_events" + where, key)
        if row is None:
            raise StoreError(f"event {event_id} has no trip of epoch {epoch}")
        return int(row["quiescent_at_ms"])

    def get(self, event_id: int) -> sqlite3.Row | None:
        """One event by id."""
        return self._row("SELECT * FROM circuit_breaker_events WHERE id = ?", (event_id,))

    def latest(self, limit: int = 50) -> list[sqlite3.Row]:
        """The newest events, newest first."""
        return self._rows("SELECT * FROM circuit_breaker_events ORDER BY id DESC LIMIT ?", (limit,))

    def latest_trip(self, event_id: int) -> sqlite3.Row | None:
        """The newest trip, retrip or relapse of an episode."""
        return self._row(
            "SELECT * FROM circuit_breaker_events WHERE (id = :id OR episode_id = :id)"
            " AND kind IN ('trip', 'retrip', 'relapse') ORDER BY id DESC LIMIT 1",
            {"id": event_id},
        )

    def highest_epoch(self) -> int:
        """The highest epoch ever recorded, in events or orders; 0 in an empty store."""
        row = self._row(
            "SELECT max(coalesce((SELECT max(epoch) FROM circuit_breaker_events), 0),"
            " coalesce((SELECT max(epoch) FROM orders), 0)) AS epoch"
        )
        return int(row["epoch"]) if row else 0

    def totals(self, since_ms: int) -> EpisodeTotals:
        """Totals over the store; ``trips_since`` counts trips and relapses after ``since_ms``."""
        rows = self._rows(
            "SELECT kind, status, triggered_at_ms, trigger_reason, downtime_seconds, capital_saved"
            " FROM circuit_breaker_events WHERE kind IN ('trip', 'retrip', 'relapse') ORDER BY id"
        )
        counted = [row for row in rows if row["kind"] != "retrip"]
        saved = [Decimal(row["capital_saved"]) for row in rows if row["capital_saved"] is not None]
        last = rows[-1] if rows else None
        return EpisodeTotals(
            trips=len(counted),
            false_trips=sum(1 for row in counted if row["status"] == "false_trigger"),
            trips_since=sum(1 for row in counted if row["triggered_at_ms"] > since_ms),
            downtime_seconds=sum(row["downtime_seconds"] or 0.0 for row in rows),
            capital_saved=sum(saved, Decimal(0)),
            last_trip_at_ms=last["triggered_at_ms"] if last else None,
            last_trip_reason=last["trigger_reason"] if last else None,
        )
