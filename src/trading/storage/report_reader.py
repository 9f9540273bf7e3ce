"""Reads what a report tells of a period; writes nothing.

A period is from ``start_ms`` up to ``end_ms``, in market time.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from trading.storage.decision_repository import DecisionRepository
from trading.storage.repository import Repository, from_json
from trading.storage.risk_event_repository import ACCOUNT_FORGOTTEN

Row = dict[str, Any]

_SPAN = """
SELECT min(first) AS first, max(last) AS last FROM (
    SELECT min(timestamp_ms) AS first, max(timestamp_ms) AS last FROM equity_points
    UNION ALL SELECT min(timestamp_ms), max(timestamp_ms) FROM spike_events
    UNION ALL SELECT min(triggered_at_ms), max(triggered_at_ms) FROM circuit_breaker_events
    UNION ALL SELECT min(timestamp_ms), max(timestamp_ms) FROM agent_decisions
    UNION ALL SELECT min(created_at_ms), max(updated_at_ms) FROM orders
    UNION ALL SELECT min(closed_at_ms), max(closed_at_ms) FROM trades
    UNION ALL SELECT min(timestamp_ms), max(timestamp_ms) FROM risk_events
)
"""

_REFUSALS = """
SELECT rule, count(*) AS count, max(timestamp) AS latest,
    sum(severity = 'critical') AS critical, message, limit_value, value
FROM (SELECT * FROM risk_events WHERE timestamp_ms >= ? AND timestamp_ms < ?
    AND rule <> ? ORDER BY id)
GROUP BY rule ORDER BY count DESC, rule
"""

# Wall time: money is spent by the wall's clock, whatever time the market has.
_MODELS = """
SELECT provider, model, count(*) AS calls, sum(NOT ok) AS failed,
    sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(cost_micro_usd) AS cost_micro_usd, avg(duration_ms) AS duration_ms,
    max(estimated) AS estimated
FROM model_calls WHERE timestamp_ms >= ? AND timestamp_ms < ?
GROUP BY provider, model ORDER BY cost_micro_usd DESC, calls DESC
"""

# What a new account began with in market time, and what was recorded of later times before that.
_OVERLAP = """
SELECT EXISTS (
    SELECT 1 FROM audit_log AS begun JOIN audit_log AS earlier
    ON earlier.kind IN ('order', 'fill', 'trade', 'decision')
    AND earlier.timestamp_ms > begun.timestamp_ms AND earlier.seq < begun.seq
    WHERE begun.kind = 'risk' AND begun.subject = ?
) AS found
"""

_USED = """
SELECT agent_name, sum(model_calls) AS model_calls, sum(tokens) AS tokens,
    sum(cost_micro_usd) AS cost_micro_usd
