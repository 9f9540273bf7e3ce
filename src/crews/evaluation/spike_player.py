"""Runs the real market engine over recorded trades and bars and keeps the spikes it reports."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence

from trading.clock import VirtualClock
from trading.events import EventBus, SpikeDetected
from trading.market.config import CrashDetectionConfig, MarketConfig, SpikeDetectionConfig
from trading.market.engine import MarketEngine
from trading.market.pseudo_ticks import bar_ticks
from trading.model.market import Bar, Tick
from trading.model.spike import Spike
from trading.simulator.recorded_files import LEADERS

_SECOND_MS = 1000


def play(
    ticks: Iterable[Tick],
    history: Mapping[str, Sequence[Bar]],
    config: SpikeDetectionConfig,
    start_ms: int,
    *,
    trades_only: bool = False,
) -> list[Spike]:
    """Every trade, and a look at the market after each second in which there was one.

    ``history`` holds the bars from before ``start_ms``; pairs are those of history and trades, and
    always BTC and ETH, whether or not anything is known of them. ``trades_only``: without the looks
    at the market, which no spike of trades depends on and which take most of the time.
    """
    ticks = list(ticks)
    symbols = tuple(dict.fromkeys((*LEADERS, *history, *(tick.symbol for tick in ticks))))
    clock, bus, found = VirtualClock(start_ms), EventBus(), list[Spike]()
    bus.subscribe(SpikeDetected, lambda event: found.append(event.spike))
    engine = MarketEngine(MarketConfig(symbols=symbols), config, CrashDetectionConfig(), clock, bus)
    for symbol, bars in history.items():
        engine.on_bar_history(symbol, [bar for bar in bars if bar.open_time_ms < start_ms])
    due_ms = start_ms + _SECOND_MS
    for tick in ticks:
        if tick.time_ms >= due_ms and not trades_only:
            clock.advance_to(due_ms)
            engine.advance(due_ms)
            due_ms = (tick.time_ms // _SECOND_MS + 1) * _SECOND_MS
        clock.advance_to(max(clock.now_ms(), tick.time_ms))
        engine.on_tick(tick)
    return found


def merged(*streams: Iterable[Tick]) -> Iterator[Tick]:
    """Trades of several pairs in time order."""
    return heapq.merge(*streams, key=lambda tick: tick.time_ms)


def ticks_of(bars: Iterable[Bar]) -> Iterator[Tick]:
    """Four trades a bar."""
    for bar in bars:
        yield from bar_ticks(bar)
