"""Plays a crash trade by trade, with the time from a trade's arrival to its alert."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Alert:
    """A spike, and what lay between the arrival of its trade and its event.

    Wall time has in it whatever else the machine does; processor time is this thread's alone. Both
    are None for a spike that the look once a second found.
    """

    spike: Spike
    wall_us: float | None = None
    processor_us: float | None = None


@dataclass(frozen=True, slots=True)
class TapeResult:
    """What a crash's raw trades gave."""

    tape: CrashTape
    alerts: tuple[Alert, ...]

    @property
    def spikes(self) -> tuple[Spike, ...]:
        return tuple(alert.spike for alert in self.alerts)


def play_tape(tape: CrashTape, config: SpikeDetectionConfig) -> TapeResult:
    """Every trade through the engine, timed."""
    symbols = tuple(dict.fromkeys((*LEADERS, *tape.history, *(t.symbol for t in tape.ticks))))
    clock, bus = VirtualClock(tape.start_ms), EventBus()
    engine = MarketEngine(MarketConfig(symbols=symbols), config, CrashDetectionConfig(), clock, bus)
    for symbol, bars in tape.history.items():
        engine.on_bar_history(symbol, [bar for bar in bars if bar.open_time_ms < tape.start_ms])
    alerts: list[Alert] = []
    is_trade, wall_ns, processor_ns = False, 0, 0

    def on_spike(event: SpikeDetected) -> None:
        wall_us = (perf_counter_ns() - wall_ns) / 1000
        processor_us = (thread_time_ns() - processor_ns) / 1000
        timed = Alert(event.spike, wall_us, processor_us)
        alerts.append(timed if is_trade else Alert(event.spike))

    bus.subscribe(SpikeDetected, on_spike)
    due_ms = tape.start_ms + _SECOND_MS
    for tick in tape.ticks:
        if tick.time_ms >= due_ms:
            clock.advance_to(due_ms)
            is_trade = False
            engine.advance(due_ms)
            due_ms = (tick.time_ms // _SECOND_MS + 1) * _SECOND_MS
        clock.advance_to(max(clock.now_ms(), tick.time_ms))
        is_trade = True
        processor_ns = thread_time_ns()
        wall_ns = perf_counter_ns()
        engine.on_tick(tick)
    return TapeResult(tape, tuple(alerts))
