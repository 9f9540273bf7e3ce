"""Schema version 5: runs on virtual money, each with what it began and ended with."""

from __future__ import annotations

SIMULATION_SESSIONS = """
CREATE TABLE simulation_sessions (
    id INTEGER PRIMARY KEY,
    venue TEXT NOT NULL,
    market TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'interrupted')),
    quote_asset TEXT NOT NULL,
    started_at TEXT NOT NULL,
    started_at_ms INTEGER NOT NULL,
    ended_at TEXT,
    ended_at_ms INTEGER,
    virtual_balance TEXT NOT NULL,
    final_balance TEXT,
    total_trades INTEGER NOT NULL DEFAULT 0,
    winning_trades INTEGER NOT NULL DEFAULT 0,
    profit_loss TEXT NOT NULL DEFAULT '0',
    fees TEXT NOT NULL DEFAULT '0'
)
"""

SIMULATION_TRADES = """
CREATE TABLE simulation_trades (
    id INTEGER PRIMARY KEY,
    session_id INTEGER NOT NULL REFERENCES simulation_sessions (id),
    entry_client_order_id TEXT NOT NULL,
    spike_event_id TEXT,
    symbol TEXT NOT NULL,
    quantity TEXT NOT NULL,
    entry_price TEXT NOT NULL,
    exit_price TEXT NOT NULL,
    profit_loss TEXT NOT NULL,
    fees TEXT NOT NULL,
    exit_reason TEXT NOT NULL,
    opened_at TEXT NOT NULL,
    closed_at TEXT NOT NULL,
    UNIQUE (session_id, entry_client_order_id)
)
"""

TABLES = (SIMULATION_SESSIONS, SIMULATION_TRADES)
