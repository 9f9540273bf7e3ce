"""Schema version 2: what a store remembers of the halt that gateways share through Redis."""

from __future__ import annotations

FLEET_MEMORY = """
CREATE TABLE fleet_memory (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    node TEXT NOT NULL,
    seen_epoch INTEGER NOT NULL,
    owned_epoch INTEGER NOT NULL,
    told_epoch INTEGER NOT NULL
)
"""

TABLES = (FLEET_MEMORY,)
