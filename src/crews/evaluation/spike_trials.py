"""Plays every labelled and every quiet stretch of a directory, each as a trial of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

import numpy as np

from crews.evaluation.archive import Archive, NamedSpan, column_of, times_of
from crews.evaluation.spike_data import (
    CRASH_TRADES,
    QUIET,
    NaturalMove,
    Pump,
    files,
    read_crash_trades,
    read_natural,
    read_pumps,
)
from crews.evaluation.spike_outcome import (
    PEAK_WITHIN_MS,
    NaturalOutcome,
    PumpOutcome,
    judge_natural,
    judge_pump,
)
from crews.evaluation.spike_player import merged, play, ticks_of
from trading.clock import MINUTE_MS
from trading.market.config import SpikeDetectionConfig
from trading.model.market import Bar, Tick
from trading.model.spike import Spike, SpikeDirection
from trading.simulator.recorded_files import LEADERS
from trading.simulator.recorded_series import by_symbol, read_table, usable_rows

DAY_MS = 1440 * MINUTE_MS
_CONTEXT_MS = DAY_MS
_MIN_PAST_MINUTES = 720  # of a labelled minute's day; with less, nothing is usual
_MAX_PRICE_AGE_MS = 60 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class QuietSpan:
    """A time without a crash: ``bars`` count, ``history`` is the day before them."""

    name: str
    start_ms: int
    end_ms: int
    bars: Mapping[str, Sequence[Bar]]
    history: Mapping[str, Sequence[Bar]]

    @property
    def pair_days(self) -> float:
        return sum(len(bars) for bars in self.bars.values()) / 1440


@dataclass(frozen=True, slots=True)
class CrashTape:
    """Raw trades through a crash, with the minutes before them."""

    name: str
    ticks: Sequence[Tick]
    history: Mapping[str, Sequence[Bar]]

    @property
    def start_ms(self) -> int:
        return self.ticks[0].time_ms // MINUTE_MS * MINUTE_MS


class SpikeArchive:
    """The labelled events, quiet times and crash tapes of a directory."""

    def __init__(self, directory: Path) -> None:
        """Raises MarketDataError for a file that is not what its name says."""
        self.archive = Archive(directory, needs_pairs=False)
        self.pumps = read_pumps(directory, self._price_of, self.archive.left_out)
        self.natural = read_natural(directory, self.archive.left_out)
        self.labelled = frozenset(
            (move.symbol, move.minute_ms // MINUTE_MS) for move in self.natural
        )
        self.quiet = tuple(self._quiet(directory))
        self.tapes = tuple(self._tape(path) for path in files(directory, CRASH_TRADES))

    def play_pump(
        self, pump: Pump, config: SpikeDetectionConfig, *, alone: bool = False
    ) -> list[Spike]:
        """The pair's trades, with BTC and ETH beside them where they are recorded.

        ``alone``: without these and only until the peak must be past, for the search: what is
        detected is the same, whose move it was is not told.
        """
        start_ms, end_ms = int(pump.times[0]) // MINUTE_MS * MINUTE_MS, int(pump.times[-1])
        config = config if pump.rate is not None else without_notional(config)
        if alone:
            until_ms = pump.announced_ms + PEAK_WITHIN_MS
            first = takewhile(lambda tick: tick.time_ms < until_ms, pump.ticks())
            return play(first, {pump.symbol: pump.bars}, config, start_ms, trades_only=True)
        leaders = self._leaders(start_ms - _CONTEXT_MS, end_ms)
        ticks = merged(pump.ticks(), *(ticks_of(_from(b, start_ms)) for b in leaders.values()))
        return play(ticks, {pump.symbol: pump.bars, **leaders}, config, start_ms)

    def play_days_before(
        self, pump: Pump, config: SpikeDetectionConfig
    ) -> tuple[list[Spike], float]:
        """The pair's minutes before the pump, the first day as history; spikes and days."""
        end_ms = int(pump.times[0]) // MINUTE_MS * MINUTE_MS
        bars = [bar for bar in pump.bars if bar.close_time_ms <= end_ms]
        if not bars or end_ms - bars[0].open_time_ms <= DAY_MS:
            return [], 0.0
        start_ms = bars[0].open_time_ms + DAY_MS
        leaders = self._leaders(start_ms - _CONTEXT_MS, end_ms)
        config = config if pump.rate is not None else without_notional(config)
        history = {pump.symbol: bars, **leaders}
        ticks = merged(*(ticks_of(_from(b, start_ms)) for b in history.values()))
        found = play(ticks, history, config, start_ms)
        days = (end_ms - start_ms) / DAY_MS
        return [spike for spike in found if spike.symbol == pump.symbol], days

    def judge_pump(
        self, pump: Pump, config: SpikeDetectionConfig, *, alone: bool = False
    ) -> PumpOutcome:
        return judge_pump(pump, self.play_pump(pump, config, alone=alone))

    def rises_before(self, pump: Pump, config: SpikeDetectionConfig) -> list[Spike]:
        """Rises that are reported in the recorded time before the pump's own."""
        spikes = self.play_pump(pump, config)
        ends_ms = judge_pump(pump, spikes).begins_ms
        return [
            spike
            for spike in spikes
            if spike.symbol == pump.symbol
            and spike.direction is SpikeDirection.UP
            and spike.detected_at_ms < ends_ms
        ]

    def has_past(self, move: NaturalMove) -> bool:
        """Whether enough of the day before the labelled minute is on record, and the minute."""
        series = self.archive.pairs.get(move.symbol)
        if series is None:
            return False
        times = times_of(series)
        first, at = np.searchsorted(times, (move.minute_ms - DAY_MS, move.minute_ms))
        is_there = at < len(times) and int(times[at]) < move.minute_ms + MINUTE_MS
        return bool(is_there and at - first >= _MIN_PAST_MINUTES)

    def judge_natural(self, move: NaturalMove, config: SpikeDetectionConfig) -> NaturalOutcome:
        """The hour around a labelled minute, after a day of history."""
        start_ms, end_ms = move.minute_ms - 30 * MINUTE_MS, move.minute_ms + 30 * MINUTE_MS
        cut = self.archive.cut(start_ms - _CONTEXT_MS, end_ms)
        bars = {move.symbol: tuple(cut[move.symbol].bars())}
        ticks = merged(*(ticks_of(_from(b, start_ms)) for b in bars.values()))
        spikes = play(ticks, bars, config, start_ms, trades_only=True)
        return judge_natural(move, spikes, self.labelled, config.cooldown_s * 1000)

    def play_quiet(self, span: QuietSpan, config: SpikeDetectionConfig) -> list[Spike]:
        ticks = merged(*(ticks_of(bars) for bars in span.bars.values()))
        return play(ticks, span.history, config, span.start_ms, trades_only=True)

    def _price_of(self, coin: str, time_ms: int) -> float | None:
        """The coin's last recorded price in USDT, no older than an hour."""
        series = self.archive.pairs.get(f"{coin}USDT")
        if series is None:
            return None
        times = times_of(series)
        at = int(np.searchsorted(times, time_ms, side="right")) - 1
        if at < 0 or time_ms - int(times[at]) > _MAX_PRICE_AGE_MS:
            return None
        return float(column_of(series, "close")[at])

    def _leaders(self, start_ms: int, end_ms: int) -> dict[str, tuple[Bar, ...]]:
        cut = self.archive.cut(start_ms, end_ms)
        return {symbol: tuple(cut[symbol].bars()) for symbol in LEADERS if symbol in cut}

    def _quiet(self, directory: Path) -> Iterator[QuietSpan]:
        for path in files(directory, QUIET):
            # What is no bar has been counted where the archive read the file.
            series = by_symbol(usable_rows(read_table(path, filters=None)), path.name)
            bars = {symbol: tuple(one.bars()) for symbol, one in series.items()}
            yield from _split("file " + path.stem, bars)
        for window in self.archive.windows:
            if "quiet" in window.name:
                cut = self.archive.cut(window.start_ms, window.end_ms)
                bars = {symbol: tuple(cut[symbol].bars()) for symbol in LEADERS if symbol in cut}
                yield from _split(window.name, bars)
        for month in self._quiet_months():
            cut = self.archive.cut(month.start_ms - DAY_MS, month.end_ms)
            bars = {symbol: tuple(cut[symbol].bars()) for symbol in LEADERS if symbol in cut}
            yield from _split(month.name, bars)

    def _quiet_months(self) -> Iterator[NamedSpan]:
        """Whole months of BTC and ETH in which neither fell as crashes.csv counts it."""
        btc = self.archive.pairs.get(LEADERS[0])
        if not self.archive.events or btc is None:
            return
        times = times_of(btc)
        eventful = {_month(event.low_minute_ms) for event in self.archive.events}
        for year, month in sorted({_month(int(ms)) for ms in times[:: 1440 * 7]}):
            if (year, month) in eventful:
                continue
            start_ms = _ms(year, month)
            end_ms = _ms(year + month // 12, month % 12 + 1)
            whole = (end_ms - start_ms) // MINUTE_MS
            first, last = np.searchsorted(times, (start_ms, end_ms))
            if last - first > 0.99 * whole:
                yield NamedSpan(f"{year}-{month:02}", start_ms, end_ms)

    def _tape(self, path: Path) -> CrashTape:
        ticks = read_crash_trades(path, self.archive.left_out)
        cut = self.archive.cut(ticks[0].time_ms - DAY_MS, ticks[0].time_ms)
        history = {symbol: tuple(series.bars()) for symbol, series in cut.items()}
        return CrashTape(path.stem, ticks, history)


def without_notional(config: SpikeDetectionConfig) -> SpikeDetectionConfig:
    """Without the limit on notional: for pairs whose quote asset has no known price."""
    return config.model_copy(update={"min_notional_usd": 0.0})


def _split(name: str, bars: Mapping[str, Sequence[Bar]]) -> Iterator[QuietSpan]:
    """The first day is history, the rest counts."""
    if not bars or not all(bars.values()):
        return
    begins_ms = min(of_pair[0].open_time_ms for of_pair in bars.values())
    ends_ms = max(of_pair[-1].close_time_ms for of_pair in bars.values())
    start_ms = begins_ms + DAY_MS
    if start_ms < ends_ms:
        counted = {symbol: _from(of_pair, start_ms) for symbol, of_pair in bars.items()}
        yield QuietSpan(name, start_ms, ends_ms, counted, bars)


def _from(bars: Sequence[Bar], start_ms: int) -> tuple[Bar, ...]:
    return tuple(bar for bar in bars if bar.open_time_ms >= start_ms)


def _month(time_ms: int) -> tuple[int, int]:
    when = datetime.fromtimestamp(time_ms / 1000, UTC)
    return when.year, when.month


def _ms(year: int, month: int) -> int:
    return round(datetime(year, month, 1, tzinfo=UTC).timestamp() * 1000)
