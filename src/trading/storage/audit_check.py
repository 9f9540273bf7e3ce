"""``audit verify``: the chain, its end, its protection, and the tables it speaks of."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trading.errors import StoreError
from trading.storage.audit_anchor import AuditAnchor
from trading.storage.audit_chain import AuditEntry, AuditFinding, AuditHead, check_chain
from trading.storage.audit_log import AuditLog
from trading.storage.audit_records import RecordedRows
from trading.storage.schema_v6 import TRIGGERS

MOST_FINDINGS = 100  # after the first break nearly all that follows may be one


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What the check found. ``noted`` is the head record beside the store."""

    intact: bool
    entries: int
    head: AuditHead | None
    noted: AuditHead | None
    findings: tuple[AuditFinding, ...]
    more_findings: int = 0


def check_audit_log(
    connection: sqlite3.Connection, anchor: AuditAnchor, heads: Sequence[AuditHead] = ()
) -> AuditReport:
    """Check everything that is in the store now; ``heads`` are kept elsewhere.

    Raises StoreError when the store cannot be read.
    """
    noted, findings = _noted(anchor)
    connection.execute("PRAGMA query_only = ON")
    connection.text_factory = _any_text
    try:
        connection.execute("BEGIN")  # one moment for the log and the tables
        try:
            found = [*findings, *_check(connection, (*heads, *((noted,) if noted else ())))]
            log = AuditLog(connection)
            head = log.head()
            count = connection.execute("SELECT count(*) FROM audit_log").fetchone()[0]
        finally:
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise StoreError(f"checking the audit log: {error}") from error
    finally:
        connection.text_factory = str
        connection.execute("PRAGMA query_only = OFF")
    return AuditReport(
        intact=not found,
        entries=count,
        head=head,
        noted=noted,
        findings=tuple(found[:MOST_FINDINGS]),
        more_findings=max(len(found) - MOST_FINDINGS, 0),
    )


def _noted(anchor: AuditAnchor) -> tuple[AuditHead | None, list[AuditFinding]]:
    try:
        noted = anchor.read()
    except StoreError as error:
        return None, [AuditFinding("truncated", 0, str(error))]
    if noted is None:
        missing = f"no head record at {anchor.path}: a cut end would not show"
        return None, [AuditFinding("truncated", 0, missing)]
    return noted, []


def _check(connection: sqlite3.Connection, heads: Sequence[AuditHead]) -> Iterator[AuditFinding]:
    rows = RecordedRows()

    def entries() -> Iterator[AuditEntry]:
        for entry in AuditLog(connection).entries():
            rows.add(entry)
            yield entry

    yield from check_chain(entries(), heads)
    yield from _check_end(connection)
    present = {row["name"]: row["sql"] for row in _triggers(connection)}
    for name, statement in TRIGGERS.items():
        if present.get(name) != statement:
            yield AuditFinding("unprotected", 0, f"trigger {name} is gone: rows could be edited")
    yield from rows.compare(connection)


def _check_end(connection: sqlite3.Connection) -> Iterator[AuditFinding]:
    """The table's last number against the highest that SQLite ever gave it."""
    last = connection.execute("SELECT coalesce(max(seq), 0) FROM audit_log").fetchone()[0]
    highest = connection.execute(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'audit_log'"
    ).fetchone()[0]
    if last == 0:
        yield AuditFinding("truncated", 0, "the log is empty; a store begins with an entry")
    if highest != last:
        yield AuditFinding(
            "truncated", last, f"the log ends at {last}, its numbers went up to {highest}"
        )


def _triggers(connection: sqlite3.Connection) -> list[sqlite3.Row]:
    return connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_log'"
    ).fetchall()


def _any_text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")
