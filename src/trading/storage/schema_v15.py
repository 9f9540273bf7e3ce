"""Schema version 15: funding of futures, and an audit log that speaks of closed trades, too."""

from __future__ import annotations

import json
import sqlite3

from trading.clock import SystemClock, iso
from trading.storage.audit_chain import FIRST_PREVIOUS_HASH, entry_hash

# ``entry_client_order_id`` is the position or trade that it belongs to; NULL: to none of ours.
FUNDING_PAYMENTS = """
CREATE TABLE funding_payments (
    venue TEXT NOT NULL,
    payment_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    amount TEXT NOT NULL,
    paid_at TEXT NOT NULL,
    paid_at_ms INTEGER NOT NULL,
    entry_client_order_id TEXT,
    PRIMARY KEY (venue, payment_id)
)
"""

TABLES = (FUNDING_PAYMENTS,)
INDEXES = (("funding_payments", ("entry_client_order_id",)),)
COLUMNS = (("trades", "funding TEXT NOT NULL DEFAULT '0'"),)
COUNTED = ("trades",)


def note_rows_before(connection: sqlite3.Connection) -> None:
    """An entry that says which rows are older than their entries; none in a new store."""
    rows = {
        table: connection.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()[0]
        for table in COUNTED
    }
    if not any(rows.values()):
        return
    last = connection.execute("SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1")
    seq, previous_hash = last.fetchone() or (0, FIRST_PREVIOUS_HASH)
    now_ms = SystemClock().now_ms()
    payload = json.dumps({"last_rowids_before": rows}, separators=(",", ":"))
    values = (seq + 1, iso(now_ms), now_ms, "store", "core", "audit_log", payload, previous_hash)
    connection.execute(
        "INSERT INTO audit_log (seq, timestamp, timestamp_ms, kind, actor, subject, payload,"
        " previous_hash, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*values, entry_hash(*values)),
    )
