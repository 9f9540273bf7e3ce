"""Schema version 1: every table of the first release.

Prices, quantities and money are TEXT decimals; times are TEXT ISO 8601 (``trading.clock.iso``)
with an integer ``_ms`` twin where rows are sorted or compared by time. Structured values are JSON
in TEXT.

``circuit_breaker_events`` has one row for every transition; see
``trading.storage.breaker_event_repository`` for the scheme of ``kind`` and ``episode_id``.
"""

from __future__ import annotations

SPIKE_EVENTS = """
CREATE TABLE spike_events (
    id TEXT PRIMARY KEY,
    timestamp TEXT NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    trading_pair TEXT NOT NULL,
    spike_type TEXT NOT NULL,
    direction TEXT NOT NULL CHECK (direction IN ('up', 'down')),
    magnitude_percent REAL NOT NULL,
    timeframe_minutes INTEGER NOT NULL,
    volume_multiplier REAL NOT NULL,
    z_score REAL NOT NULL,
    price_from TEXT NOT NULL,
    price_to TEXT NOT NULL,
    confidence_score REAL NOT NULL CHECK (confidence_score BETWEEN 0 AND 1),
    detection_latency_ms REAL NOT NULL,
    agent_detected_by TEXT,
    status TEXT NOT NULL DEFAULT 'detected'
        CHECK (status IN ('detected', 'analyzed', 'traded', 'skipped')),
    note TEXT NOT NULL DEFAULT '',
    context_analysis TEXT,
    risk_assessment TEXT,
    trade_id INTEGER REFERENCES trades (id),
    outcome TEXT NOT NULL DEFAULT 'pending'
        CHECK (outcome IN ('profitable', 'unprofitable', 'pending')),
    pnl TEXT
)
"""

CIRCUIT_BREAKER_EVENTS = """
CREATE TABLE circuit_breaker_events (
    id INTEGER PRIMARY KEY,
    triggered_at TEXT NOT NULL,
    triggered_at_ms INTEGER NOT NULL,
    cleared_at TEXT,
    cleared_at_ms INTEGER,
    kind TEXT NOT NULL CHECK (kind IN
        ('trip', 'retrip', 'relapse', 'warning', 'easing', 'recovery', 'stage', 'clear', 'latch')),
    episode_id INTEGER REFERENCES circuit_breaker_events (id),
    epoch INTEGER NOT NULL,
    from_status TEXT NOT NULL,
    to_status TEXT NOT NULL,
    actor TEXT NOT NULL,
    rule TEXT,
    trigger_reason TEXT NOT NULL,
    trigger_type TEXT NOT NULL,
    status TEXT NOT NULL
        CHECK (status IN ('triggered', 'recovering', 'cleared', 'false_trigger')),
    btc_price_at_trigger TEXT,
    eth_price_at_trigger TEXT,
    btc_drop_percent REAL,
    eth_drop_percent REAL,
    market_cap_drop_percent REAL,
    liquidations_1h TEXT,
    fear_greed_index INTEGER,
    trigger_details TEXT,
    market_snapshot TEXT,
    downtime_seconds REAL,
    capital_saved TEXT,
    orders_cancelled INTEGER NOT NULL DEFAULT 0,
    positions_affected INTEGER NOT NULL DEFAULT 0,
    recovery_started_at_ms INTEGER,
    recovery_time_seconds REAL,
    recovery_conditions_met TEXT,
    user_notified INTEGER NOT NULL DEFAULT 0 CHECK (user_notified IN (0, 1)),
    notes TEXT NOT NULL DEFAULT ''
)
"""

BREAKER_STATE = """
CREATE TABLE breaker_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('SAFE', 'WARNING', 'TRIGGERED', 'RECOVERING')),
    epoch INTEGER NOT NULL CHECK (epoch >= 0),
    latch TEXT NOT NULL CHECK (latch IN ('NONE', 'MANUAL')),
    stage INTEGER NOT NULL CHECK (stage BETWEEN 0 AND 3),
    causes TEXT NOT NULL,
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    changed_at_ms INTEGER NOT NULL,
    triggered_at_ms INTEGER,
    cooldown_until_ms INTEGER,
    stage_entered_at_ms INTEGER,
    llm_only INTEGER NOT NULL DEFAULT 0 CHECK (llm_only IN (0, 1)),
    trip_times_ms TEXT NOT NULL,
    event_id INTEGER REFERENCES circuit_breaker_events (id),
    size_multiplier REAL NOT NULL CHECK (size_multiplier BETWEEN 0 AND 1)
)
"""

