"""The breaker commands, on a running core over its socket and on the stored state without one."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from served_breaker import BreakerService, serving_breaker

from crews.cli.app import run
from trading.clock import SystemClock
from trading.model.breaker import Actor, BreakerStatus, Latch
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import BreakerStore
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.shared_record import SharedRecordWriter
from trading.storage.config import StorageConfig

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def store(folder: Path) -> StorageConfig:
    assert run(["init"]) == 0
    return StorageConfig(path=folder / "data/test.sqlite3")


@pytest.fixture
def core(store: StorageConfig, folder: Path) -> Iterator[BreakerService]:
    with serving_breaker(store, folder / "data/run") as service:
        yield service


def _json(capsys: Capture, *arguments: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert run([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def _stored_status(storage: StorageConfig) -> BreakerStatus:
    store = BreakerStore.open(storage)
    try:
        return store.load().status
    finally:
        store.close()


def test_without_core_and_store_nothing_is_found(folder: Path, capsys: Capture) -> None:
    answer = _json(capsys, "breaker", "status", code=2)
    assert answer["error"] == "StoreMissingError"
    assert "init" in answer["message"]
    assert run(["breaker", "trip", "--reason", "x"]) == 2


def test_init_creates_a_store_once_and_then_leaves_it_alone(folder: Path, capsys: Capture) -> None:
    assert _json(capsys, "init")["created"] is True
    assert run(["breaker", "trip", "--reason", "test"]) == 0
    assert _json(capsys, "init")["created"] is False
    assert _json(capsys, "breaker", "status")["snapshot"]["status"] == "TRIGGERED"


def test_the_whole_way_on_the_stored_state(store: StorageConfig, capsys: Capture) -> None:
    assert _json(capsys, "breaker", "warn", "--reason", "odd")["snapshot"]["status"] == "WARNING"
    tripped = _json(capsys, "breaker", "trip", "--reason", "test")["snapshot"]
    assert (tripped["status"], tripped["latch"], tripped["reason"]) == (
        "TRIGGERED",
        "MANUAL",
        "test",
    )
    view = _json(capsys, "breaker", "status")
    assert view["running"] is False
    assert view["snapshot"]["epoch"] == tripped["epoch"]

    epoch = str(tripped["epoch"])
    refused = _json(capsys, "breaker", "recover", "--reason", "r", "--epoch", epoch, code=1)
    assert refused["error"] == "IllegalTransitionError"
    released = _json(capsys, "breaker", "clear", "--reason", "seen", "--epoch", epoch)
    assert (released["snapshot"]["status"], released["snapshot"]["latch"]) == ("TRIGGERED", "NONE")
    cleared = _json(capsys, "breaker", "clear", "--reason", "go", "--epoch", epoch, "--force")
    assert cleared["snapshot"]["status"] == "SAFE"
    assert _stored_status(store) is BreakerStatus.SAFE


def test_the_stored_status_tells_whether_the_trip_came_to_rest(
    store: StorageConfig, capsys: Capture
) -> None:
    assert run(["breaker", "trip", "--reason", "test"]) == 0
    assert _json(capsys, "breaker", "status")["quiescent_at_ms"] is None
    assert run(["breaker", "status"]) == 0
    assert "not yet: orders and account" in capsys.readouterr().out

    breaker = CircuitBreaker.open(CircuitBreakerConfig(), SystemClock(), store)
    breaker.note_quiescent(breaker.snapshot, 1_700_000_000_000)
    breaker.close()
    assert _json(capsys, "breaker", "status")["quiescent_at_ms"] == 1_700_000_000_000
    assert run(["breaker", "status"]) == 0
    assert "since 2023-11-14T22:13:20" in capsys.readouterr().out


def test_a_running_core_is_commanded_over_its_socket(core: BreakerService, capsys: Capture) -> None:
    assert _json(capsys, "breaker", "status")["running"] is True
    tripped = _json(capsys, "breaker", "trip", "--reason", "test")["snapshot"]
    assert core.real.snapshot.status is BreakerStatus.TRIGGERED
    assert core.real.snapshot.epoch == tripped["epoch"]
    stale = _json(
        capsys, "breaker", "clear", "--reason", "x", "--epoch", str(tripped["epoch"] - 1), code=1
    )
    assert stale["error"] == "StaleEpochError"
    epoch = str(tripped["epoch"])
    assert run(["breaker", "clear", "--reason", "x", "--epoch", epoch, "--force"]) == 0
    assert core.real.snapshot.status is BreakerStatus.SAFE


def test_easing_needs_the_epoch_and_the_refusal_tells_it(
    core: BreakerService, capsys: Capture
) -> None:
    run(["breaker", "trip", "--reason", "exchange behaves oddly"])
    capsys.readouterr()
    assert run(["breaker", "clear", "--reason", "x", "--force"]) == 4
    told = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "exchange behaves oddly" in told
    assert "repeat with --epoch 1" in told
    assert core.real.snapshot.status is BreakerStatus.TRIGGERED


def test_a_hung_core_is_tripped_through_the_store(
    core: BreakerService,
    store: StorageConfig,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crews.cli.breaker.BREAKER_TIMEOUT_S", 0.3)
    core.answers.clear()
    answer = _json(capsys, "breaker", "trip", "--reason", "test", code=5)
    assert answer["error"] == "CoreTimeoutError"
    assert "in the store" in answer["message"]
    assert _stored_status(store) is BreakerStatus.TRIGGERED
    assert core.real.refresh() is True  # what the core's guard does every second
    assert core.real.snapshot.status is BreakerStatus.TRIGGERED


def test_easing_a_hung_core_changes_nothing(
    core: BreakerService,
    store: StorageConfig,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(["breaker", "trip"])
    monkeypatch.setattr("crews.cli.breaker.BREAKER_TIMEOUT_S", 0.3)
    core.answers.clear()
    assert run(["breaker", "clear", "--reason", "x", "--force"]) == 5
    assert _stored_status(store) is BreakerStatus.TRIGGERED


def test_status_shows_a_running_core_and_says_when_there_is_none(
    core: BreakerService, capsys: Capture
) -> None:
    assert _json(capsys, "status")["counters"] == {"orders": 3}
    assert run(["status"]) == 0
    assert "orders 3" in capsys.readouterr().out


def test_status_without_a_core_exits_with_3(store: StorageConfig, capsys: Capture) -> None:
    assert _json(capsys, "status", code=3)["error"] == "CoreNotRunningError"


def test_a_damaged_store_reads_as_halted_and_a_trip_says_it_was_not_stored(
    store: StorageConfig, capsys: Capture
) -> None:
    store.path.write_bytes(b"not a database at all" * 100)
    snapshot = _json(capsys, "breaker", "status")["snapshot"]
    assert (snapshot["status"], snapshot["latch"]) == ("TRIGGERED", "MANUAL")
    assert _json(capsys, "breaker", "trip", code=1)["error"] == "StoreError"


@pytest.mark.parametrize(
    "command",
    [("warn",), ("recover", "--reason", "x"), ("clear", "--reason", "x", "--force")],
    ids=lambda command: str(command[0]),
)
def test_a_command_that_a_store_cannot_take_leaves_no_halt_behind(
    store: StorageConfig,
    folder: Path,
    last_core: Callable[[], CircuitBreaker],
    capsys: Capture,
    command: tuple[str, ...],
) -> None:
    last_core().close()
    record, kept = folder / "data/run/breaker.shm", store.path.read_bytes()
    was = record.read_bytes()
    store.path.write_bytes(b"not a database at all" * 100)
    options = ("--epoch", "0") if len(command) > 1 else ()
    for _ in range(2):
        refused = _json(capsys, "breaker", *command, *options, code=1)
        assert "is not a database" in refused["message"]
    assert record.read_bytes() == was
    store.path.write_bytes(kept)
    assert _json(capsys, "breaker", "status")["snapshot"]["epoch"] == 0
    assert last_core().get_status() is BreakerStatus.SAFE


def test_a_trip_that_is_not_stored_says_what_the_store_said(
    store: StorageConfig, capsys: Capture
) -> None:
    store.path.write_bytes(b"not a database at all" * 100)
    message = _json(capsys, "breaker", "trip", "--reason", "odd fills", code=1)["message"]
    assert "could not be stored (store: " in message
    assert "is not a database" in message


@pytest.mark.parametrize("damage", ["overwritten", "without a state", "none"])
def test_looking_at_a_stored_breaker_changes_nothing(
    store: StorageConfig,
    folder: Path,
    last_core: Callable[[], CircuitBreaker],
    capsys: Capture,
    damage: str,
) -> None:
    before = last_core()
    before.trigger("fall")
    before.close()
    if damage == "overwritten":
        store.path.write_bytes(b"not a database at all" * 100)
    elif damage == "without a state":
        with closing(sqlite3.connect(store.path)) as connection, connection:
            connection.execute("DELETE FROM breaker_state")
    files = (store.path, folder / "data/run/breaker.shm")

    was = [file.read_bytes() for file in files]
    views = [_json(capsys, "breaker", "status")["snapshot"] for _ in range(3)]
    assert [file.read_bytes() for file in files] == was
    assert [view["epoch"] for view in views] == [1 if damage == "none" else 2] * 3
    assert {view["status"] for view in views} == {"TRIGGERED"}
    assert last_core().snapshot.epoch == views[0]["epoch"], "what it showed is what comes"


def test_two_terminals_tripping_at_once_both_hold(core: BreakerService, capsys: Capture) -> None:
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda: codes.append(run(["breaker", "trip"]))) for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert codes == [0, 0]
    assert core.real.snapshot.epoch == 2
    assert SystemClock().now_ms() >= core.real.snapshot.changed_at_ms


@pytest.mark.usefixtures("store")
def test_a_reason_is_shown_as_written_whatever_brackets_it_has(capsys: Capture) -> None:
    reason = "see [/etc/x] :warning: [red]notes"
    assert run(["breaker", "trip", "--reason", reason]) == 0
    assert run(["breaker", "status"]) == 0
    assert reason in capsys.readouterr().out
    assert run(["breaker", "clear", "--reason", "x"]) == 4
    assert "[/etc/x]" in capsys.readouterr().err


def test_a_trip_of_a_breaker_that_is_switched_off_does_not_claim_to_halt(
    store: StorageConfig, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIRCUIT_BREAKER_ENABLED", "false")
    answer = _json(capsys, "breaker", "trip", "--reason", "stop", code=1)
    assert answer["applied"] is False
    assert "switched off" in answer["message"]


@pytest.mark.parametrize(
    ("reason", "recorded"),
    [
        ("", "no reason given"),
        (" \t\n ", "no reason given"),
        ("x" * 5000, "x" * 500),
        ("bad \udcff bytes \x1b[31min\nred", "bad ? bytes [31min red"),
    ],
)
def test_a_trip_is_never_refused_for_its_reason(
    core: BreakerService, capsys: Capture, reason: str, recorded: str
) -> None:
    answer = _json(capsys, "breaker", "trip", "--reason", reason)
    assert answer["applied"] is True
    assert answer["snapshot"]["reason"] == recorded


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_easing_wants_a_reason_of_a_readable_length(
    core: BreakerService, capsys: Capture, reason: str
) -> None:
    assert run(["breaker", "trip"]) == 0
    arguments = ("--reason", reason, "--epoch", "1")
    assert _json(capsys, "breaker", "clear", *arguments, code=4)["error"] == "UsageError"
    assert _json(capsys, "breaker", "recover", *arguments, code=4)["error"] == "UsageError"


def test_a_store_that_vanished_under_a_running_core_is_not_made_anew(
    core: BreakerService, store: StorageConfig, capsys: Capture
) -> None:
    store.path.unlink()
    assert "stop it first" in _json(capsys, "init", code=1)["message"]
    assert not store.path.exists()


@pytest.fixture
def last_core(store: StorageConfig, folder: Path) -> Callable[[], CircuitBreaker]:
    """A core's breaker, with the record that outlives it."""

    def open_breaker() -> CircuitBreaker:
        record = SharedRecordWriter(folder / "data/run/breaker.shm")
        return CircuitBreaker.open(CircuitBreakerConfig(), SystemClock(), store, record=record)

    return open_breaker


