"""Schema version 16: what would have come of a spike that was not traded.

NULL: it was traded, points down, is too young, or was not followed for long enough to know.
"""

from __future__ import annotations

COLUMNS = (
    (
        "spike_events",
        "untraded_outcome TEXT CHECK (untraded_outcome IN ('won', 'lost', 'neither'))",
    ),
)
