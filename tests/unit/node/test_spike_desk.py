"""No spike is left open: whatever becomes of its crew or of the core, its row says how it ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from spikes import rising_spike

from trading.clock import VirtualClock
from trading.events import EventBus, SpikeDetected
from trading.model.decision import SpikeRunReport, SpikeRunStatus
from trading.node.board import Board
from trading.node.config import SpikeQueueSettings
from trading.node.records import Records
from trading.node.spikes import SpikeDesk
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.config import StorageConfig

START_MS = 1_760_000_000_000
DEADLINE_MS = 45_000


class Rig:
    """A desk over a real store, on a clock that the test moves."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.bus = VirtualClock(START_MS), EventBus()
        self.storage = StorageConfig(path=folder / "store.sqlite3")
        create_store(self.storage, self.clock)
        self.breaker = CircuitBreaker.open(CircuitBreakerConfig(), self.clock, self.storage)
        self.records = Records(self.storage, inline=True)
        self.desk = self.new_desk()

    def new_desk(self) -> SpikeDesk:
        return SpikeDesk(
            SpikeQueueSettings(capacity=8, max_age_ms=60_000, run_deadline_ms=DEADLINE_MS),
            self.clock,
            self.bus,
            self.breaker,
            self.records,
            Board(self.clock),
            check_breaker=True,
            crews_expected=True,
        )

    def detect(self) -> None:
        spike = rising_spike("spk-1", "SOLUSDT", self.clock.now_ms(), 150.0)
        self.bus.publish(SpikeDetected(spike))

    def wait(self, seconds: float) -> None:
        self.clock.advance_to(self.clock.now_ms() + round(seconds * 1000))
        self.desk.advance()

    def row(self) -> tuple[str, str]:
        with sqlite3.connect(self.storage.path) as connection:
            (row,) = connection.execute("SELECT status, note FROM spike_events").fetchall()
        return row


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.records.close()
    rig.breaker.close()


async def test_a_spike_whose_crew_died_is_skipped_once_its_report_is_long_overdue(rig: Rig) -> None:
    rig.detect()
    assert await rig.desk.claim(0) is not None
    rig.wait(2 * DEADLINE_MS / 1000)
    assert rig.row() == ("detected", "")
    rig.wait(1)
    assert rig.row() == ("skipped", "its crew never reported")


async def test_a_finished_run_is_not_overdue_afterwards(rig: Rig) -> None:
    rig.detect()
    assert await rig.desk.claim(0) is not None
    report = SpikeRunReport(
        spike_id="spk-1", status=SpikeRunStatus.SKIPPED, reason="market unsafe", duration_ms=5
    )
    await rig.desk.finish(report)
    rig.wait(3 * DEADLINE_MS / 1000)
    assert rig.row() == ("analyzed", "market unsafe")


def test_what_waited_when_the_core_ended_is_closed_by_the_next_one(rig: Rig) -> None:
    rig.detect()
    assert rig.row() == ("detected", "")
    rig.new_desk()
    assert rig.row() == ("skipped", "its core ended before a crew's run")
