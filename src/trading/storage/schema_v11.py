"""Schema version 11: comparisons with the venue's account, and what each one saw."""

from __future__ import annotations

RECONCILIATION_REPORTS = """
CREATE TABLE reconciliation_reports (
    id INTEGER PRIMARY KEY,
    venue TEXT NOT NULL,
    compared_at TEXT NOT NULL,
    compared_at_ms INTEGER NOT NULL,
    cause TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN
        ('clean', 'differs', 'fixed', 'latched', 'accepted', 'incomplete')),
    problem TEXT NOT NULL DEFAULT '',
    external_orders TEXT NOT NULL DEFAULT '[]',
    fixed_value TEXT NOT NULL DEFAULT '0',
    duration_ms INTEGER NOT NULL
)
"""

POSITION_SNAPSHOTS = """
CREATE TABLE position_snapshots (
    report_id INTEGER NOT NULL REFERENCES reconciliation_reports (id),
    asset TEXT NOT NULL,
    ours TEXT NOT NULL,
    external TEXT NOT NULL,
    dust TEXT NOT NULL,
    at_venue TEXT NOT NULL,
    difference TEXT NOT NULL,
    price TEXT,
    PRIMARY KEY (report_id, asset)
)
"""

TABLES = (RECONCILIATION_REPORTS, POSITION_SNAPSHOTS)

INDEXES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("reconciliation_reports", ("venue", "compared_at_ms")),
)
