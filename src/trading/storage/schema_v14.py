"""Schema version 14: what the safety desk's agents wrote, for people to read."""

from __future__ import annotations

DESK_NOTES = """
CREATE TABLE desk_notes (
    id INTEGER PRIMARY KEY,
    created_at TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN
        ('refusal', 'reconciliation', 'errors', 'day', 'session')),
    subject_id TEXT NOT NULL,
    subject_key TEXT NOT NULL,
    subject_title TEXT NOT NULL,
    subject_at_ms INTEGER NOT NULL,
    occasion TEXT NOT NULL CHECK (occasion IN ('event', 'request')),
    agent_name TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('explained', 'abstained', 'failed')),
    summary TEXT NOT NULL,
    causes TEXT NOT NULL,
    what_to_check TEXT NOT NULL,
    proposed_steps TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    prompt_version TEXT NOT NULL,
    prompt_hash TEXT NOT NULL,
    problem TEXT NOT NULL
)
"""

TABLES = (DESK_NOTES,)
INDEXES = (
    ("desk_notes", ("kind", "subject_id")),
    ("desk_notes", ("subject_at_ms",)),
)
