"""Spikes that were not traded, and what would have come of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from trading.storage.repository import Repository


class UntradedRepository(Repository):
    """Reads rising spikes without a trade, writes their outcome. Long only: falls are no trades."""

    def open(self, since_ms: int) -> list[sqlite3.Row]:
        """Those detected since then whose run is over and whose outcome is not known yet."""
        return self._rows(
            "SELECT id, trading_pair, timestamp_ms, price_to, magnitude_percent, risk_assessment"
            " FROM spike_events WHERE timestamp_ms >= ? AND status IN ('analyzed', 'skipped')"
            " AND direction = 'up' AND trade_id IS NULL AND untraded_outcome IS NULL"
            " ORDER BY timestamp_ms, id",
            (since_ms,),
        )

    def judge(self, outcomes: Iterable[tuple[str, str]]) -> None:
        """Store outcomes by spike; one that was traded after all (approved late) keeps none."""
        for spike_id, outcome in outcomes:
            self._execute(
                "UPDATE spike_events SET untraded_outcome = ? WHERE id = ? AND trade_id IS NULL"
                " AND status <> 'traded'",
                (outcome, spike_id),
            )
