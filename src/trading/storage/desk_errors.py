"""Errors that repeat: what the store has of a day, and what a running core adds to it."""

from __future__ import annotations

from typing import Any

from trading.clock import DAY_MS, iso
from trading.model.desk import DeskKind, DeskSubject
from trading.model.recovery import RecoveryStatus
from trading.storage.repository import Repository, digest_of

WORTH_A_NOTE = 3  # errors alike
MOST_PATTERNS = 30

# Each gives name, count, the newest one's message and its time. Model calls are dated by the
# wall's clock, everything else by the market's.
_PATTERNS = (
    """SELECT 'risk event ' || rule AS name, count(*) AS count, message, max(timestamp) AS last
    FROM risk_events WHERE timestamp_ms >= ? AND timestamp_ms < ?
    AND severity IN ('warning', 'critical') GROUP BY rule""",
    """SELECT 'model ' || model AS name, count(*) AS count, error AS message,
    max(timestamp) AS last
    FROM model_calls WHERE timestamp_ms >= ? AND timestamp_ms < ? AND NOT ok GROUP BY model""",
    # A tool that is refused while trading is halted works as it should.
    """SELECT 'tool ' || tool_name || ' ' || coalesce(json_extract(result, '$.error'), '') AS name,
    count(*) AS count, coalesce(json_extract(result, '$.message'), '') AS message,
    max(timestamp) AS last
    FROM tool_executions WHERE timestamp_ms >= ? AND timestamp_ms < ? AND NOT ok
    AND coalesce(json_extract(result, '$.error'), '') NOT IN
        ('TradingHaltedError', 'StaleEpochError') GROUP BY name""",
    """SELECT 'agent ' || agent_name || ' ' || decision AS name, count(*) AS count,
    reasoning AS message, max(timestamp) AS last
    FROM agent_decisions WHERE timestamp_ms >= ? AND timestamp_ms < ?
    AND decision IN ('failed', 'invalid output') GROUP BY agent_name, decision""",
)


class ErrorReader(Repository):
    """Patterns of one UTC day."""

    def subject(self, start_ms: int, recovery: RecoveryStatus | None) -> DeskSubject | None:
        """What repeated on the day that begins then; None when nothing did."""
        found: list[dict[str, Any]] = []
        for sql in _PATTERNS:
            found += [
                {
                    "name": row["name"].strip(),
                    "count": row["count"],
                    "last_at": row["last"],
                    "last_message": row["message"],
                    "suggestion": None,
                }
                for row in self._rows(sql, (start_ms, start_ms + DAY_MS))
                if row["count"] >= WORTH_A_NOTE
            ]
        live = recovery or RecoveryStatus()
        found += [
            {
                "name": f"{one.service} {one.kind}" + (f" {one.code}" if one.code else ""),
                "count": one.count,
                "last_at": iso(one.last_at_ms),
                "last_message": one.last_message,
                "suggestion": one.suggestion,
            }
            for one in live.patterns
            if start_ms <= one.last_at_ms < start_ms + DAY_MS
        ]
        if not found:
            return None
        found.sort(key=lambda pattern: -pattern["count"])
        found = found[:MOST_PATTERNS]
        day = iso(start_ms)[:10]
        return DeskSubject(
            kind=DeskKind.ERRORS,
            id=day,
            key=digest_of([day, *sorted(pattern["name"] for pattern in found)]),
            title=f"repeated errors of {day}",
            at_ms=start_ms,
            facts={
                "patterns": found,
                "recovery": {
                    "recovered": live.recovered,
                    "given_up": live.given_up,
                    "recovery_rate": live.recovery_rate,
                    "not_answering": [one.name for one in live.services if not one.ok],
                }
                if recovery is not None
                else None,
            },
        )
