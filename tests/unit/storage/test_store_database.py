"""Opening, creating and migrating the store."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from trading.errors import StoreCorruptError, StoreError, StoreMissingError
from trading.storage import database, migrations
from trading.storage.config import StorageConfig
from trading.storage.database import create_database, open_database, transaction
from trading.storage.migrations import LATEST_VERSION, migrate, schema_version


@pytest.fixture
def storage(tmp_path: Path) -> StorageConfig:
    return StorageConfig(path=tmp_path / "deep" / "store.sqlite3")


def pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 1)])
def test_the_promised_pragmas_are_in_force_on_every_connection(
    storage: StorageConfig, durable: bool, synchronous: int
) -> None:
    create_database(storage)
    with closing(open_database(storage, durable=durable)) as connection:
        assert pragma(connection, "journal_mode") == "wal"
        assert pragma(connection, "synchronous") == synchronous
        assert pragma(connection, "foreign_keys") == 1
        assert pragma(connection, "busy_timeout") == storage.busy_timeout_ms


def test_a_pragma_that_does_not_take_refuses_the_store(
    storage: StorageConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_database(storage)
    monkeypatch.setitem(database._SYNCHRONOUS, "FULL", 3)
    with pytest.raises(StoreError, match="PRAGMA synchronous is 2"):
        open_database(storage)


def test_opening_never_creates(storage: StorageConfig) -> None:
    with pytest.raises(StoreMissingError, match="init"):
        open_database(storage)
    assert not storage.path.exists()


def test_a_damaged_page_is_found_by_the_check(storage: StorageConfig) -> None:
    create_database(storage)
    size = storage.path.stat().st_size
    with storage.path.open("r+b") as file:
        file.seek(size - 4096 * 3)
        file.write(b"\xaa" * 4096 * 2)
    with pytest.raises(StoreCorruptError):
        open_database(storage)


def test_a_failed_seed_leaves_no_file_behind(storage: StorageConfig) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(StoreError):
        create_database(storage, fail)
    assert list(storage.path.parent.iterdir()) == []


def test_of_several_that_create_at_once_one_wins(storage: StorageConfig) -> None:
    def create(number: int) -> int:
        return subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from pathlib import Path\n"
                "from trading.storage.config import StorageConfig\n"
                "from trading.storage.database import create_database\n"
                "sys.exit(0 if create_database(StorageConfig(path=Path(sys.argv[1]))) else 3)",
                str(storage.path),
            ],
            check=False,
        ).returncode

    with ThreadPoolExecutor(3) as pool:
        codes = list(pool.map(create, range(3)))
    assert sorted(codes) == [0, 3, 3]
    open_database(storage).close()


def test_the_file_is_private_to_its_owner(storage: StorageConfig) -> None:
    create_database(storage)
    assert storage.path.stat().st_mode & 0o077 == 0


def test_opening_an_up_to_date_store_does_not_import_sqlite_utils(storage: StorageConfig) -> None:
    create_database(storage)
    code = (
        "import sys; from pathlib import Path\n"
        "from trading.storage.config import StorageConfig\n"
        "from trading.storage.database import open_database\n"
        "open_database(StorageConfig(path=Path(sys.argv[1])))\n"
        "sys.exit('sqlite_utils' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code, str(storage.path)], check=False).returncode == 0
    )


def test_a_migration_applies_once_even_when_two_connections_are_behind(
    storage: StorageConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_database(storage)
    applied: list[int] = []

    def add_column(db: Any) -> None:
        applied.append(1)
        db.execute("ALTER TABLE trades ADD COLUMN tag TEXT")

    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, add_column))
    newer = LATEST_VERSION + 1
    with closing(open_database(storage)) as one, closing(open_database(storage)) as other:
        assert (migrate(one, newer), migrate(other, newer)) == (1, 0)
        assert schema_version(other) == newer
    assert applied == [1]
    with pytest.raises(StoreCorruptError, match="schema version"):
        open_database(storage)


def test_a_failing_migration_changes_nothing(
    storage: StorageConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_database(storage)

    def half_done(db: Any) -> None:
        db.execute("CREATE TABLE half (id INTEGER)")
        db.execute("ALTER TABLE nowhere ADD COLUMN tag TEXT")

    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, half_done))
    with closing(open_database(storage)) as connection:
        with pytest.raises(StoreError, match="migrating"):
            migrate(connection, LATEST_VERSION + 1)
        assert schema_version(connection) == LATEST_VERSION
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchall()


def _insert_twice(connection: sqlite3.Connection, statement: str) -> None:
    with transaction(connection, "a test"):
        connection.execute(statement)
        connection.execute("INSERT INTO nowhere VALUES (1)")


def test_a_transaction_is_all_or_nothing(storage: StorageConfig) -> None:
    create_database(storage)
    insert = (
        "INSERT INTO risk_events (timestamp, timestamp_ms, rule, severity, message)"
        " VALUES ('t', 1, 'r', 'notice', 'm')"
    )

    def count(connection: sqlite3.Connection) -> int:
        return int(connection.execute("SELECT count(*) FROM risk_events").fetchone()[0])

    with closing(open_database(storage)) as connection:
        with pytest.raises(StoreError, match="no such table"):
            _insert_twice(connection, insert)
        assert count(connection) == 0
        with transaction(connection, "a test"):
            connection.execute(insert)
        assert count(connection) == 1


WANTED_COLUMNS = {
    "spike_events": "id timestamp trading_pair spike_type direction magnitude_percent"
    " timeframe_minutes volume_multiplier price_from price_to confidence_score"
    " detection_latency_ms agent_detected_by status context_analysis risk_assessment trade_id"
    " outcome pnl",
    "circuit_breaker_events": "id triggered_at cleared_at trigger_reason trigger_type status"
    " btc_price_at_trigger eth_price_at_trigger btc_drop_percent eth_drop_percent"
    " market_cap_drop_percent liquidations_1h fear_greed_index trigger_details market_snapshot"
    " downtime_seconds capital_saved orders_cancelled positions_affected recovery_time_seconds"
    " recovery_conditions_met user_notified notes",
    "agent_decisions": "id timestamp agent_name agent_role decision_type decision confidence"
    " reasoning input_data output_data execution_time_ms spike_event_id"
    " circuit_breaker_event_id trade_id",
    "agent_performance": "id timestamp agent_name period total_decisions correct_decisions"
    " incorrect_decisions accuracy_percent avg_confidence avg_execution_time_ms"
    " total_spikes_detected true_positives false_positives false_negatives"
    " circuit_breaker_triggers false_circuit_breaker_triggers notes",
    "orders": "client_order_id intent_hash spike_event_id symbol side type purpose quantity"
    " limit_price trigger_price time_in_force status epoch reserved_notional filled_quantity"
    " filled_notional average_price venue_order_id created_at sent_at updated_at deadline_at"
    " reason venue parent_client_order_id",
    "fills": "trade_id client_order_id symbol side price quantity fee fee_asset",
    "positions": "symbol quantity average_entry_price stop_price opened_at spike_event_id",
    "trades": "symbol entry_price exit_price quantity pnl fees exit_reason spike_event_id"
    " opened_at closed_at",
    "tool_executions": "timestamp tool_name agent_name arguments result ok breaker_status"
    " breaker_epoch",
    "risk_events": "timestamp rule severity message",
}


@pytest.mark.parametrize("table", list(WANTED_COLUMNS))
def test_every_table_has_its_columns(storage: StorageConfig, table: str) -> None:
    create_database(storage)
    with closing(open_database(storage)) as connection:
        columns = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
    assert set(WANTED_COLUMNS[table].split()) <= columns


def test_times_statuses_and_agent_names_are_indexed(storage: StorageConfig) -> None:
    create_database(storage)

    def uses_an_index(connection: sqlite3.Connection, table: str, column: str) -> bool:
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE {column} = 'x'"
        ).fetchall()
        return any("USING INDEX" in row["detail"] for row in plan)

    with closing(open_database(storage)) as connection:
        for table, column in (
            ("spike_events", "timestamp_ms"),
            ("spike_events", "status"),
            ("circuit_breaker_events", "triggered_at_ms"),
            ("circuit_breaker_events", "status"),
            ("agent_decisions", "timestamp_ms"),
            ("agent_decisions", "agent_name"),
            ("agent_performance", "agent_name"),
            ("orders", "status"),
            ("fills", "filled_at_ms"),
            ("trades", "closed_at_ms"),
            ("tool_executions", "agent_name"),
            ("risk_events", "timestamp_ms"),
        ):
            assert uses_an_index(connection, table, column), (table, column)


def test_foreign_keys_hold(storage: StorageConfig) -> None:
    create_database(storage)
    insert = (
        "INSERT INTO fills VALUES ('no-such-order', '1', 'BTCUSDT', 'BUY', '1', '1', '0', 'USDT',"
        " 0, 't', 1)"
    )
    with closing(open_database(storage)) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(insert)


def test_a_log_that_a_deleted_store_left_behind_is_never_read_into_a_new_one(
    storage: StorageConfig,
) -> None:
    storage.path.parent.mkdir()
    log = storage.path.with_name(f"{storage.path.name}-wal")
    log.write_bytes(b"of another store")
    with pytest.raises(StoreError, match=r"its log .* is still there"):
        create_database(storage)
    assert not storage.path.exists()
    log.unlink()
    assert create_database(storage) is True


def test_spikes_of_an_older_store_keep_their_rows_and_get_a_plain_context(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.isolation_level = None
        migrate(connection, latest=3)
        connection.execute(
            "INSERT INTO spike_events (id, timestamp, timestamp_ms, trading_pair, spike_type,"
            " direction, magnitude_percent, timeframe_minutes, volume_multiplier, z_score,"
            " price_from, price_to, confidence_score, detection_latency_ms)"
            " VALUES ('s', 't', 1, 'SOLUSDT', 'price', 'up', 3, 1, 4, 5, '1', '2', 0.7, 0)"
        )
        migrate(connection)
        row = connection.execute(
            "SELECT severity, co_movement, isolated_share, pump_features FROM spike_events"
        ).fetchone()
    assert row == ("minor", "unknown", None, "{}")
