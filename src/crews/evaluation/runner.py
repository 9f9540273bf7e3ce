"""Runs the real market engine over recorded minutes and keeps what the crash detector said."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby

from crews.evaluation.archive import NamedSpan
from trading.clock import MINUTE_MS, VirtualClock
from trading.events import CrashDetected, EventBus
from trading.market.config import CrashDetectionConfig, MarketConfig, SpikeDetectionConfig
from trading.market.engine import MarketEngine
from trading.market.pseudo_ticks import bar_ticks
from trading.model.market import Tick
from trading.model.metrics import MarketSnapshot
from trading.simulator.recorded_files import LEADERS
from trading.simulator.recorded_market import TICK_GAP_MS
from trading.simulator.recorded_series import BarSeries

ADVANCE_AFTER_MS = 1000  # the core looks at the whole market once a second
HOUR_MS = 60 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Signal:
    """A rule that was breached, and when."""

    time_ms: int
    rule: str
    reason: str


@dataclass(slots=True)
class Listened:
    """What the detector said over one stretch of time."""

    span: NamedSpan
    signals: list[Signal] = field(default_factory=list)
    active: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)  # at every change
    warned_ms: list[int] = field(default_factory=list)  # beginnings of metrics at the soft limit

    def active_at(self, time_ms: int) -> tuple[str, ...]:
        """Rules breached and not armed again at ``time_ms``."""
        rules: tuple[str, ...] = ()
        for changed_ms, now_active in self.active:
            if changed_ms > time_ms:
                break
            rules = now_active
        return rules


def listen(
    series: Mapping[str, BarSeries],
    span: NamedSpan,
    config: CrashDetectionConfig,
    *,
    history: Mapping[str, BarSeries] | None = None,
    hourly: Mapping[str, BarSeries] | None = None,
    on_look: Callable[[MarketSnapshot], None] | None = None,
) -> Listened:
    """Play the bars of ``span``: four trades a bar, and a look at the market after each moment.

    ``history`` are bars before the span, from which usual volumes are taken; ``hourly`` pairs are
    played as bars of an hour beside the minutes. ``on_look`` is shown the market at every look.
    """
    result, clock, bus = Listened(span), VirtualClock(span.start_ms), EventBus()
    symbols = tuple(dict.fromkeys((*LEADERS, *series, *(hourly or ()))))
    engine = MarketEngine(
        MarketConfig(symbols=symbols),
        SpikeDetectionConfig(enabled=False),
        config,
        clock,
        bus,
        tick_gap_ms=TICK_GAP_MS,
    )
    for symbol, past in (history or {}).items():
        if symbol in symbols:
            engine.on_bar_history(symbol, past.bars())
    bus.subscribe(
        CrashDetected,
        lambda event: result.signals.append(Signal(clock.now_ms(), event.rule, event.reason)),
    )
    was_warned = False
    active: tuple[str, ...] = ()
    due_ms = span.start_ms + ADVANCE_AFTER_MS
    for time_ms, ticks in groupby(_ticks(series, hourly or {}), key=_time_of):
        if time_ms >= due_ms:
            clock.advance_to(due_ms)
            snapshot = engine.advance(due_ms)
            if on_look is not None:
                on_look(snapshot)
            is_warned = snapshot.share_of_limit >= config.warning_share
            if is_warned and not was_warned:
                result.warned_ms.append(due_ms)
            was_warned = is_warned
            due_ms = time_ms + ADVANCE_AFTER_MS
        clock.advance_to(time_ms)
        for tick in ticks:
            engine.on_tick(tick)
        if engine.active_breaches != active:
            active = engine.active_breaches
            result.active.append((time_ms, active))
    return result


def _ticks(series: Mapping[str, BarSeries], hourly: Mapping[str, BarSeries]) -> Iterator[Tick]:
    streams = [_ticks_of(one, MINUTE_MS) for one in series.values()]
    streams += [_ticks_of(one, HOUR_MS) for name, one in hourly.items() if name not in series]
    return heapq.merge(*streams, key=_time_of)


def _ticks_of(series: BarSeries, interval_ms: int) -> Iterator[Tick]:
    for bar in series.bars():
        if interval_ms != MINUTE_MS:
            bar = replace(bar, interval_ms=interval_ms)
        yield from bar_ticks(bar)


def _time_of(tick: Tick) -> int:
    return tick.time_ms
