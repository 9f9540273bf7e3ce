"""Rows of spike_events: what was detected, what the crew made of it, how it ended.

The outcome of a traded spike is written with the closed trade, in ``position_repository``.
"""

from __future__ import annotations

import sqlite3

from trading.clock import iso
from trading.errors import StoreError
from trading.model.decision import SpikeRunReport
from trading.model.spike import Spike, SpikeStatus
from trading.storage.repository import Repository, to_json, to_text

DETECTOR = "spike_detector"  # the deterministic detector, which is no agent


class SpikeRepository(Repository):
    """Writes and reads spike_events."""

    def insert(self, spike: Spike, detected_by: str = DETECTOR) -> bool:
        """Add a detected spike; False when the same spike is there already."""
        cursor = self._execute(
            "INSERT INTO spike_events (id, timestamp, timestamp_ms, trading_pair, spike_type,"
            " direction, magnitude_percent, timeframe_minutes, volume_multiplier, z_score,"
            " price_from, price_to, confidence_score, detection_latency_ms, agent_detected_by,"
            " severity, trigger_value, trigger_limit, co_movement, isolated_share,"
            " btc_move_percent, pump_likelihood, pump_features, evidence)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO NOTHING",
            (
                spike.id,
                iso(spike.detected_at_ms),
                spike.detected_at_ms,
                spike.symbol,
                spike.type.value,
                spike.direction.value,
                spike.magnitude_pct,
                spike.timeframe_minutes,
                spike.volume_multiple,
                spike.z_score,
                to_text(spike.price_from),
                to_text(spike.price_to),
                spike.confidence,
                spike.detection_latency_ms,
                detected_by,
                spike.severity.value,
                spike.trigger_value,
                spike.trigger_limit,
                spike.co_movement.value,
                spike.isolated_share,
                spike.btc_move_pct,
                spike.pump_likelihood,
                to_json(spike.pump_features),
                spike.evidence,
            ),
        )
        return cursor.rowcount == 1

    def set_status(self, spike_id: str, status: SpikeStatus, note: str = "") -> None:
        """Move the spike on; a traded one stays traded. Raises StoreError for an unknown id."""
        self._update(
            "status = CASE status WHEN 'traded' THEN status ELSE :status END, note = :note",
            spike_id,
            {"status": status.value, "note": note},
        )

    def finish(self, report: SpikeRunReport, status: SpikeStatus) -> None:
        """Store what the crew's run found. Raises StoreError for an unknown id."""
        self._update(
            "status = CASE status WHEN 'traded' THEN status ELSE :status END, note = :note,"
            " context_analysis = :context, risk_assessment = :risk",
            report.spike_id,
            {
                "status": status.value,
                "note": report.reason,
                "context": _json_or_none(report.context_analysis),
                "risk": _json_or_none(report.risk_assessment),
            },
        )

    def skip_waiting(self, note: str) -> None:
        """Close every spike that no run has finished: whoever was to look at it is gone."""
        self._execute(
            "UPDATE spike_events SET status = 'skipped', note = ? WHERE status = 'detected'",
            (note,),
        )

    def get(self, spike_id: str) -> sqlite3.Row | None:
        """One spike by id."""
        return self._row("SELECT * FROM spike_events WHERE id = ?", (spike_id,))

    def latest(self, limit: int = 50) -> list[sqlite3.Row]:
        """The newest spikes, newest first."""
        return self._rows(
            "SELECT * FROM spike_events ORDER BY timestamp_ms DESC, id LIMIT ?", (limit,)
        )

    def of_kind(
        self, spike_type: str, direction: str, before_ms: int, limit: int
    ) -> list[sqlite3.Row]:
        """The newest spikes of a kind and direction that were detected before ``before_ms``."""
        return self._rows(
            "SELECT * FROM spike_events WHERE spike_type = ? AND direction = ?"
            " AND timestamp_ms < ? ORDER BY timestamp_ms DESC, id LIMIT ?",
            (spike_type, direction, before_ms, limit),
        )

    def _update(self, assignments: str, spike_id: str, values: dict[str, str | None]) -> None:
        cursor = self._execute(
            f"UPDATE spike_events SET {assignments} WHERE id = :id", {**values, "id": spike_id}
        )
        if cursor.rowcount != 1:
            raise StoreError(f"there is no spike {spike_id}")


def _json_or_none(value: dict[str, object] | None) -> str | None:
    return None if value is None else to_json(value)
