"""Schema version 9: what loss limits count from, and the price an order was decided at."""

from __future__ import annotations

EQUITY_MARKS = """
CREATE TABLE equity_marks (
    venue TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('day', 'week', 'peak')),
    equity TEXT NOT NULL,
    marked_at TEXT NOT NULL,
    marked_at_ms INTEGER NOT NULL,
    tripped INTEGER NOT NULL DEFAULT 0 CHECK (tripped IN (0, 1)),
    PRIMARY KEY (venue, kind)
)
"""

DECISION_PRICE = "ALTER TABLE orders ADD COLUMN decision_price TEXT"

STATEMENTS = (EQUITY_MARKS, DECISION_PRICE)
