"""What cannot be read halts; what cannot be written holds in memory and is written later."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from trading.clock import VirtualClock
from trading.errors import StaleEpochError, StoreCorruptError, StoreError
from trading.model.breaker import Actor, BreakerStatus, Latch, Quiet
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_state import RecoveryInputs
from trading.risk.breaker_store import BreakerStore, create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.config import StorageConfig

Open = Callable[..., CircuitBreaker]
Rows = Callable[[str], list[dict[str, Any]]]


def sql(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def remove(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def overwrite(path: Path) -> None:
    path.write_bytes(b"these are not the bytes of a database" * 500)


def be_of_another_program(path: Path) -> None:
    sql(path, "PRAGMA application_id = 7")


def come_from_the_future(path: Path) -> None:
    sql(path, "PRAGMA user_version = 999")


def lose_the_state(path: Path) -> None:
    sql(path, "DELETE FROM breaker_state")


def hold_nonsense(path: Path) -> None:
    sql(path, "UPDATE breaker_state SET trip_times_ms = '[1,'")


@pytest.mark.parametrize(
    "damage",
    [
        remove,
        truncate,
        empty,
        overwrite,
        be_of_another_program,
        come_from_the_future,
        lose_the_state,
        hold_nonsense,
    ],
)
def test_a_store_that_cannot_be_read_halts_with_the_manual_latch(
    open_breaker: Open, storage: StorageConfig, damage: Callable[[Path], None]
) -> None:
    open_breaker().close()
    damage(storage.path)
    breaker = open_breaker()
    snapshot = breaker.snapshot
    assert (snapshot.status, snapshot.latch) == (BreakerStatus.TRIGGERED, Latch.MANUAL)
    assert breaker.entries_blocked
    assert snapshot.reason.startswith("store: ")
    assert breaker.trigger("and a trip on top of it")
    assert breaker.snapshot.epoch == snapshot.epoch + 1


def test_a_locked_store_halts_with_the_manual_latch(
    open_breaker: Open, storage: StorageConfig
) -> None:
    open_breaker().close()
    with closing(sqlite3.connect(storage.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        snapshot = open_breaker().snapshot
    assert (snapshot.status, snapshot.latch) == (BreakerStatus.TRIGGERED, Latch.MANUAL)
    assert "locked" in snapshot.reason


def test_a_lost_state_row_halts_above_every_epoch_that_was_and_is_stored(
    open_breaker: Open, storage: StorageConfig, rows: Rows
) -> None:
    breaker = open_breaker()
    for _ in range(3):
        epoch = breaker.trigger("fall").epoch
    breaker.clear(actor=Actor.OPERATOR, reason="fine", epoch=epoch, force=True)
    breaker.close()
    lose_the_state(storage.path)
    assert open_breaker().snapshot.epoch == 4
    assert rows("SELECT status, epoch, latch FROM breaker_state") == [
        {"status": "TRIGGERED", "epoch": 4, "latch": "MANUAL"}
    ]


def test_a_trip_that_cannot_be_stored_holds_in_memory_and_is_stored_later(
    breaker: CircuitBreaker,
    storage: StorageConfig,
    clock: VirtualClock,
    make_facts: Callable[..., RecoveryInputs],
    rows: Rows,
) -> None:
    with closing(sqlite3.connect(storage.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        receipt = breaker.trigger("fall")
        assert receipt.epoch == 1
        snapshot = breaker.snapshot
        assert (snapshot.status, snapshot.latch) == (BreakerStatus.TRIGGERED, Latch.MANUAL)
        assert snapshot.causes[0] == "fall"
        assert "locked" in snapshot.causes[1]
        assert breaker.get_full_state()["stored"] is False
        breaker.advance(clock.now_ms(), make_facts())
    clock.advance_to(clock.now_ms() + 60_000)
    breaker.advance(clock.now_ms(), make_facts())
    assert breaker.get_full_state()["stored"] is True
    (state,) = rows("SELECT status, latch, epoch FROM breaker_state")
    assert state == {"status": "TRIGGERED", "latch": "MANUAL", "epoch": 1}
    (event,) = rows("SELECT kind, trigger_reason FROM circuit_breaker_events")
    assert event == {"kind": "trip", "trigger_reason": "fall"}


@pytest.mark.parametrize(
    "act",
    [
        lambda breaker: breaker.set_warning("early sign", actor=Actor.RULE),
        lambda breaker: breaker.clear(actor=Actor.OPERATOR, reason="x", epoch=0, force=True),
    ],
)
def test_a_store_that_fails_under_any_other_transition_is_a_trip(
    breaker: CircuitBreaker, storage: StorageConfig, act: Callable[[CircuitBreaker], object]
) -> None:
    with closing(sqlite3.connect(storage.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError):
            act(breaker)
    snapshot = breaker.snapshot
    assert (snapshot.status, snapshot.latch) == (BreakerStatus.TRIGGERED, Latch.MANUAL)
    assert snapshot.reason.startswith("store lost")


def test_no_easing_takes_effect_before_it_is_stored(
    breaker: CircuitBreaker, storage: StorageConfig, rows: Rows
) -> None:
    epoch = breaker.trigger("fall").epoch
    with closing(sqlite3.connect(storage.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError):
            breaker.clear(actor=Actor.OPERATOR, reason="x", epoch=epoch, force=True)
    assert breaker.get_status() is BreakerStatus.TRIGGERED
    assert rows("SELECT status FROM breaker_state") == [{"status": "TRIGGERED"}]


def test_a_state_row_that_vanishes_at_run_time_is_a_trip_and_comes_back_latched(
    breaker: CircuitBreaker, storage: StorageConfig, rows: Rows
) -> None:
    sql(storage.path, "DELETE FROM breaker_state")
    breaker.refresh()
    assert breaker.snapshot.latch is Latch.MANUAL
    assert rows("SELECT status, latch FROM breaker_state") == [
        {"status": "TRIGGERED", "latch": "MANUAL"}
    ]


def test_a_breaker_without_any_store_cannot_be_cleared(clock: VirtualClock) -> None:
    breaker = CircuitBreaker(CircuitBreakerConfig(), clock, None)
    with pytest.raises(StoreError):
        breaker.clear(
            Decimal(1), actor=Actor.OPERATOR, reason="x", epoch=breaker.snapshot.epoch, force=True
        )
    assert breaker.get_status() is BreakerStatus.TRIGGERED


def test_creating_a_store_never_touches_an_existing_one(
    open_breaker: Open, storage: StorageConfig, clock: VirtualClock
) -> None:
    open_breaker().trigger("fall")
    assert create_store(storage, clock) is False
    assert open_breaker().get_status() is BreakerStatus.TRIGGERED


# Several processes on one store; here two connections, which is the same to SQLite.


def test_a_trip_in_one_process_is_adopted_by_the_other(open_breaker: Open) -> None:
    one, other = open_breaker(), open_breaker()
    barriers: list[bool] = []
    changes: list[tuple[str, str]] = []

    def barrier() -> tuple[str, ...]:
        barriers.append(other.entries_blocked)
        return ()

    other.add_trip_listener(barrier)
    other.subscribe(lambda previous, current: changes.append((previous.status, current.status)))
    assert other.refresh() is False
    one.trigger("fall")
    assert other.refresh() is True
    assert other.snapshot == one.snapshot
    assert barriers == [True]
    assert changes == [("SAFE", "TRIGGERED")]
    assert other.refresh() is False


def test_trips_in_two_processes_that_know_nothing_of_each_other_get_different_epochs(
    open_breaker: Open,
) -> None:
    one, other = open_breaker(), open_breaker()
    assert [one.trigger("a").epoch, other.trigger("b").epoch] == [1, 2]
    assert other.snapshot.causes == ("a", "b")


def test_an_operator_who_has_not_seen_anothers_trip_cannot_clear_it(open_breaker: Open) -> None:
    one, other = open_breaker(), open_breaker()
    epoch = one.trigger("a").epoch
    other.trigger("b")
    with pytest.raises(StaleEpochError, match="current epoch is 2"):
        one.clear(actor=Actor.OPERATOR, reason="x", epoch=epoch, force=True)


def test_a_row_that_reads_as_nonsense_is_reported_as_corrupt(
    open_breaker: Open, storage: StorageConfig
) -> None:
    open_breaker().close()
    hold_nonsense(storage.path)
    store = BreakerStore.open(storage)
    with pytest.raises(StoreCorruptError):
        store.load()
    store.close()


@pytest.mark.parametrize(
    "trip",
    [
        {"reason": "half a character: \ud800"},
        {"reason": "x", "rule": "\ud800"},
        {"reason": "x", "details": {"fear_greed_index": 10**30}},
        {"reason": "x", "details": {"liquidations_1h_usd": {"a": 1}}},
        {"reason": "x", "details": {"liquidations_1h_usd": 10**400}},
        {"reason": "x", "details": {"liquidations_1h_usd": float("nan")}},
    ],
)
def test_a_trip_whose_evidence_no_store_can_hold_is_stored_without_it(
    open_breaker: Open, trip: dict[str, Any]
) -> None:
    breaker = open_breaker()

    receipt = breaker.trigger(**trip, actor=Actor.LLM)
    breaker.close()

    restarted = open_breaker()
    assert restarted.get_status() is BreakerStatus.TRIGGERED
    assert restarted.snapshot.epoch == receipt.epoch
    assert restarted.snapshot.latch is Latch.NONE  # words of a model are no damaged store


def test_a_trip_that_breaks_the_store_in_an_unforeseen_way_is_held_and_stored_later(
    open_breaker: Open, clock: VirtualClock, make_facts: Callable[..., RecoveryInputs]
) -> None:
    breaker = open_breaker()
    endless: dict[str, Any] = {}
    endless["itself"] = endless

    breaker.trigger("crash", endless)
    assert breaker.get_status() is BreakerStatus.TRIGGERED
    breaker.advance(clock.now_ms(), make_facts())
    breaker.close()

    assert open_breaker().get_status() is BreakerStatus.TRIGGERED


@pytest.mark.parametrize("replaced", [False, True])
def test_a_store_that_disappears_while_in_use_halts(
    open_breaker: Open,
    storage: StorageConfig,
    clock: VirtualClock,
    make_facts: Callable[..., RecoveryInputs],
    replaced: bool,
) -> None:
    breaker = open_breaker()
    kept = storage.path.with_name("kept.sqlite3")
    storage.path.rename(kept)
    if replaced:
        another = storage.path.with_name("another.sqlite3")
        create_store(StorageConfig(path=another), clock)
        another.rename(storage.path)

    snapshot = breaker.advance(clock.now_ms(), make_facts())

    assert snapshot.status is BreakerStatus.TRIGGERED
    assert snapshot.latch is Latch.MANUAL
    with pytest.raises(StoreError):  # an easing that nobody could read later is refused
        breaker.clear(actor=Actor.OPERATOR, reason="go on", epoch=snapshot.epoch, force=True)
    kept.replace(storage.path)
    clock.advance_to(clock.now_ms() + 60_000)
    breaker.advance(clock.now_ms(), make_facts())
    breaker.close()
    assert open_breaker().get_status() is BreakerStatus.TRIGGERED


def test_a_write_ahead_log_that_disappears_while_in_use_halts(
    breaker: CircuitBreaker,
    storage: StorageConfig,
    clock: VirtualClock,
    make_facts: Callable[..., RecoveryInputs],
) -> None:
    storage.path.with_name(f"{storage.path.name}-wal").unlink()
    snapshot = breaker.advance(clock.now_ms(), make_facts())
    assert (snapshot.status, snapshot.latch) == (BreakerStatus.TRIGGERED, Latch.MANUAL)


def test_a_recovery_that_breaks_in_memory_alone_is_a_relapse_once_it_is_stored(
    open_breaker: Open,
    storage: StorageConfig,
    clock: VirtualClock,
    make_facts: Callable[..., RecoveryInputs],
    rows: Rows,
) -> None:
    breaker = open_breaker()
    breaker.trigger("fall")
    clock.advance_to(clock.now_ms() + 15 * 60_000)
    breaker.advance(clock.now_ms(), make_facts(quiet=Quiet(epoch=1)))
    assert breaker.get_status() is BreakerStatus.RECOVERING
    with closing(sqlite3.connect(storage.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert breaker.trigger("a further fall").newly_triggered
    assert not breaker.trigger("and another").newly_triggered

    trip, _, relapse = rows("SELECT * FROM circuit_breaker_events ORDER BY id")
    assert (trip["status"], relapse["kind"]) == ("triggered", "relapse")
    assert (relapse["from_status"], relapse["to_status"]) == ("RECOVERING", "TRIGGERED")
    assert (relapse["epoch"], relapse["episode_id"]) == (3, trip["id"])


def test_a_store_that_cannot_take_a_trip_halts_when_it_is_opened(
    open_breaker: Open, storage: StorageConfig
) -> None:
    sql(
        storage.path,
        "CREATE TRIGGER full BEFORE INSERT ON circuit_breaker_events"
        " BEGIN SELECT RAISE(ABORT, 'no room for events'); END",
    )
    breaker = open_breaker()
    assert (breaker.get_status(), breaker.snapshot.latch) == (BreakerStatus.TRIGGERED, Latch.MANUAL)
    assert "no room for events" in breaker.snapshot.reason


def test_the_rehearsal_of_a_trip_leaves_nothing_behind(open_breaker: Open, rows: Rows) -> None:
    tables = ("breaker_state", "circuit_breaker_events", "audit_log", "sqlite_sequence")
    breaker = open_breaker()
    before = [rows(f"SELECT * FROM {table}") for table in tables]
    open_breaker()
    assert [rows(f"SELECT * FROM {table}") for table in tables] == before
    assert not breaker.refresh(), "nothing to adopt"


def test_the_first_trip_finds_the_stores_log_begun(
    storage: StorageConfig, clock: VirtualClock
) -> None:
    """SQLite writes a log's head, and its name in the folder, with fsyncs of their own."""
    create_store(storage, clock)
    log = storage.path.with_name(f"{storage.path.name}-wal")

    with closing(sqlite3.connect(storage.path)) as careless:
        careless.execute("PRAGMA journal_mode = WAL")
        careless.execute("UPDATE breaker_state SET revision = revision")
        careless.commit()
        assert log.stat().st_size == 0, "SQLite leaves out what changes nothing"
    with closing(BreakerStore.open(storage)):
        assert log.stat().st_size > 0
