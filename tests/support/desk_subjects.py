"""One subject of each kind that the safety desk explains."""

from __future__ import annotations

from trading.model.desk import DeskKind, DeskSubject

AT_MS = 1_700_000_000_000
DAY = "2023-11-14"

REFUSAL = DeskSubject(
    kind=DeskKind.REFUSAL,
    id="17",
    key="max_spread_pct|SOLUSDT",
    title="max_spread_pct on SOLUSDT",
    at_ms=AT_MS,
    facts={
        "refusal": {
            "at": "2023-11-14T22:13:20.000Z",
            "rule": "max_spread_pct",
            "severity": "notice",
            "pair": "SOLUSDT",
            "limit": "0.30",
            "value": "0.42",
            "message": "max_spread_pct: 0.42 is beyond the limit of 0.30",
            "details": None,
        },
        "refusals_by_this_rule": {"last_day": 7, "last_hour": 3, "last_hour_same_pair": 3},
        "spike": {"pair": "SOLUSDT", "type": "price", "magnitude_pct": 4.2, "confidence": 0.85},
        "breaker_status": "WARNING",
    },
)
RECONCILIATION = DeskSubject(
    kind=DeskKind.RECONCILIATION,
    id="4",
    key="4",
    title="reconciliation 4, latched",
    at_ms=AT_MS,
    facts={
        "report": {
            "at": "2023-11-14T22:13:20.000Z",
            "venue": "binance",
            "cause": "regular",
            "outcome": "latched",
            "problem": "SOL -2.5 is beyond the tolerance",
            "external_orders": ["web_abc"],
            "fixed_value": "0",
        },
        "assets": [
            {
                "asset": "SOL",
                "ours": "9.5",
                "external": "0",
                "dust": "0",
                "at_venue": "7.0",
                "difference": "-2.5",
                "price": "104.2",
            }
        ],
        "outcomes_last_day": {"clean": 280, "latched": 1},
        "breaker_status_a_minute_later": "TRIGGERED",
    },
)
ERRORS = DeskSubject(
    kind=DeskKind.ERRORS,
    id=DAY,
    key="abc",
    title=f"repeated errors of {DAY}",
    at_ms=AT_MS,
    facts={
        "patterns": [
            {
                "name": "rest transient -1001",
                "count": 12,
                "last_at": "2023-11-14T22:13:20.000Z",
                "last_message": "Internal error; unable to process your request.",
                "suggestion": "look at the venue's status page",
            }
        ],
        "recovery": {
            "recovered": 11,
            "given_up": 1,
            "recovery_rate": 0.92,
            "not_answering": ["rest"],
        },
    },
)
DAY_SUBJECT = DeskSubject(
    kind=DeskKind.DAY,
    id=DAY,
    key="def",
    title=f"the day {DAY}",
    at_ms=AT_MS,
    facts={
        "day": {
            "day": DAY,
            "venues": [
                {
                    "venue": "sim",
                    "entries": 3,
                    "entry_notional": "2900.50",
                    "exits": 4,
                    "fills": 7,
                    "fill_notional": "5801.2",
                    "fees": {"USDT": "5.8"},
                    "closed_trades": 3,
                    "profit_loss": "-12.30",
                }
            ],
            "refusals": [{"rule": "max_spread_pct", "count": 7}],
            "approvals": {},
            "decisions": {"risk_assessor": 9},
            "breaker": [
                {
                    "time": "2023-11-14T21:00:00.000Z",
                    "what": "trip",
                    "who": "rule",
                    "details": "SAFE → TRIGGERED, epoch 3: btc_drawdown_1h",
                }
            ],
            "operator": [],
            "configuration": [],
            "refusals_count": 1,
            "breaker_count": 1,
            "operator_count": 0,
            "configuration_count": 0,
            "first_entry": 10,
            "last_entry": 99,
        }
    },
)
SESSION = DeskSubject(
    kind=DeskKind.SESSION,
    id="2",
    key="2 completed 3",
    title="simulation 2, completed",
    at_ms=AT_MS,
    facts={
        "session": {
            "venue": "sim",
            "market": "generated",
            "status": "completed",
            "quote_asset": "USDT",
            "virtual_balance": "10000",
            "final_balance": "9987.70",
            "total_trades": 3,
            "winning_trades": 1,
            "profit_loss": "-12.30",
            "fees": "5.80",
        },
        "by_pair": {"SOLUSDT": {"trades": 3, "won": 1, "profit_loss": "-12.30"}},
        "by_exit": {"protective_stop": {"trades": 2, "won": 0, "profit_loss": "-20.10"}},
        "newest_trades": [],
        "breaker_changes": [
            {
                "at": "2023-11-14T21:00:00.000Z",
                "from_status": "SAFE",
                "to_status": "TRIGGERED",
                "epoch": 3,
                "actor": "system",
                "rule": "stale",
                "reason": "the feed is silent",
            }
        ],
        "trouble": {
            "risk_events": {"max_spread_pct": 7},
            "reconciliations": {"clean": 12},
            "failed_tools": {},
            "failed_agents": {},
            "orders": {"FILLED": 6},
        },
    },
)
SUBJECTS = (REFUSAL, RECONCILIATION, ERRORS, DAY_SUBJECT, SESSION)
