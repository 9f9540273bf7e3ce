"""A loop of the core that hangs, and a core that was paused, halt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from trading.clock import VirtualClock
from trading.events import EventBus
from trading.market.config import CrashDetectionConfig, MarketConfig, SpikeDetectionConfig
from trading.market.engine import MarketEngine
from trading.model.breaker import BreakerStatus, Quiet
from trading.model.market import Tick
from trading.node.guard import Guard
from trading.node.pulse import SILENCE_LIMIT_MS, Pulse
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.config import StorageConfig

START_MS = 1_760_000_000_000


class Machine:
    """Real time in the test's hands, and a guard over a real breaker."""

    def __init__(self, folder: Path) -> None:
        self.real_ms = 0
        self.clock = VirtualClock(START_MS)
        storage = StorageConfig(path=folder / "store.sqlite3")
        create_store(storage, self.clock)
        self.breaker = CircuitBreaker.open(CircuitBreakerConfig(), self.clock, storage)
        market = MarketConfig()
        self.engine = MarketEngine(
            market, SpikeDetectionConfig(), CrashDetectionConfig(), self.clock, EventBus()
        )
        self.guard = Guard(
            self.engine,
            self.breaker,
            EventBus(),
            unknown_orders=lambda: 0,
            reconciled=lambda: True,
            quiet=Quiet,
            halted_elsewhere=lambda: None,
            start_grace_ms=30_000,
        )
        self.guard.pulse = self.pulse("the guardian")
        for symbol in (market.btc_symbol, market.eth_symbol):
            self.engine.on_tick(Tick(symbol, 100.0, 1.0, START_MS))
        self.guard.advance(START_MS)
        self.guard.pulse.beat()

    def pulse(self, name: str) -> Pulse:
        return Pulse(name, lambda: self.real_ms)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.breaker.close()


def test_data_is_not_fresh_while_the_guardian_stands_still(machine: Machine) -> None:
    assert machine.guard.data_is_fresh()
    machine.real_ms += SILENCE_LIMIT_MS + 1  # market time, and so the snapshot, does not move
    assert not machine.guard.data_is_fresh()
    machine.guard.pulse.beat()
    assert machine.guard.data_is_fresh()


def test_a_loop_that_hangs_is_a_trip_once(machine: Machine) -> None:
    orders = machine.pulse("the order path")
    machine.guard.trip_if_silent(orders)  # it has not begun yet
    orders.beat()
    machine.real_ms += SILENCE_LIMIT_MS
    machine.guard.trip_if_silent(orders)
    assert machine.breaker.get_status() is BreakerStatus.SAFE
    machine.real_ms += 1
    machine.guard.trip_if_silent(orders)
    machine.guard.trip_if_silent(orders)
    snapshot = machine.breaker.snapshot
    assert snapshot.status is BreakerStatus.TRIGGERED
    assert snapshot.epoch == 1
    assert "the order path" in snapshot.reason