FROM agent_decisions WHERE timestamp_ms >= ? AND timestamp_ms < ?
GROUP BY agent_name ORDER BY agent_name
"""


@dataclass(frozen=True, slots=True)
class Period:
    start_ms: int
    end_ms: int

    @property
    def bounds(self) -> tuple[int, int]:
        return self.start_ms, self.end_ms


class ReportReader(Repository):
    """Rows as the store has them."""

    def span(self) -> Period | None:
        """From the first row to just after the last; None of an empty store."""
        row = self._row(_SPAN)
        if row is None or row["first"] is None:
            return None
        return Period(row["first"], row["last"] + 1)

    def venues(self) -> tuple[str, ...]:
        """Venues that anything was ordered or held on, the one of the newest order first."""
        rows = self._rows(
            "SELECT venue FROM orders GROUP BY venue ORDER BY max(updated_at_ms) DESC"
        )
        return tuple(row["venue"] for row in rows)

    def replay(self) -> Row | None:
        """The report of the replay that left this store behind; None of any other store."""
        row = self._row("SELECT report FROM replays ORDER BY id DESC LIMIT 1")
        found: Row | None = from_json(row["report"]) if row is not None else None
        return found

    def account_beginnings(self, period: Period) -> list[int]:
        """When the venue's account was a new one, so that equity begins anew."""
        rows = self._rows(
            "SELECT timestamp_ms FROM risk_events WHERE rule = ? AND timestamp_ms >= ?"
            " AND timestamp_ms < ? ORDER BY id",
            (ACCOUNT_FORGOTTEN, *period.bounds),
        )
        return [row["timestamp_ms"] for row in rows]

    def accounts_overlap(self) -> bool:
        """Whether a new account lived through times that one before it had lived through, as when
        a recording is played twice: their rows cannot be told apart by time."""
        row = self._row(_OVERLAP, (ACCOUNT_FORGOTTEN,))
        return row is not None and bool(row["found"])

    def breaker_events(self, period: Period) -> list[Row]:
        """Every transition, oldest first."""
        return self._all(
            "SELECT * FROM circuit_breaker_events WHERE triggered_at_ms >= ?"
            " AND triggered_at_ms < ? ORDER BY id",
            period.bounds,
        )

    def breaker_transitions(self, start_ms: int, end_ms: int) -> list[Row]:
        """When, from what to what, by whom and why; oldest first."""
        return self._all(
            "SELECT triggered_at AS at, from_status, to_status, epoch, actor, rule,"
            " trigger_reason AS reason FROM circuit_breaker_events WHERE triggered_at_ms >= ?"
            " AND triggered_at_ms < ? ORDER BY id",
            (start_ms, end_ms),
        )

    def breaker_status_at(self, time_ms: int) -> str:
        """The status that held at ``time_ms``."""
        row = self._row(
            "SELECT to_status FROM circuit_breaker_events WHERE triggered_at_ms < ?"
            " ORDER BY id DESC LIMIT 1",
            (time_ms,),
        )
        return row["to_status"] if row is not None else "SAFE"

    def trades(self, venue: str, period: Period) -> list[Row]:
        """Round trips that were closed, in that order."""
        return self._all(
            "SELECT * FROM trades WHERE venue = ? AND closed_at_ms >= ? AND closed_at_ms < ?"
            " ORDER BY closed_at_ms, id",
            (venue, *period.bounds),
        )

    def spikes(self, period: Period) -> list[Row]:
        """Spikes, oldest first."""
        return self._all(
            "SELECT * FROM spike_events WHERE timestamp_ms >= ? AND timestamp_ms < ?"
            " ORDER BY timestamp_ms, id",
            period.bounds,
        )

    def agents(self, period: Period) -> list[Row]:
        """What agent_performance has of each agent, summed up over the period, and what the models
        that it asked for its decisions used."""
        decisions = DecisionRepository(self._connection)
        return [
            {**used, **decisions.performance(used["agent_name"], *period.bounds)}
            for used in self._all(_USED, period.bounds)
        ]

    def traded_decisions(self, period: Period, limit: int) -> list[Row]:
        """What was decided on spikes that were traded; the newest ``limit``, in their order."""
        rows = self._all(
            "SELECT * FROM agent_decisions WHERE timestamp_ms >= ? AND timestamp_ms < ?"
            " AND trade_id IS NOT NULL ORDER BY id DESC LIMIT ?",
            (*period.bounds, limit),
        )
        return rows[::-1]

    def refusals(self, period: Period) -> list[Row]:
        """Risk events by rule, each with the newest one's limit, value and message."""
        return self._all(_REFUSALS, (*period.bounds, ACCOUNT_FORGOTTEN))

    def models(self, wall: Period) -> list[Row]:
        """Calls by model within ``wall``, which is a period of wall time."""
        return self._all(_MODELS, wall.bounds)

    def _all(self, sql: str, parameters: tuple[Any, ...]) -> list[Row]:
        return [_plain(row) for row in self._rows(sql, parameters)]


def _plain(row: sqlite3.Row) -> Row:
    return dict(zip(row.keys(), row, strict=True))
