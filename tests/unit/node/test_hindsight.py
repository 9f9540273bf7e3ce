"""What would have come of a spike that was not traded, and which agents it counts against."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from spikes import rising_spike

from trading.clock import DAY_MS, MINUTE_MS, VirtualClock
from trading.events import EventBus
from trading.model.decision import AgentDecision, SpikeRunReport, SpikeRunStatus
from trading.model.market import Bar
from trading.model.spike import Spike, SpikeDirection, SpikeStatus
from trading.node.hindsight import Hindsight
from trading.node.performance import PerformanceRollUp
from trading.node.records import Records
from trading.risk.breaker_store import create_store
from trading.risk.risk_config import RiskConfig
from trading.storage.config import StorageConfig

NOON_MS = 20_000 * DAY_MS + DAY_MS // 2
HELD_MINUTES = 30
PRICE = 100.0  # rose by 4 %: a stop at 98, a target at 104
RISES, FALLS, STAYS, BOTH = (101, 104.5, 101), (97.5, 106, 104), (101, 103.5, 98.5), (104.5, 97.5)


@dataclass
class Scene:
    """A store with one spike, and a market that moves minute by minute after it."""

    path: Path
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(NOON_MS))
    bars: list[Bar] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.storage = StorageConfig(path=self.path / "store.sqlite3")
        create_store(self.storage, self.clock)
        self.records = Records(self.storage, inline=True)
        self.performance = PerformanceRollUp(self.records, self.clock, EventBus())
        self.restart()

    def restart(self) -> None:
        self.hindsight = Hindsight(
            self.records,
            self._bars,
            RiskConfig(),
            max_holding_minutes=HELD_MINUTES,
            on_judged=self.performance.looked_back,
        )

    def _bars(self, _symbol: str, limit: int) -> Sequence[Bar]:
        return self.bars[-limit:]

    def spike(self, **changes: object) -> Spike:
        spike = rising_spike("spk-1", "SOLUSDT", NOON_MS + 5_000, PRICE)
        spike = spike.model_copy(update=changes)
        self.records.write(lambda tables: tables.spikes.insert(spike))
        return spike

    def run_ended(
        self, spike: Spike, status: SpikeStatus = SpikeStatus.ANALYZED, **risk: float
    ) -> None:
        report = SpikeRunReport(
            spike_id=spike.id,
            status=SpikeRunStatus.SKIPPED,
            reason="not worth it",
            risk_assessment=risk or None,
            duration_ms=1.0,
        )
        self.records.write(lambda tables: tables.spikes.finish(report, status))

    def decided(self, agent: str, decision: str, spike_id: str) -> None:
        made = AgentDecision(
            agent_name=agent,
            agent_role="role",
            decision_type="any",
            decision=decision,
            confidence=0.8,
            reasoning="because",
            input_data={},
            output_data={},
            execution_time_ms=1.0,
            spike_event_id=spike_id,
        )
        now_ms = self.clock.now_ms()
        self.records.write(lambda tables: tables.decisions.record(made, now_ms))

    def minutes(self, extremes: Sequence[float], count: int = HELD_MINUTES + 2) -> None:
        """Each minute touches one of the extremes, then none; looked at as the core does."""
        for number in range(count):
            at_ms = NOON_MS + number * MINUTE_MS
            self.clock.advance_to(at_ms)
            far = extremes[number - 1] if 0 < number <= len(extremes) else PRICE
            low, high = min(far, PRICE), max(far, PRICE)
            self.bars.append(Bar("SOLUSDT", at_ms, MINUTE_MS, PRICE, high, low, PRICE, 1.0))
            self.hindsight.advance(at_ms)
            self.performance.advance(at_ms)

    def value(self, sql: str) -> object:
        with closing(sqlite3.connect(self.storage.path)) as connection:
            row = connection.execute(sql).fetchone()
            return row[0] if row else None

    @property
    def outcome(self) -> object:
        return self.value("SELECT untraded_outcome FROM spike_events")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.mark.parametrize(
    ("extremes", "outcome"),
    [(RISES, "won"), (FALLS, "lost"), (STAYS, "neither"), (BOTH, "won"), (BOTH[::-1], "lost")],
)
def test_the_first_of_stop_and_target_that_is_reached_decides(
    scene: Scene, extremes: Sequence[float], outcome: str
) -> None:
    scene.run_ended(scene.spike())
    scene.minutes(extremes)
    assert scene.outcome == outcome


def test_a_minute_that_touches_both_counts_as_lost(scene: Scene) -> None:
    scene.run_ended(scene.spike())
    scene.minutes((), 1)
    scene.bars.append(
        Bar("SOLUSDT", NOON_MS + MINUTE_MS, MINUTE_MS, PRICE, 110.0, 90.0, PRICE, 1.0)
    )
    for later in (2, 3):
        scene.hindsight.advance(NOON_MS + later * MINUTE_MS)
    assert scene.outcome == "lost"


def test_nothing_is_said_before_the_time_is_over_or_of_a_spike_without_bars(scene: Scene) -> None:
    scene.run_ended(scene.spike())
    scene.minutes(STAYS, HELD_MINUTES)
    assert scene.outcome is None
    scene.bars = scene.bars[3:]  # the first minutes after it are unknown
    scene.hindsight.advance(NOON_MS + (HELD_MINUTES + 1) * MINUTE_MS)
    assert scene.outcome is None


def test_the_assessors_own_stop_and_target_are_used_where_it_named_them(scene: Scene) -> None:
    scene.run_ended(scene.spike(), stop_loss_pct=5.0, take_profit_pct=10.0)
    scene.minutes((97.5, 106, 111))
    assert scene.outcome == "won"


def test_spikes_that_were_traded_fell_or_wait_for_their_run_have_no_such_outcome(
    scene: Scene,
) -> None:
    scene.run_ended(scene.spike(), SpikeStatus.TRADED)
    scene.run_ended(scene.spike(id="spk-2", direction=SpikeDirection.DOWN))
    scene.spike(id="spk-3")
    scene.minutes(RISES)
    assert scene.value("SELECT count(untraded_outcome) FROM spike_events") == 0


def test_the_look_back_goes_on_after_a_restart(scene: Scene) -> None:
    scene.run_ended(scene.spike())
    scene.minutes((), 2)
    scene.restart()
    scene.bars.clear()  # filled again from the venue's
    scene.minutes(RISES)
    assert scene.outcome == "won"


@pytest.mark.parametrize(
    ("extremes", "counted"), [(RISES, {"refused": 1, "abstained": 1}), (FALLS, {}), (STAYS, {})]
)
def test_a_missed_winner_counts_against_those_who_said_no_and_nobody_else(
    scene: Scene, extremes: Sequence[float], counted: dict[str, int]
) -> None:
    spike = scene.spike()
    for agent, decision in {
        "agreed": "confirmed",
        "liked it": "momentum, favourable",
        "refused": "pump_and_dump, not favourable",
        "abstained": "abstain",
    }.items():
        scene.decided(agent, decision, spike.id)
    scene.decided("refused", "vetoed", spike.id)  # twice on one spike is one
    scene.performance.decided()
    scene.run_ended(spike)
    scene.minutes(extremes)
    with closing(sqlite3.connect(scene.storage.path)) as connection:
        rows = connection.execute(
            "SELECT agent_name, false_negatives FROM agent_performance WHERE false_negatives > 0"
        ).fetchall()
    assert dict(rows) == counted


def test_what_becomes_known_after_midnight_counts_for_the_day_of_the_decision(
    scene: Scene,
) -> None:
    spike = scene.spike()
    scene.decided("refused", "vetoed", spike.id)
    scene.run_ended(spike)
    scene.minutes(RISES)
    scene.records.write(lambda tables: tables.untraded._execute("DELETE FROM agent_performance"))
    scene.performance.roll_up(NOON_MS + DAY_MS)
    assert scene.value("SELECT false_negatives FROM agent_performance") == 1