AGENT_DECISIONS = """
CREATE TABLE agent_decisions (
    id INTEGER PRIMARY KEY,
    timestamp TEXT NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    agent_name TEXT NOT NULL,
    agent_role TEXT NOT NULL,
    decision_type TEXT NOT NULL,
    decision TEXT NOT NULL,
    confidence REAL NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    reasoning TEXT NOT NULL,
    input_data TEXT NOT NULL,
    output_data TEXT NOT NULL,
    execution_time_ms REAL NOT NULL,
    spike_event_id TEXT REFERENCES spike_events (id),
    circuit_breaker_event_id INTEGER REFERENCES circuit_breaker_events (id),
    trade_id INTEGER REFERENCES trades (id)
)
"""

AGENT_PERFORMANCE = """
CREATE TABLE agent_performance (
    id INTEGER PRIMARY KEY,
    timestamp TEXT NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    agent_name TEXT NOT NULL,
    period TEXT NOT NULL,
    total_decisions INTEGER NOT NULL DEFAULT 0,
    correct_decisions INTEGER NOT NULL DEFAULT 0,
    incorrect_decisions INTEGER NOT NULL DEFAULT 0,
    accuracy_percent REAL,
    avg_confidence REAL,
    avg_execution_time_ms REAL,
    total_spikes_detected INTEGER NOT NULL DEFAULT 0,
    true_positives INTEGER NOT NULL DEFAULT 0,
    false_positives INTEGER NOT NULL DEFAULT 0,
    false_negatives INTEGER NOT NULL DEFAULT 0,
    circuit_breaker_triggers INTEGER NOT NULL DEFAULT 0,
    false_circuit_breaker_triggers INTEGER NOT NULL DEFAULT 0,
    notes TEXT NOT NULL DEFAULT '',
    UNIQUE (agent_name, period)
)
"""

ORDERS = """
CREATE TABLE orders (
    client_order_id TEXT PRIMARY KEY,
    intent_hash TEXT NOT NULL UNIQUE,
    spike_event_id TEXT REFERENCES spike_events (id),
    symbol TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')),
    type TEXT NOT NULL,
    purpose TEXT NOT NULL CHECK (purpose IN ('ENTRY', 'PROTECTIVE_STOP', 'TAKE_PROFIT', 'EXIT')),
    quantity TEXT NOT NULL,
    limit_price TEXT,
    trigger_price TEXT,
    time_in_force TEXT,
    status TEXT NOT NULL CHECK (status IN ('PENDING', 'NEW', 'PARTIALLY_FILLED', 'FILLED',
        'CANCELED', 'REJECTED', 'EXPIRED', 'UNKNOWN')),
    epoch INTEGER NOT NULL,
    reserved_notional TEXT NOT NULL DEFAULT '0',
    filled_quantity TEXT NOT NULL DEFAULT '0',
    filled_notional TEXT NOT NULL DEFAULT '0',
    average_price TEXT,
    stop_loss_pct REAL,
    take_profit_pct REAL,
    venue TEXT NOT NULL DEFAULT '',
    venue_order_id TEXT,
    parent_client_order_id TEXT REFERENCES orders (client_order_id),
    reason TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    sent_at TEXT,
    sent_at_ms INTEGER,
    updated_at TEXT NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    deadline_at TEXT,
    deadline_at_ms INTEGER
)
"""

FILLS = """
CREATE TABLE fills (
    client_order_id TEXT NOT NULL REFERENCES orders (client_order_id),
    trade_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')),
    price TEXT NOT NULL,
    quantity TEXT NOT NULL,
    fee TEXT NOT NULL,
    fee_asset TEXT NOT NULL,
    is_maker INTEGER NOT NULL CHECK (is_maker IN (0, 1)),
    filled_at TEXT NOT NULL,
    filled_at_ms INTEGER NOT NULL,
    PRIMARY KEY (client_order_id, trade_id)
)
"""