def test_a_new_store_takes_up_the_halt_that_the_last_run_ended_with(
    store: StorageConfig, last_core: Callable[[], CircuitBreaker], capsys: Capture
) -> None:
    before = last_core()
    before.trigger("fall")
    before.close()
    store.path.unlink()
    assert run(["init"]) == 0
    assert "the last run ended TRIGGERED with epoch 1 (fall)" in capsys.readouterr().out
    again = last_core()
    assert (again.get_status(), again.snapshot.latch) == (BreakerStatus.TRIGGERED, Latch.MANUAL)


def test_a_new_store_after_a_quiet_run_begins_quietly(
    store: StorageConfig, last_core: Callable[[], CircuitBreaker], capsys: Capture
) -> None:
    before = last_core()
    before.trigger("fall")
    before.clear(actor=Actor.OPERATOR, reason="seen", epoch=1, force=True)
    before.close()
    store.path.unlink()
    assert run(["init"]) == 0
    assert last_core().get_status() is BreakerStatus.SAFE


@pytest.fixture
def closed_store(store: StorageConfig) -> Iterator[sqlite3.Connection]:
    """The store takes nothing: somebody holds its write lock."""
    connection = sqlite3.connect(store.path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def test_a_trip_that_the_store_does_not_take_halts_the_next_core_all_the_same(
    closed_store: sqlite3.Connection, last_core: Callable[[], CircuitBreaker], capsys: Capture
) -> None:
    refused = _json(capsys, "breaker", "trip", "--reason", "lost", code=1)
    assert "the next core there halts" in refused["message"]
    closed_store.execute("ROLLBACK")
    assert _json(capsys, "breaker", "status")["snapshot"]["status"] == "TRIGGERED"
    assert last_core().get_status() is BreakerStatus.TRIGGERED


def test_the_stored_commands_know_a_halt_that_only_the_last_core_had(
    closed_store: sqlite3.Connection, last_core: Callable[[], CircuitBreaker], capsys: Capture
) -> None:
    before = last_core()
    before.trigger("real")
    before.close()
    closed_store.execute("ROLLBACK")
    view = _json(capsys, "breaker", "status")["snapshot"]
    assert view["status"] == "TRIGGERED"
    assert "real" in view["reason"]
    tripped = _json(capsys, "breaker", "trip", "--reason", "another")["snapshot"]
    assert tripped["epoch"] == view["epoch"] + 1, "no clear of the one ends the other"


def test_a_clear_with_nothing_to_release_names_the_commands_that_would_do_something(
    store: StorageConfig, capsys: Capture
) -> None:
    assert run(["breaker", "trip"]) == 0
    easing = ("clear", "--reason", "checked", "--epoch", "1")
    _json(capsys, "breaker", *easing)
    message = _json(capsys, "breaker", *easing, code=1)["message"]
    assert "`breaker recover`" in message
    assert "`breaker clear --force`" in message
