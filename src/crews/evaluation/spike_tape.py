"""Plays a crash trade by trade, with the time from a trade's arrival to its alert."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from time import perf_counter_ns, thread_time_ns

from crews.evaluation.spike_trials import CrashTape
from trading.clock import VirtualClock
from trading.events import EventBus, SpikeDetected
from trading.market.config import CrashDetectionConfig, MarketConfig, SpikeDetectionConfig
from trading.market.engine import MarketEngine
from trading.model.spike import Spike
from trading.simulator.recorded_files import LEADERS

_SECOND_MS = 1000
PLAYS = 5


@dataclass(frozen=True, slots=True)
class Alert:
    """A spike, and what lay between the arrival of its trade and its event, in µs.

    The median of ``PLAYS`` plays of the same trades. Wall time has in it whatever else the machine
    does, ``worst_us`` most of it; processor time is this thread's alone.
    """

    spike: Spike
    wall_us: float
    processor_us: float
    worst_us: float


@dataclass(frozen=True, slots=True)
class TapeResult:
    """What a crash's raw trades gave."""

    tape: CrashTape
    alerts: tuple[Alert, ...]

    @property
    def spikes(self) -> tuple[Spike, ...]:
        return tuple(alert.spike for alert in self.alerts)


def play_tape(tape: CrashTape, config: SpikeDetectionConfig) -> TapeResult:
    """Every trade through the engine, timed. The same trades give the same spikes each time."""
    plays = [_play(tape, config) for _ in range(PLAYS)]
    return TapeResult(
        tape,
        tuple(
            Alert(
                timed[0][0],
                statistics.median(wall_us for _, wall_us, _ in timed),
                statistics.median(processor_us for _, _, processor_us in timed),
                max(wall_us for _, wall_us, _ in timed),
            )
            for timed in zip(*plays, strict=True)
        ),
    )


def _play(tape: CrashTape, config: SpikeDetectionConfig) -> list[tuple[Spike, float, float]]:
    """Spikes with wall and processor time since their trade arrived, in µs."""
    symbols = tuple(dict.fromkeys((*LEADERS, *tape.history, *(t.symbol for t in tape.ticks))))
    clock, bus = VirtualClock(tape.start_ms), EventBus()
    engine = MarketEngine(MarketConfig(symbols=symbols), config, CrashDetectionConfig(), clock, bus)
    for symbol, bars in tape.history.items():
        engine.on_bar_history(symbol, [bar for bar in bars if bar.open_time_ms < tape.start_ms])
    found: list[tuple[Spike, float, float]] = []
    wall_ns = processor_ns = 0

    def on_spike(event: SpikeDetected) -> None:
        wall_us = (perf_counter_ns() - wall_ns) / 1000
        found.append((event.spike, wall_us, (thread_time_ns() - processor_ns) / 1000))

    bus.subscribe(SpikeDetected, on_spike)
    due_ms = tape.start_ms + _SECOND_MS
    for tick in tape.ticks:
        if tick.time_ms >= due_ms:
            clock.advance_to(due_ms)
            engine.advance(due_ms)
            due_ms = (tick.time_ms // _SECOND_MS + 1) * _SECOND_MS
        clock.advance_to(max(clock.now_ms(), tick.time_ms))
        processor_ns = thread_time_ns()
        wall_ns = perf_counter_ns()
        engine.on_tick(tick)
    return found