POSITIONS = """
CREATE TABLE positions (
    id INTEGER PRIMARY KEY,
    venue TEXT NOT NULL DEFAULT '',
    symbol TEXT NOT NULL,
    quantity TEXT NOT NULL,
    average_entry_price TEXT NOT NULL,
    bought_quantity TEXT NOT NULL DEFAULT '0',
    bought_notional TEXT NOT NULL DEFAULT '0',
    sold_quantity TEXT NOT NULL DEFAULT '0',
    sold_notional TEXT NOT NULL DEFAULT '0',
    stop_price TEXT,
    take_profit_price TEXT,
    stop_client_order_id TEXT REFERENCES orders (client_order_id),
    realized_pnl TEXT NOT NULL DEFAULT '0',
    fees_paid TEXT NOT NULL DEFAULT '0',
    entry_client_order_id TEXT REFERENCES orders (client_order_id),
    spike_event_id TEXT REFERENCES spike_events (id),
    opened_at TEXT NOT NULL,
    opened_at_ms INTEGER NOT NULL,
    updated_at TEXT NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    UNIQUE (venue, symbol, opened_at_ms)
)
"""

TRADES = """
CREATE TABLE trades (
    id INTEGER PRIMARY KEY,
    venue TEXT NOT NULL DEFAULT '',
    symbol TEXT NOT NULL,
    quantity TEXT NOT NULL,
    entry_price TEXT NOT NULL,
    exit_price TEXT NOT NULL,
    pnl TEXT NOT NULL,
    fees TEXT NOT NULL,
    exit_reason TEXT NOT NULL,
    entry_client_order_id TEXT REFERENCES orders (client_order_id),
    spike_event_id TEXT REFERENCES spike_events (id),
    opened_at TEXT NOT NULL,
    opened_at_ms INTEGER NOT NULL,
    closed_at TEXT NOT NULL,
    closed_at_ms INTEGER NOT NULL
)
"""

TOOL_EXECUTIONS = """
CREATE TABLE tool_executions (
    id INTEGER PRIMARY KEY,
    timestamp TEXT NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    tool_name TEXT NOT NULL,
    agent_name TEXT,
    tool_class TEXT NOT NULL,
    arguments TEXT NOT NULL,
    result TEXT NOT NULL,
    ok INTEGER NOT NULL CHECK (ok IN (0, 1)),
    breaker_status TEXT NOT NULL,
    breaker_epoch INTEGER NOT NULL,
    execution_time_ms REAL NOT NULL,
    spike_event_id TEXT REFERENCES spike_events (id)
)
"""

RISK_EVENTS = """
CREATE TABLE risk_events (
    id INTEGER PRIMARY KEY,
    timestamp TEXT NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    rule TEXT NOT NULL,
    severity TEXT NOT NULL CHECK (severity IN ('info', 'notice', 'warning', 'critical')),
    symbol TEXT,
    limit_value TEXT,
    value TEXT,
    message TEXT NOT NULL,
    details TEXT,
    client_order_id TEXT,
    spike_event_id TEXT,
    breaker_epoch INTEGER
)
"""

TABLES = (
    SPIKE_EVENTS,
    CIRCUIT_BREAKER_EVENTS,
    BREAKER_STATE,
    AGENT_DECISIONS,
    AGENT_PERFORMANCE,
    ORDERS,
    FILLS,
    POSITIONS,
    TRADES,
    TOOL_EXECUTIONS,
    RISK_EVENTS,
)

INDEXES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("spike_events", ("timestamp_ms",)),
    ("spike_events", ("status",)),
    ("spike_events", ("trading_pair", "timestamp_ms")),
    ("circuit_breaker_events", ("triggered_at_ms",)),
    ("circuit_breaker_events", ("status",)),
    ("circuit_breaker_events", ("kind", "triggered_at_ms")),
    ("circuit_breaker_events", ("episode_id",)),
    ("agent_decisions", ("timestamp_ms",)),
    ("agent_decisions", ("agent_name", "timestamp_ms")),
    ("agent_decisions", ("spike_event_id",)),
    ("agent_performance", ("agent_name",)),
    ("agent_performance", ("timestamp_ms",)),
    ("orders", ("status",)),
    ("orders", ("created_at_ms",)),
    ("orders", ("symbol", "status")),
    ("orders", ("spike_event_id",)),
    ("orders", ("parent_client_order_id",)),
    ("fills", ("filled_at_ms",)),
    ("fills", ("symbol", "filled_at_ms")),
    ("positions", ("symbol",)),
    ("positions", ("opened_at_ms",)),
    ("trades", ("closed_at_ms",)),
    ("trades", ("symbol", "closed_at_ms")),
    ("trades", ("spike_event_id",)),
    ("tool_executions", ("timestamp_ms",)),
    ("tool_executions", ("agent_name", "timestamp_ms")),
    ("tool_executions", ("spike_event_id",)),
    ("risk_events", ("timestamp_ms",)),
    ("risk_events", ("rule",)),
)
