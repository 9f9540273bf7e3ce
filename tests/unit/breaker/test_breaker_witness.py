"""What the shared record says of the last run, where the store does not say it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from trading.clock import VirtualClock
from trading.model.breaker import Actor, BreakerStatus, Latch
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.shared_record import SharedRecordWriter
from trading.storage.config import StorageConfig

Run = Callable[..., CircuitBreaker]


@pytest.fixture
def run(storage: StorageConfig, clock: VirtualClock, tmp_path: Path) -> Iterator[Run]:
    """Starts a core's breaker, as often as asked, with the one record of its instance."""
    create_store(storage, clock)
    opened: list[CircuitBreaker] = []

    def start(of: StorageConfig = storage) -> CircuitBreaker:
        record = SharedRecordWriter(tmp_path / "run" / "breaker.shm")
        opened.append(CircuitBreaker.open(CircuitBreakerConfig(), clock, of, record=record))
        return opened[-1]

    yield start
    for breaker in opened:
        breaker.close()


def test_a_trip_that_a_locked_store_never_took_is_not_forgotten_by_a_crash(
    run: Run, storage: StorageConfig, rows: Callable[[str], list[dict[str, Any]]]
) -> None:
    before = run()
    with closing(sqlite3.connect(storage.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        epoch = before.trigger("fall").epoch  # answered; and the process is gone

    snapshot = run().snapshot

    assert (snapshot.status, snapshot.epoch) == (BreakerStatus.TRIGGERED, epoch)
    assert snapshot.latch is Latch.MANUAL
    assert "ended TRIGGERED with epoch 1" in snapshot.reason
    assert "fall" in snapshot.reason
    assert rows("SELECT status, epoch, latch FROM breaker_state") == [
        {"status": "TRIGGERED", "epoch": 1, "latch": "MANUAL"}
    ]


def test_a_halt_that_was_cleared_is_not_taken_up_again(run: Run, storage: StorageConfig) -> None:
    before = run()
    epoch = before.trigger("fall").epoch
    before.clear(actor=Actor.OPERATOR, reason="fine", epoch=epoch, force=True)
    assert run().get_status() is BreakerStatus.SAFE


def test_an_operator_who_cleared_the_store_of_a_stopped_core_is_obeyed(
    run: Run, storage: StorageConfig, clock: VirtualClock
) -> None:
    run().trigger("fall")
    with closing(CircuitBreaker.open(CircuitBreakerConfig(), clock, storage)) as command_line:
        command_line.clear(actor=Actor.OPERATOR, reason="fine", epoch=1, force=True)
    assert run().get_status() is BreakerStatus.SAFE


def test_the_record_of_another_store_says_nothing(
    run: Run, clock: VirtualClock, tmp_path: Path
) -> None:
    run().trigger("fall")
    another = StorageConfig(path=tmp_path / "another.sqlite3")
    create_store(another, clock)
    assert run(another).get_status() is BreakerStatus.SAFE


def test_a_store_that_is_gone_does_not_take_the_epoch_with_it(
    run: Run, storage: StorageConfig
) -> None:
    before = run()
    for _ in range(3):
        before.trigger("fall")
    before.close()
    storage.path.unlink()
    snapshot = run().snapshot
    assert (snapshot.status, snapshot.latch, snapshot.epoch) == ("TRIGGERED", "MANUAL", 4)


def test_a_torn_record_says_nothing(run: Run, tmp_path: Path) -> None:
    run().close()
    record = tmp_path / "run" / "breaker.shm"
    data = record.read_bytes()
    record.write_bytes(data[:64] + b"\xff" * (len(data) - 64))
    assert run().get_status() is BreakerStatus.SAFE
