"""Schema version 4: what triggered a spike, how severe it is, and whose move it was.

``trigger_value`` and ``trigger_limit`` are in the unit of the spike's type
(``trading.model.spike.SpikeType``). Rows of earlier versions keep the defaults.
"""

from __future__ import annotations

SPIKE_COLUMNS = (
    "severity TEXT NOT NULL DEFAULT 'minor'"
    " CHECK (severity IN ('minor', 'moderate', 'major', 'extreme'))",
    "trigger_value REAL NOT NULL DEFAULT 0",
    "trigger_limit REAL NOT NULL DEFAULT 0",
    "co_movement TEXT NOT NULL DEFAULT 'unknown'"
    " CHECK (co_movement IN ('isolated', 'partly', 'market', 'unknown'))",
    "isolated_share REAL CHECK (isolated_share BETWEEN 0 AND 1)",
    "btc_move_percent REAL",
    "pump_likelihood REAL CHECK (pump_likelihood BETWEEN 0 AND 1)",
    "pump_features TEXT NOT NULL DEFAULT '{}'",
    "evidence TEXT NOT NULL DEFAULT ''",
)
