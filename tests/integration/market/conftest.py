"""A market source run through the market engine."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from trading.clock import VirtualClock
from trading.events import CrashDetected, EventBus, SpikeDetected
from trading.market.config import CrashDetectionConfig, MarketConfig, SpikeDetectionConfig
from trading.market.engine import MarketEngine
from trading.model.spike import Spike
from trading.simulator.market_source import MarketSource


@dataclass
class Run:
    """What the engine said of a source."""

    crashes: list[tuple[int, str]] = field(default_factory=list)  # market time, rule
    spikes: list[Spike] = field(default_factory=list)
    problems: set[str] = field(default_factory=set)
    ticks: int = 0


def run(source: MarketSource, until_ms: int | None = None) -> Run:
    """Every tick, and ``advance`` a second after it, as a core would; idle seconds are skipped."""
    result, clock, bus = Run(), VirtualClock(source.start_ms), EventBus()
    bus.subscribe(CrashDetected, lambda e: result.crashes.append((clock.now_ms(), e.rule)))
    bus.subscribe(SpikeDetected, lambda event: result.spikes.append(event.spike))
    engine = MarketEngine(
        MarketConfig(symbols=source.symbols),
        SpikeDetectionConfig(),
        CrashDetectionConfig(),
        clock,
        bus,
        tick_gap_ms=source.tick_gap_ms,
    )
    for symbol, bars in source.history().items():
        engine.on_bar_history(symbol, bars)
    due_ms = source.start_ms + 1000
    for tick in source.ticks():
        if until_ms is not None and tick.time_ms >= until_ms:
            break
        while due_ms <= tick.time_ms:
            clock.advance_to(due_ms)
            result.problems.add(engine.advance(due_ms).problem)
            due_ms += max(1000, (tick.time_ms - due_ms) // 1000 * 1000)
        clock.advance_to(tick.time_ms)
        engine.on_tick(tick)
        result.ticks += 1
    return result


@pytest.fixture
def run_market() -> Callable[..., Run]:
    return run


@pytest.fixture(scope="session")
def recorded_data() -> Path:
    """The directory of recorded data, or a skip that says why."""
    directory = os.environ.get("SPIKEGUARD_MARKET_DATA")
    if not directory:
        pytest.skip("SPIKEGUARD_MARKET_DATA is not set: no recorded market data")
    return Path(directory)
