"""Schema version 13: what a look back at a closed trade found, beside its spike."""

from __future__ import annotations

COLUMNS = (
    ("trades", "reviewed_at TEXT"),
    ("trades", "reviewed_at_ms INTEGER"),
    ("spike_events", "post_trade_analysis TEXT"),
)
