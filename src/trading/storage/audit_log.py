"""The audit log: what was decided, sent, filled, tripped, set and commanded, in one chain.

An entry is written in the transaction of what it records, so neither is there without the other.
Several processes on a store write the same chain: a write transaction holds SQLite's write lock
from its start, so the entry an append follows is the newest one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from trading.clock import iso
from trading.storage.audit_chain import FIRST_PREVIOUS_HASH, AuditEntry, AuditHead, entry_hash
from trading.storage.database import atomically, translated_errors
from trading.storage.repository import Repository, to_json

AuditKind = Literal[
    "store",
    "order",
    "fill",
    "breaker",
    "decision",
    "risk",
    "configuration",
    "operator",
    "approval",
    "control",
    "trade",
    "anchor",
]

_TAIL = "SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1"
_INSERT = (
    "INSERT INTO audit_log (seq, timestamp, timestamp_ms, kind, actor, subject, payload,"
    " previous_hash, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def append_audit(
    connection: sqlite3.Connection,
    kind: AuditKind,
    subject: str,
    payload: Mapping[str, Any],
    time_ms: int,
    *,
    actor: str = "core",
) -> AuditHead:
    """Add one entry, within the caller's write transaction where there is one.

    Raises StoreError when it cannot be written: the transaction must then fail, too.
    """
    with atomically(connection, "writing the audit log"), translated_errors("the audit log"):
        last = connection.execute(_TAIL).fetchone()
        seq, previous_hash = (last[0] + 1, last[1]) if last else (1, FIRST_PREVIOUS_HASH)
        text = to_json(payload)
        values = (seq, iso(time_ms), time_ms, kind, actor, subject, text, previous_hash)
        digest = entry_hash(*values)
        connection.execute(_INSERT, (*values, digest))
    return AuditHead(seq, digest)


class AuditLog(Repository):
    """Reads the chain, and adds what has no row of its own elsewhere."""

    def append(
        self,
        kind: AuditKind,
        subject: str,
        payload: Mapping[str, Any],
        time_ms: int,
        *,
        actor: str = "core",
    ) -> AuditHead:
        return append_audit(self._connection, kind, subject, payload, time_ms, actor=actor)

    def head(self) -> AuditHead | None:
        """The newest entry; None in an empty log."""
        row = self._row(_TAIL)
        return AuditHead(row["seq"], row["hash"]) if row is not None else None

    def entry(self, seq: int) -> AuditEntry | None:
        row = self._row("SELECT * FROM audit_log WHERE seq = ?", (seq,))
        return _entry(row) if row is not None else None

    def entries(self) -> Iterator[AuditEntry]:
        """All of them, in order. The store may be read by others meanwhile."""
        with translated_errors("reading the audit log", self._connection):
            for row in self._connection.execute("SELECT * FROM audit_log ORDER BY seq"):
                yield _entry(row)

    def latest(
        self,
        limit: int = 50,
        *,
        kind: str | None = None,
        subject: str | None = None,
        since_ms: int | None = None,
    ) -> list[AuditEntry]:
        """The newest entries, newest first; of one kind, about one subject, since a time."""
        rows = self._rows(
            "SELECT * FROM audit_log WHERE (:kind IS NULL OR kind = :kind)"
            " AND (:subject IS NULL OR subject = :subject)"
            " AND (:since IS NULL OR timestamp_ms >= :since) ORDER BY seq DESC LIMIT :limit",
            {"kind": kind, "subject": subject, "since": since_ms, "limit": limit},
        )
        return [_entry(row) for row in rows]


def _entry(row: sqlite3.Row) -> AuditEntry:
    return AuditEntry(
        seq=row["seq"],
        timestamp=row["timestamp"],
        time_ms=row["timestamp_ms"],
        kind=row["kind"],
        actor=row["actor"],
        subject=row["subject"],
        payload=row["payload"],
        previous_hash=row["previous_hash"],
        hash=row["hash"],
    )
