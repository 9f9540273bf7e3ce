"""A store with one of everything that the audit log speaks of."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from decimal import Decimal
from typing import Any

from trading.clock import VirtualClock
from trading.model.breaker import Actor
from trading.model.decision import AgentDecision, ProposalOutcome, ProposalResult, TradeProposal
from trading.model.operations import ApprovalStatus
from trading.model.order import (
    Fill,
    OrderPurpose,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.approval_repository import ApprovalRepository
from trading.storage.audit_anchor import AuditAnchor
from trading.storage.audit_log import AuditLog
from trading.storage.config import StorageConfig
from trading.storage.control_repository import ControlRepository
from trading.storage.decision_repository import DecisionRepository
from trading.storage.fill_repository import FillRepository
from trading.storage.order_repository import OrderRecord, OrderRepository
from trading.storage.position_repository import ClosedTrade, TradeRepository
from trading.storage.risk_event_repository import RiskEventRepository

NOW_MS = 1_760_000_000_000


def record(order_id: str = "sg-1") -> OrderRecord:
    request = OrderRequest(
        client_order_id=order_id,
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.MARKET,
        quantity=Decimal("0.5"),
        purpose=OrderPurpose.ENTRY,
    )
    return OrderRecord(request, order_id, epoch=0, created_at_ms=NOW_MS, updated_at_ms=NOW_MS)


def fill(trade_id: str = "7") -> Fill:
    return Fill(
        trade_id=trade_id,
        client_order_id="sg-1",
        symbol="BTCUSDT",
        side=Side.BUY,
        price=Decimal(50_000),
        quantity=Decimal("0.5"),
        fee=Decimal(25),
        fee_asset="USDT",
        is_maker=False,
        time_ms=NOW_MS + 5,
    )


def decision() -> AgentDecision:
    return AgentDecision(
        agent_name="risk_assessor",
        agent_role="risk",
        decision_type="risk_assessment",
        decision="approve",
        confidence=0.8,
        reasoning="calm market",
        input_data={"a": 1},
        output_data={},
        execution_time_ms=3.0,
    )


def closed_trade(**changes: Any) -> ClosedTrade:
    trade = ClosedTrade(
        entry_id="sg-1",
        symbol="BTCUSDT",
        quantity=Decimal("0.5"),
        entry_price=Decimal(50_000),
        exit_price=Decimal(51_000),
        pnl=Decimal(450),
        fees=Decimal(50),
        exit_reason="take_profit",
        spike_id=None,
        opened_at_ms=NOW_MS,
        closed_at_ms=NOW_MS + 5,
    )
    return replace(trade, **changes)


def people_decide(connection: sqlite3.Connection, venue: str = "test") -> None:
    """An approval of each kind, and two controls, one of them lifted again."""
    approvals = ApprovalRepository(connection, venue)
    for number in ("1", "2"):
        asked = approvals.ask(
            proposal(number), limited(number), Decimal(50_000), NOW_MS + 60_000, NOW_MS
        )
        if number == "1":
            approvals.decide(asked.id, ApprovalStatus.APPROVED, "fine", NOW_MS + 1, actor="me")
            result = ProposalResult(outcome=ProposalOutcome.ACCEPTED, client_order_id="sg-1")
            approvals.note_result(asked.id, result, NOW_MS + 2)
        else:
            approvals.decide(asked.id, ApprovalStatus.REFUSED, "no", NOW_MS + 1, actor="me")
    controls = ControlRepository(connection)
    controls.set("entries", "lunch", NOW_MS, actor="operator")
    controls.set("entries", "again", NOW_MS + 1, actor="operator")
    controls.set("agent:risk_assessor", "odd", NOW_MS + 2, actor="operator")
    controls.lift("agent:risk_assessor", "well again", NOW_MS + 3, actor="operator")


def proposal(number: str) -> TradeProposal:
    return TradeProposal(
        spike_id=number,
        symbol="BTCUSDT",
        entry_type=OrderType.LIMIT,
        limit_price=Decimal(50_000),
        notional=Decimal(500),
        stop_loss_pct=1.0,
        take_profit_pct=2.0,
        confidence=0.9,
        epoch=0,
        decided_at_ms=NOW_MS,
        deadline_ms=NOW_MS + 60_000,
        reasoning="a test's",
    )


def limited(number: str) -> OrderRecord:
    request = OrderRequest(
        client_order_id=f"asked-{number}",
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal("0.01"),
        limit_price=Decimal(50_000),
        time_in_force=TimeInForce.GTC,
        purpose=OrderPurpose.ENTRY,
    )
    return OrderRecord(
        request, f"intent {number}", epoch=0, created_at_ms=NOW_MS, updated_at_ms=NOW_MS
    )


def fill_store(connection: sqlite3.Connection, storage: StorageConfig) -> None:
    """One of everything that has rows of its own."""
    orders = OrderRepository(connection, "test")
    orders.insert(record())
    FillRepository(connection).add(fill())
    orders.update(
        replace(
            record(),
            status=OrderStatus.FILLED,
            filled_quantity=Decimal("0.5"),
            filled_notional=Decimal(25_000),
            updated_at_ms=NOW_MS + 5,
        )
    )
    DecisionRepository(connection).record(decision(), NOW_MS)
    RiskEventRepository(connection).record("cash", "too much", NOW_MS, limit="1", value="2")
    people_decide(connection)
    TradeRepository(connection, "test").add(closed_trade())
    breaker = CircuitBreaker.open(CircuitBreakerConfig(), VirtualClock(NOW_MS), storage)
    breaker.trigger("fall", actor=Actor.RULE)
    breaker.close()
    AuditAnchor(storage.path).advance(AuditLog(connection))
