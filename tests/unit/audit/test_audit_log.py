"""What is recorded is in the audit log, in the same transaction; and a damaged log says so."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from audited_store import NOW_MS, closed_trade, fill, fill_store, record

from trading.clock import VirtualClock
from trading.errors import StoreCorruptError, StoreError
from trading.risk.breaker_store import create_store
from trading.storage.audit_anchor import AuditAnchor
from trading.storage.audit_check import AuditReport, check_audit_log
from trading.storage.audit_log import AuditLog
from trading.storage.config import StorageConfig
from trading.storage.database import APPLICATION_ID, open_database, transaction
from trading.storage.fill_repository import FillRepository
from trading.storage.migrations import migrate
from trading.storage.order_repository import OrderRepository
from trading.storage.position_repository import TradeRepository
from trading.storage.schema_v6 import TRIGGERS

BEFORE_THE_LOG, BEFORE_TRADES = 5, 14  # schema versions


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


def check(connection: sqlite3.Connection, storage: StorageConfig) -> AuditReport:
    return check_audit_log(connection, AuditAnchor(storage.path))


def unprotected(connection: sqlite3.Connection) -> None:
    for name in TRIGGERS:
        connection.execute(f"DROP TRIGGER {name}")


def test_orders_fills_decisions_refusals_and_transitions_are_in_the_log(
    connection: sqlite3.Connection, storage: StorageConfig
) -> None:
    fill_store(connection, storage)
    kinds = [entry.kind for entry in AuditLog(connection).entries()]
    people = ["approval"] * 5 + ["control"] * 4
    rows = ["order", "fill", "order", "decision", "risk", *people, "trade", "breaker"]
    assert kinds == ["store", "store", *rows]
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
        "UPDATE trades SET pnl = '900'",
        "UPDATE trades SET exit_reason = 'luck'",
        "DELETE FROM trades",
        "UPDATE approvals SET status = 'approved' WHERE id = 2",
        "UPDATE approvals SET notional = '1' WHERE id = 1",
        "UPDATE approvals SET proposal = '{}' WHERE id = 1",
        "UPDATE approvals SET result = NULL WHERE id = 1",
        "UPDATE approvals SET reason = 'certainly' WHERE id = 2",
        "DELETE FROM approvals WHERE id = 2",
        "DELETE FROM operating_controls",
        "UPDATE operating_controls SET reason = 'nothing'",
        "INSERT INTO operating_controls (name, reason, actor, since, since_ms)"
        " VALUES ('agent:risk_assessor', 'odd', 'operator', '', 0)",
    ],
)
def test_a_row_edited_in_its_own_table_is_found(
    connection: sqlite3.Connection, storage: StorageConfig, edit: str
) -> None:
    fill_store(connection, storage)
    connection.execute(edit)
    assert [finding.kind for finding in check(connection, storage).findings] == ["record"]


def test_a_trade_that_a_late_fill_corrects_and_a_review_marks_is_as_the_log_has_it(
    connection: sqlite3.Connection, storage: StorageConfig
) -> None:
    fill_store(connection, storage)
    TradeRepository(connection, "test").add(closed_trade(pnl=Decimal(451)))
    connection.execute("UPDATE trades SET reviewed_at_ms = 1")
    AuditAnchor(storage.path).advance(AuditLog(connection))
    assert check(connection, storage).intact


def test_trades_from_before_they_were_logged_are_not_held_against_it(tmp_path: Path) -> None:
    storage = StorageConfig(path=tmp_path / "old.sqlite3")
    old = sqlite3.connect(storage.path, isolation_level=None)
    old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    old.row_factory = sqlite3.Row
    migrate(old, BEFORE_TRADES)
    for order_id in ("sg-1", "sg-2"):
        OrderRepository(old, "test").insert(record(order_id))
    values = {
        "venue": "test",
        "symbol": "BTCUSDT",
        **dict.fromkeys(("quantity", "entry_price", "exit_price", "pnl", "fees"), "1"),
        "exit_reason": "take_profit",
        "entry_client_order_id": "sg-1",
        **dict.fromkeys(("opened_at", "closed_at"), ""),
        **dict.fromkeys(("opened_at_ms", "closed_at_ms"), 0),
    }
    old.execute(
        f"INSERT INTO trades ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
        tuple(values.values()),
    )
    old.close()
    upgraded = open_database(storage)
    AuditAnchor(storage.path).write(AuditLog(upgraded).head() or pytest.fail("no first entry"))
    assert check(upgraded, storage).intact
    TradeRepository(upgraded, "test").add(closed_trade(entry_id="sg-2"))
    upgraded.execute("DELETE FROM trades WHERE id = 2")
    assert "trades: 2 was removed" in str(check(upgraded, storage).findings)
    upgraded.close()


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
