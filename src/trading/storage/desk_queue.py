"""Which subject waits for a note: what happened lately and nobody has put into words yet."""

from __future__ import annotations

from collections.abc import Callable

from trading.clock import DAY_MS, HOUR_MS, iso
from trading.model.desk import DeskKind, DeskQuery, DeskSubject
from trading.model.recovery import RecoveryStatus
from trading.storage.desk_errors import ErrorReader
from trading.storage.desk_note_repository import DeskNoteRepository
from trading.storage.desk_reader import REFUSED, DeskReader, refusal_key
from trading.storage.repository import Repository

_WEEK_MS = 7 * DAY_MS
_MOST_REFUSALS = 200  # looked through at once


class DeskQueue(Repository):
    """One subject at a time, the most urgent kind first."""

    def next(
        self, query: DeskQuery, now_ms: int, recovery: RecoveryStatus | None
    ) -> DeskSubject | None:
        """What waits; None when nothing does, or when this hour has had its notes."""
        notes = DeskNoteRepository(self._connection)
        if notes.of_events_in_hour(now_ms) >= query.most_per_hour:
            return None
        ways: dict[DeskKind, Callable[[], DeskSubject | None]] = {
            DeskKind.RECONCILIATION: lambda: self._reconciliation(now_ms),
            DeskKind.ERRORS: lambda: self._errors(notes, now_ms, recovery),
            DeskKind.REFUSAL: lambda: self._refusal(notes, now_ms),
            DeskKind.SESSION: lambda: self._session(notes, now_ms),
            DeskKind.DAY: lambda: self._day(notes, now_ms),
        }
        for kind, look in ways.items():
            if kind in query.kinds and (found := look()) is not None:
                return found
        return None

    def _reconciliation(self, now_ms: int) -> DeskSubject | None:
        row = self._row(
            "SELECT id FROM reconciliation_reports AS r WHERE outcome IN ('fixed', 'latched')"
            " AND compared_at_ms > ? AND NOT EXISTS (SELECT 1 FROM desk_notes AS n"
            " WHERE n.kind = 'reconciliation' AND n.subject_id = CAST(r.id AS TEXT))"
            " ORDER BY id LIMIT 1",
            (now_ms - DAY_MS,),
        )
        return self._subject(DeskKind.RECONCILIATION, row["id"]) if row is not None else None

    def _errors(
        self, notes: DeskNoteRepository, now_ms: int, recovery: RecoveryStatus | None
    ) -> DeskSubject | None:
        if notes.of_events_in_hour(now_ms, DeskKind.ERRORS):
            return None
        found = ErrorReader(self._connection).subject(now_ms - now_ms % DAY_MS, recovery)
        if found is None or notes.newest(DeskKind.ERRORS, found.id, found.key) is not None:
            return None
        return found

    def _refusal(self, notes: DeskNoteRepository, now_ms: int) -> DeskSubject | None:
        """The newest of the last hour whose rule and pair have had no note for an hour."""
        rows = self._rows(
            "SELECT max(id) AS id, rule, symbol, max(timestamp_ms) AS at FROM risk_events"
            f" WHERE {REFUSED} AND timestamp_ms > ? GROUP BY rule, symbol"
            " ORDER BY id DESC LIMIT ?",
            (now_ms - HOUR_MS, _MOST_REFUSALS),
        )
        for row in rows:
            key = refusal_key(row["rule"], row["symbol"])
            if not notes.covers(DeskKind.REFUSAL, key, row["at"] - HOUR_MS):
                return self._subject(DeskKind.REFUSAL, row["id"])
        return None

    def _session(self, notes: DeskNoteRepository, now_ms: int) -> DeskSubject | None:
        """The last one that ended."""
        row = self._row(
            "SELECT id FROM simulation_sessions WHERE status <> 'running'"
            " AND coalesce(ended_at_ms, started_at_ms) > ? ORDER BY id DESC LIMIT 1",
            (now_ms - _WEEK_MS,),
        )
        if row is None or notes.newest(DeskKind.SESSION, str(row["id"])) is not None:
            return None
        return self._subject(DeskKind.SESSION, row["id"])

    def _day(self, notes: DeskNoteRepository, now_ms: int) -> DeskSubject | None:
        """Yesterday, once it is over."""
        today_ms = now_ms - now_ms % DAY_MS
        said = notes.newest(DeskKind.DAY, iso(today_ms - DAY_MS)[:10])
        if said is not None and said.created_at_ms >= today_ms:
            return None
        found = DeskReader(self._connection).day(today_ms - DAY_MS)
        if found is None or notes.newest(DeskKind.DAY, found.id, found.key) is not None:
            return None
        return found

    def _subject(self, kind: DeskKind, row_id: int) -> DeskSubject:
        return DeskReader(self._connection).subject(kind, str(row_id))
