"""Rows of desk_notes. Read by what shows notes to people, and by nothing else."""

from __future__ import annotations

import sqlite3

from trading.clock import DAY_MS, HOUR_MS, iso
from trading.model.desk import DeskKind, DeskNote, StoredNote
from trading.storage.repository import Repository, from_json, to_json

_LISTS = ("causes", "what_to_check", "proposed_steps")


class DeskNoteRepository(Repository):
    """Writes and reads notes."""

    def record(self, note: DeskNote, now_ms: int) -> int:
        """Add one; returns its id."""
        values = note.model_dump(mode="json")
        for name in _LISTS:
            values[name] = to_json(values[name])
        return self._insert(
            "desk_notes", {"created_at": iso(now_ms), "created_at_ms": now_ms, **values}
        )

    def newest(self, kind: DeskKind, subject_id: str, key: str | None = None) -> StoredNote | None:
        """The newest note about a subject; with ``key``, only one of these very facts."""
        row = self._row(
            "SELECT * FROM desk_notes WHERE kind = :kind AND subject_id = :id"
            " AND (:key IS NULL OR subject_key = :key) ORDER BY id DESC LIMIT 1",
            {"kind": kind.value, "id": subject_id, "key": key},
        )
        return _note(row) if row is not None else None

    def between(self, start_ms: int, end_ms: int) -> list[StoredNote]:
        """The newest note about each subject of a time, in the order of the subjects."""
        rows = self._rows(
            "SELECT * FROM desk_notes WHERE id IN (SELECT max(id) FROM desk_notes"
            " WHERE subject_at_ms < :end AND (subject_at_ms >= :start"
            " OR kind IN ('day', 'errors') AND subject_at_ms > :start - :day)"
            " GROUP BY kind, subject_id) ORDER BY subject_at_ms, id",
            {"start": start_ms, "end": end_ms, "day": DAY_MS},
        )
        return [_note(row) for row in rows]

    def of_events_in_hour(self, now_ms: int, kind: DeskKind | None = None) -> int:
        """How many notes came of events within the last hour."""
        rows = self._rows(
            "SELECT count(*) FROM desk_notes WHERE occasion = 'event' AND created_at_ms > :since"
            " AND (:kind IS NULL OR kind = :kind)",
            {"since": now_ms - HOUR_MS, "kind": kind.value if kind is not None else None},
        )
        return int(rows[0][0])

    def covers(self, kind: DeskKind, key: str, since_ms: int) -> bool:
        """Whether a note with ``key`` is about a time after ``since_ms``."""
        row = self._row(
            "SELECT 1 FROM desk_notes WHERE kind = ? AND subject_key = ? AND subject_at_ms > ?"
            " LIMIT 1",
            (kind.value, key, since_ms),
        )
        return row is not None


def _note(row: sqlite3.Row) -> StoredNote:
    values = dict(zip(row.keys(), row, strict=True))
    for name in _LISTS:
        values[name] = from_json(values[name])
    return StoredNote.model_validate(values)
