"""Schema version 12: what the account was worth from minute to minute, and what a replay was."""

from __future__ import annotations

# ``without_breaker`` is what the account would be worth had the breaker not acted: in a live run
# while a halt lasts, after a replay throughout. NULL where nothing is known of it.
EQUITY_POINTS = """
CREATE TABLE equity_points (
    venue TEXT NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    equity TEXT NOT NULL,
    cash TEXT NOT NULL,
    without_breaker TEXT,
    benchmark_price TEXT,
    PRIMARY KEY (venue, timestamp_ms)
) WITHOUT ROWID
"""

REPLAYS = """
CREATE TABLE replays (
    id INTEGER PRIMARY KEY,
    finished_at TEXT NOT NULL,
    finished_at_ms INTEGER NOT NULL,
    report TEXT NOT NULL
)
"""

TABLES = (EQUITY_POINTS, REPLAYS)
