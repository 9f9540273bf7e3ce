"""What is recorded is in the audit log, in the same transaction; and a damaged log says so."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from trading.clock import VirtualClock
from trading.errors import StoreCorruptError, StoreError
from trading.model.breaker import Actor
from trading.model.decision import AgentDecision
from trading.model.order import Fill, OrderPurpose, OrderRequest, OrderStatus, OrderType, Side
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.audit_anchor import AuditAnchor
from trading.storage.audit_check import AuditReport, check_audit_log
from trading.storage.audit_log import AuditLog
from trading.storage.config import StorageConfig
from trading.storage.database import APPLICATION_ID, open_database, transaction
from trading.storage.decision_repository import DecisionRepository
from trading.storage.fill_repository import FillRepository
from trading.storage.migrations import migrate
from trading.storage.order_repository import OrderRecord, OrderRepository
from trading.storage.risk_event_repository import RiskEventRepository
from trading.storage.schema_v6 import TRIGGERS

NOW_MS = 1_760_000_000_000
BEFORE_THE_LOG = 5  # the schema version


@pytest.fixture
def storage(tmp_path: Path) -> StorageConfig:
    config = StorageConfig(path=tmp_path / "store.sqlite3")
    create_store(config, VirtualClock(NOW_MS))
    return config


@pytest.fixture
def connection(storage: StorageConfig) -> Iterator[sqlite3.Connection]:
    connection = open_database(storage)
    yield connection
    connection.close()


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


def check(connection: sqlite3.Connection, storage: StorageConfig) -> AuditReport:
    return check_audit_log(connection, AuditAnchor(storage.path))


def unprotected(connection: sqlite3.Connection) -> None:
    for name in TRIGGERS:
        connection.execute(f"DROP TRIGGER {name}")


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
    breaker = CircuitBreaker.open(CircuitBreakerConfig(), VirtualClock(NOW_MS), storage)
    breaker.trigger("fall", actor=Actor.RULE)
    breaker.close()
    AuditAnchor(storage.path).advance(AuditLog(connection))


def test_orders_fills_decisions_refusals_and_transitions_are_in_the_log(
    connection: sqlite3.Connection, storage: StorageConfig
) -> None:
    fill_store(connection, storage)
    kinds = [entry.kind for entry in AuditLog(connection).entries()]
    assert kinds == ["store", "store", "order", "fill", "order", "decision", "risk", "breaker"]
    assert check(connection, storage).intact


def test_what_is_rolled_back_is_not_in_the_log(connection: sqlite3.Connection) -> None:
    before = AuditLog(connection).head()

    def interrupted() -> None:
        with transaction(connection, "test"):
            OrderRepository(connection, "test").insert(record())
            raise RuntimeError("power off")

    with pytest.raises(RuntimeError):
        interrupted()
    assert AuditLog(connection).head() == before


def test_nothing_is_recorded_that_the_log_cannot_hold(connection: sqlite3.Connection) -> None:
    connection.execute("DROP TABLE audit_log")
    with pytest.raises(StoreError):
        OrderRepository(connection, "test").insert(record())
    assert connection.execute("SELECT count(*) FROM orders").fetchone()[0] == 0


def test_a_fill_that_is_told_twice_is_logged_once(connection: sqlite3.Connection) -> None:
    OrderRepository(connection, "test").insert(record())
    for _ in range(2):
        FillRepository(connection).add(fill())
    assert len(AuditLog(connection).latest(kind="fill")) == 1


def test_the_store_itself_refuses_an_edit_by_mistake(connection: sqlite3.Connection) -> None:
    for statement in ("UPDATE audit_log SET actor = 'nobody'", "DELETE FROM audit_log"):
        with pytest.raises(sqlite3.IntegrityError, match="only grows"):
            connection.execute(statement)


def test_two_writers_make_one_chain(storage: StorageConfig) -> None:
    first, second = open_database(storage), open_database(storage)
    for number in range(20):
        writer = (first, second)[number % 2]
        AuditLog(writer).append("operator", "test", {"number": number}, NOW_MS)
    numbers = [
        json.loads(entry.payload)["number"]
        for entry in AuditLog(first).entries()
        if entry.subject == "test"
    ]
    assert numbers == list(range(20))
    AuditAnchor(storage.path).advance(AuditLog(first))
    assert check(first, storage).intact
    first.close()
    second.close()


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE orders SET filled_quantity = '0.4'",
        "UPDATE orders SET status = 'CANCELED'",
        "UPDATE orders SET quantity = '0.6'",
        "UPDATE fills SET price = '1'",
        "UPDATE circuit_breaker_events SET trigger_reason = 'nothing'",
        "UPDATE agent_decisions SET reasoning = 'sure'",
        "DELETE FROM fills",
        "INSERT INTO fills SELECT client_order_id, '8', symbol, side, price, quantity, fee,"
        " fee_asset, is_maker, filled_at, filled_at_ms FROM fills",
    ],
)
def test_a_row_edited_in_its_own_table_is_found(
    connection: sqlite3.Connection, storage: StorageConfig, edit: str
) -> None:
    fill_store(connection, storage)
    connection.execute(edit)
    assert [finding.kind for finding in check(connection, storage).findings] == ["record"]


def test_rows_from_before_the_log_began_are_not_held_against_it(tmp_path: Path) -> None:
    storage = StorageConfig(path=tmp_path / "old.sqlite3")
    old = sqlite3.connect(storage.path, isolation_level=None)
    old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    migrate(old, BEFORE_THE_LOG)
    values = dict.fromkeys(("client_order_id", "intent_hash"), "old") | {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "MARKET",
        "purpose": "ENTRY",
        "quantity": "1",
        "status": "FILLED",
        "epoch": 0,
        "created_at": "",
        "created_at_ms": 0,
        "updated_at": "",
        "updated_at_ms": 0,
    }
    old.execute(
        f"INSERT INTO orders ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
        tuple(values.values()),
    )
    old.close()
    upgraded = open_database(storage)
    AuditAnchor(storage.path).write(AuditLog(upgraded).head() or pytest.fail("no first entry"))
    OrderRepository(upgraded, "test").insert(record())
    assert check(upgraded, storage).intact
    upgraded.close()


def test_a_cut_end_contradicts_the_head_record_which_then_stands(
    connection: sqlite3.Connection, storage: StorageConfig
) -> None:
    fill_store(connection, storage)
    anchor = AuditAnchor(storage.path)
    noted = anchor.read()
    unprotected(connection)
    connection.execute("DELETE FROM audit_log WHERE seq > 4")
    AuditLog(connection).append("operator", "later", {}, NOW_MS)
    with pytest.raises(StoreCorruptError, match="cut or written anew"):
        anchor.advance(AuditLog(connection))
    assert anchor.read() == noted


def test_a_missing_head_record_is_a_finding(
    connection: sqlite3.Connection, storage: StorageConfig
) -> None:
    AuditAnchor(storage.path).path.unlink()
    (finding,) = check(connection, storage).findings
    assert finding.kind == "truncated"
    assert "no head record" in finding.message


def test_a_head_kept_elsewhere_finds_a_log_written_anew_with_its_record(
    connection: sqlite3.Connection, storage: StorageConfig
) -> None:
    kept = AuditLog(connection).append("operator", "halt", {}, NOW_MS)
    unprotected(connection)
    connection.execute("DELETE FROM audit_log WHERE seq = ?", (kept.seq,))
    AuditLog(connection).append("operator", "nothing", {}, NOW_MS)
    AuditAnchor(storage.path).write(AuditLog(connection).head() or kept)
    for statement in TRIGGERS.values():
        connection.execute(statement)
    assert check(connection, storage).intact, "nothing in the folder can tell"
    report = check_audit_log(connection, AuditAnchor(storage.path), [kept])
    assert [finding.seq for finding in report.findings] == [kept.seq]


def test_a_new_store_remembers_the_head_of_the_one_before(storage: StorageConfig) -> None:
    before = AuditAnchor(storage.path).read()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{storage.path}{suffix}").unlink(missing_ok=True)
    create_store(storage, VirtualClock(NOW_MS))
    connection = open_database(storage)
    created = AuditLog(connection).latest(1, kind="store", subject="created")[0]
    assert json.loads(created.payload)["head_record_before"] == str(before)
    assert check(connection, storage).intact
    connection.close()
