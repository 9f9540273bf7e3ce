"""Schema version 6: the audit log, a chain in which every row holds the hash of the one before.

The triggers stop edits by mistake, not by intent: whoever can write the file can drop them. What
finds intent is the chain together with its head record (``trading.storage.audit_anchor``).
AUTOINCREMENT keeps the highest number ever used beside the table, so that a cut end shows.
"""

from __future__ import annotations

import json
import sqlite3

from trading.clock import SystemClock, iso
from trading.storage.audit_chain import FIRST_PREVIOUS_HASH, entry_hash

AUDIT_LOG = """
CREATE TABLE audit_log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp TEXT NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    subject TEXT NOT NULL,
    payload TEXT NOT NULL,
    previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL
)
"""

TRIGGERS = {
    name: f"CREATE TRIGGER {name} {moment} ON audit_log"
    " BEGIN SELECT raise(ABORT, 'the audit log only grows'); END"
    for name, moment in (
        ("audit_log_is_never_edited", "BEFORE UPDATE"),
        ("audit_log_is_never_cut", "BEFORE DELETE"),
    )
}

INDEXES = (("audit_log", ("kind", "timestamp_ms")), ("audit_log", ("subject",)))

# What was there before the audit log began has no entries in it.
COUNTED = ("orders", "fills", "circuit_breaker_events", "agent_decisions")


def create(connection: sqlite3.Connection) -> None:
    """Table, triggers and the first entry."""
    connection.execute(AUDIT_LOG)
    for statement in TRIGGERS.values():
        connection.execute(statement)
    rows = {
        table: connection.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()[0]
        for table in COUNTED
    }
    now_ms = SystemClock().now_ms()
    payload = json.dumps({"last_rowids_before": rows}, separators=(",", ":"))
    values = (1, iso(now_ms), now_ms, "store", "core", "audit_log", payload, FIRST_PREVIOUS_HASH)
    connection.execute(
        "INSERT INTO audit_log (seq, timestamp, timestamp_ms, kind, actor, subject, payload,"
        " previous_hash, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*values, entry_hash(*values)),
    )
