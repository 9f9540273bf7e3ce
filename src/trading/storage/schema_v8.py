"""Schema version 8: what people decide: approvals of single entries, and what they have stopped."""

from __future__ import annotations

APPROVALS = """
CREATE TABLE approvals (
    id INTEGER PRIMARY KEY,
    venue TEXT NOT NULL,
    intent_hash TEXT NOT NULL UNIQUE,
    spike_event_id TEXT,
    status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'refused', 'expired')),
    symbol TEXT NOT NULL,
    quantity TEXT NOT NULL,
    limit_price TEXT NOT NULL,
    notional TEXT NOT NULL,
    last_price TEXT NOT NULL,
    proposal TEXT NOT NULL,
    requested_at TEXT NOT NULL,
    requested_at_ms INTEGER NOT NULL,
    expires_at TEXT NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    decided_at TEXT,
    decided_at_ms INTEGER,
    reason TEXT NOT NULL DEFAULT '',
    result TEXT
)
"""

OPERATING_CONTROLS = """
CREATE TABLE operating_controls (
    name TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    since TEXT NOT NULL,
    since_ms INTEGER NOT NULL
)
"""

TABLES = (APPROVALS, OPERATING_CONTROLS)
INDEXES = (("approvals", ("status",)),)
