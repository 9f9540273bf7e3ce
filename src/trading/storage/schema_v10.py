"""Schema version 10: what models use, and which prompt and model each decision came from."""

from __future__ import annotations

MODEL_CALLS = """
CREATE TABLE model_calls (
    id INTEGER PRIMARY KEY,
    timestamp TEXT NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    crew TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    task TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    prompt_hash TEXT NOT NULL,
    ok INTEGER NOT NULL CHECK (ok IN (0, 1)),
    error TEXT NOT NULL,
    input_tokens INTEGER NOT NULL CHECK (input_tokens >= 0),
    output_tokens INTEGER NOT NULL CHECK (output_tokens >= 0),
    estimated INTEGER NOT NULL CHECK (estimated IN (0, 1)),
    cost_micro_usd INTEGER NOT NULL CHECK (cost_micro_usd >= 0),
    duration_ms REAL NOT NULL,
    spike_event_id TEXT
)
"""

TABLES = (MODEL_CALLS,)
INDEXES = (("model_calls", ("timestamp_ms",)),)

DECISION_COLUMNS = (
    "decided_by TEXT NOT NULL DEFAULT ''",
    "prompt_version TEXT NOT NULL DEFAULT ''",
    "prompt_hash TEXT NOT NULL DEFAULT ''",
    "model_calls INTEGER NOT NULL DEFAULT 0",
    "tokens INTEGER NOT NULL DEFAULT 0",
    "cost_micro_usd INTEGER NOT NULL DEFAULT 0",
)
