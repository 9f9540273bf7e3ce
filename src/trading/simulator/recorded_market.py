"""A recorded market, replayed from minute bars.

Every bar becomes four trades (``trading.market.pseudo_ticks``). The first four hours of the data
are history, so that every window is full when the market starts; when the data reaches back
farther, up to a day of it is.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from pathlib import Path

from trading.clock import MINUTE_MS, iso
from trading.errors import MarketDataError
from trading.market.pseudo_ticks import bar_ticks
from trading.model.market import Bar, Tick
from trading.simulator.recorded_files import (
    LEADERS,
    read_range,
    read_window,
    resolve_window,
)
from trading.simulator.recorded_series import BarSeries

HISTORY_MS = 4 * 60 * MINUTE_MS
LONG_HISTORY_MS = 24 * 60 * MINUTE_MS
TICK_GAP_MS = 30_000  # between the second extreme of a bar and its close
_DECIMALS_SAMPLE = 500
_MAX_DECIMALS = 10


class RecordedMarket:
    """A ``MarketSource`` over recorded bars. Build it with ``load``."""

    def __init__(self, name: str, series: dict[str, BarSeries], start_ms: int, end_ms: int) -> None:
        self._name = name
        others = sorted(symbol for symbol in series if symbol not in LEADERS)
        self._series = {symbol: series[symbol] for symbol in (*LEADERS, *others)}
        self._start_ms = start_ms
        self._end_ms = end_ms

    @classmethod
    def load(
        cls,
        directory: Path,
        *,
        window: str | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        symbols: tuple[str, ...] | None = None,
    ) -> RecordedMarket:
        """Read a named window, or the time from ``start_ms`` to before ``end_ms``.

        ``window`` may be a part of the name ("2020-03-12"); with neither, the latest dated window.
        A window with ``start_ms`` begins there. ``symbols`` narrows the market; BTC and ETH stay.

        Raises MarketDataError when the directory does not have what is asked for.
        """
        if not directory.is_dir():
            raise MarketDataError(f"{directory} is no directory of recorded market data")
        if end_ms is None:
            name = resolve_window(directory, window)
            series = read_window(directory, name)
        elif window is not None or start_ms is None or start_ms >= end_ms:
            raise MarketDataError("give a window, or a start and a later end, not both")
        else:
            name = "range"
            series = read_range(directory, start_ms - LONG_HISTORY_MS, end_ms)
        if symbols is not None:
            wanted = {*LEADERS, *symbols}
            series = {symbol: one for symbol, one in series.items() if symbol in wanted}
        first_ms = max(series[symbol].times[0] for symbol in LEADERS)
        last_ms = max(series[symbol].times[-1] for symbol in LEADERS) + MINUTE_MS
        begin_ms = max(start_ms or 0, first_ms + HISTORY_MS)
        if start_ms is not None and name != "range" and not first_ms <= start_ms < last_ms:
            raise MarketDataError(
                f"{iso(start_ms)} lies outside window {name}, which is from {iso(first_ms)} to"
                f" {iso(last_ms)}"
            )
        if begin_ms >= last_ms:
            raise MarketDataError(f"{directory}: four hours of history leave nothing to replay")
        return cls(f"recorded {name}", series, begin_ms, last_ms)

    @property
    def name(self) -> str:
        return self._name

    @property
    def symbols(self) -> tuple[str, ...]:
        """BTC and ETH first, then the others by name."""
        return tuple(self._series)

    @property
    def start_ms(self) -> int:
        return self._start_ms

    @property
    def end_ms(self) -> int | None:
        return self._end_ms

    @property
    def tick_gap_ms(self) -> int:
        return TICK_GAP_MS

    @property
    def bar_count(self) -> int:
        """Bars that ``ticks`` replays, of all pairs."""
        return sum(len(one) - self._first(one) for one in self._series.values())

    @property
    def price_decimals(self) -> Mapping[str, int]:
        return {symbol: _decimals(one) for symbol, one in self._series.items()}

    @property
    def origins(self) -> Mapping[str, str]:
        """File, and venue where it is not Binance's spot market, that each pair comes from."""
        return {symbol: one.origin for symbol, one in self._series.items()}

    def history(self) -> dict[str, tuple[Bar, ...]]:
        """Bars before the start; a pair whose record begins later has none."""
        return {
            symbol: tuple(one.bars(0, self._first(one))) for symbol, one in self._series.items()
        }

    def ticks(self) -> Iterator[Tick]:
        """All pairs' trades in time order; of equal times, in the order of ``symbols``."""
        return heapq.merge(*map(self._ticks_of, self._series.values()), key=_time_of)

    def _ticks_of(self, series: BarSeries) -> Iterator[Tick]:
        for bar in series.bars(self._first(series)):
            yield from bar_ticks(bar)

    def _first(self, series: BarSeries) -> int:
        return bisect_left(series.times, self._start_ms)


def _time_of(tick: Tick) -> int:
    return tick.time_ms


def _decimals(series: BarSeries) -> int:
    """Most decimal places among a sample of closes."""
    step = max(1, len(series) // _DECIMALS_SAMPLE)
    most = 0
    for close in series.columns["close"][::step]:
        digits = f"{close:.{_MAX_DECIMALS}f}".rstrip("0")
        most = max(most, len(digits) - digits.index(".") - 1)
    return most
