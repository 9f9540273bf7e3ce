"""agent_performance follows what the agents decide and what comes of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from trading.clock import DAY_MS, VirtualClock
from trading.events import EventBus, PositionChanged
from trading.model.decision import AgentDecision
from trading.model.order import Position
from trading.node.performance import PerformanceRollUp
from trading.node.records import Records
from trading.risk.breaker_store import create_store
from trading.storage.config import StorageConfig

NOON_MS = 20_000 * DAY_MS + DAY_MS // 2


def decision(agent: str) -> AgentDecision:
    return AgentDecision(
        agent_name=agent,
        agent_role="role",
        decision_type="risk_evaluation",
        decision="approve",
        confidence=0.8,
        reasoning="because",
        input_data={},
        output_data={},
        execution_time_ms=5.0,
    )


def test_each_agent_has_one_row_a_day_that_a_closed_trade_brings_up_to_date_at_once(
    tmp_path: Path,
) -> None:
    clock, bus = VirtualClock(NOON_MS), EventBus()
    storage = StorageConfig(path=tmp_path / "store.sqlite3")
    create_store(storage, clock)
    records = Records(storage, inline=True)
    performance = PerformanceRollUp(records, clock, bus)

    def totals() -> dict[str, int]:
        with closing(sqlite3.connect(storage.path)) as connection:
            return dict(
                connection.execute(
                    "SELECT agent_name, total_decisions FROM agent_performance"
                    " WHERE period = '2024-10-04'"
                ).fetchall()
            )

    for agent in ("scanner", "scanner", "executor"):
        records.write(lambda tables, name=agent: tables.decisions.record(decision(name), NOON_MS))
        performance.decided()
    performance.advance(NOON_MS)
    assert totals() == {"scanner": 2, "executor": 1}

    records.write(lambda tables: tables.decisions.record(decision("executor"), NOON_MS))
    performance.decided()
    performance.advance(NOON_MS + 1_000)
    assert totals()["executor"] == 1, "not summed up again within the interval"
    closed = Position(
        symbol="SOLUSDT",
        quantity=Decimal(0),
        average_entry_price=Decimal(100),
        opened_at_ms=NOON_MS,
    )
    bus.publish(PositionChanged(closed, closed=True))
    performance.advance(NOON_MS + 2_000)
    assert totals()["executor"] == 2
    records.close()
