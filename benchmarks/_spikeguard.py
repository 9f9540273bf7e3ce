"""The product's market engine, fed as a core feeds it: trade by trade, and a pass every second."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Iterator

from _market import Stream

from trading.clock import VirtualClock
from trading.events import EventBus
from trading.market.config import CrashDetectionConfig, MarketConfig, SpikeDetectionConfig
from trading.market.engine import MarketEngine
from trading.model.market import Bar, Tick

PASS_MS = 1_000


def build(
    stream: Stream, crash: CrashDetectionConfig | None = None, *, spikes: bool = True
) -> tuple[MarketEngine, VirtualClock]:
    """Every window on, every crash rule, and the spike detectors unless told otherwise; the
    minutes before the trades as history."""
    logging.disable(logging.CRITICAL)
    clock = VirtualClock(stream.events[0][1] // 60_000 * 60_000)
    # The engine cannot be without BTC and ETH; where one symbol is asked for, ETH never trades.
    symbols = tuple(dict.fromkeys((*stream.symbols, "BTCUSDT", "ETHUSDT")))
    engine = MarketEngine(
        MarketConfig(symbols=symbols),
        SpikeDetectionConfig(enabled=spikes),
        crash or CrashDetectionConfig(),
        clock,
        EventBus(),
    )
    for symbol in stream.symbols:
        bars = [Bar(symbol, at, 60_000, *ohlcv) for at, *ohlcv in stream.minutes[symbol]]
        engine.on_bar_history(symbol, bars)
    engine.advance(clock.now_ms())
    gc.collect()
    gc.freeze()
    return engine, clock


def ticks(stream: Stream) -> list[Tick]:
    return [Tick(stream.symbols[n], price, size, at) for n, at, price, size in stream.events]


def seconds(items: list, times: list[int]) -> Iterator[tuple[int, list]]:
    """The items of each second, with the second's end."""
    end_ms, start = (times[0] // PASS_MS + 1) * PASS_MS, 0
    for at, time_ms in enumerate(times):
        if time_ms >= end_ms:
            yield end_ms, items[start:at]
            start, end_ms = at, (time_ms // PASS_MS + 1) * PASS_MS
    yield end_ms, items[start:]


def throughput(stream: Stream, rounds: int) -> dict[str, float]:
    """The best of some rounds, each with a fresh engine: see ``_throughput``."""
    return min((_throughput(stream) for _ in range(rounds)), key=lambda cost: cost["all_ns"])


def _throughput(stream: Stream) -> dict[str, float]:
    """Processor time a trade, in ns: on the way in, in the passes, and both."""
    engine, clock = build(stream)
    groups = list(seconds(ticks(stream), [event[1] for event in stream.events]))
    on_tick, advance, now = engine.on_tick, engine.advance, time.process_time_ns
    passes_ns: list[int] = []
    started = now()
    for end_ms, group in groups:
        clock.advance_to(end_ms - 1)
        for tick in group:
            on_tick(tick)
        before = now()
        advance(end_ms)
        passes_ns.append(now() - before)
    total, count = now() - started, len(stream.events)
    passes_ns.sort()
    return {
        "trade_ns": (total - sum(passes_ns)) / count,
        "pass_ns": sum(passes_ns) / count,
        "all_ns": total / count,
        "pass_p50_ms": passes_ns[len(passes_ns) // 2] / 1e6,
        "pass_max_ms": passes_ns[-1] / 1e6,
        "bytes": footprint(engine) / max(1, len(stream.symbols)),
    }


def percentiles(stream: Stream, rounds: int) -> tuple[int, ...]:
    """p50, p99 and p99.9 of a single trade in ns, each the best of some rounds."""
    columns = zip(*(_percentiles(stream) for _ in range(rounds)), strict=True)
    return tuple(min(column) for column in columns)


def _percentiles(stream: Stream) -> tuple[int, ...]:
    """By wall time, less what the two looks at the clock cost."""
    engine, clock = build(stream)
    on_tick, now = engine.on_tick, time.perf_counter_ns
    values: list[int] = []
    for end_ms, group in seconds(ticks(stream), [event[1] for event in stream.events]):
        clock.advance_to(end_ms - 1)
        for tick in group:
            before = now()
            on_tick(tick)
            values.append(now() - before)
        engine.advance(end_ms)
    cost = _empty_call_ns(lambda tick: None)
    values.sort()
    return tuple(max(0, values[int(len(values) * share)] - cost) for share in (0.50, 0.99, 0.999))


def _empty_call_ns(nothing: Callable[[object], None]) -> int:
    now = time.perf_counter_ns
    values = []
    for _ in range(10_000):
        before = now()
        nothing(None)
        values.append(now() - before)
    return sorted(values)[len(values) // 2]


def footprint(engine: MarketEngine) -> int:
    """Bytes of everything reachable from the pairs' states, each object once."""
    import sys

    seen: set[int] = set()
    waiting: list[object] = list(engine._states.values())
    total = 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type) or callable(one):
            continue
        seen.add(id(one))
        total += sys.getsizeof(one)
        waiting += gc.get_referents(one)
    return total
