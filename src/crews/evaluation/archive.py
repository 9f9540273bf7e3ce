"""All that a directory of recorded data holds for the guardian, found by the files' names."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trading.clock import DAY_MS, MINUTE_MS
from trading.errors import MarketDataError
from trading.simulator.recorded_files import CORE_FILE, LEADERS, read_all
from trading.simulator.recorded_series import BarSeries, read_table, require

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

CRASHES_FILE = "crashes.csv"
HOURLY_FILE = re.compile(r"^binance_market_1h_.*\.parquet$")
GAP_MS = 4 * 60 * MINUTE_MS  # a longer pause empties every window, so nothing goes on after it
MONTH_MS = 30.4375 * DAY_MS
_CRASH_COLUMNS = ("asset", "threshold_pct", "first_cross_utc", "first_cross_close_utc")


@dataclass(frozen=True, slots=True)
class CrashEvent:
    """A row of crashes.csv: one asset fell by the threshold below its one-hour high."""

    asset: str
    threshold_pct: float
    low_minute_ms: int  # first minute whose low is beyond it
    close_minute_ms: int | None  # first minute whose close is; None for a wick


@dataclass(frozen=True, slots=True)
class NamedSpan:
    """A named part of the record, ``end_ms`` excluded."""

    name: str
    start_ms: int
    end_ms: int

    @property
    def is_crash(self) -> bool:
        """Windows of crashes are named by their date, others in words."""
        return self.name[:1].isdigit() and "quiet" not in self.name


@dataclass(frozen=True, slots=True)
class HourlyPairs:
    """Bars of an hour around a named event, of pairs of which there are no minutes."""

    span: NamedSpan
    pairs: Mapping[str, BarSeries]


class Archive:
    """Minute bars of all pairs, the labelled crashes and the named windows of one directory."""

    def __init__(self, directory: Path, *, needs_pairs: bool = True) -> None:
        """Raises MarketDataError when a file is wrong, or bars are wanted and there are none."""
        self.directory = directory
        self.left_out: Counter[str] = Counter()  # rows that are no bars, by file
        self.pairs = _merged(directory, self.left_out)
        if needs_pairs and not self.pairs:
            raise MarketDataError(
                f"{directory} has no minute bars of any pair; their files are named like"
                " binance_spot_BTCUSDT_1m_2021.parquet or binance_spot_alts_1m_2021-04-18.parquet"
            )
        self.events = _events(directory / CRASHES_FILE)
        self.windows = _windows(directory / CORE_FILE)
        self.absent_leaders = tuple(one for one in LEADERS if one not in self.pairs)
        self.spans = _spans(self.pairs)

    def months(self) -> dict[int, float]:
        """Recorded time (``spans``), by calendar year."""
        months: dict[int, float] = {}
        for span in self.spans:
            for year in range(year_of(span.start_ms), year_of(span.end_ms - 1) + 1):
                start_ms = max(span.start_ms, _new_year_ms(year))
                end_ms = min(span.end_ms, _new_year_ms(year + 1))
                months[year] = months.get(year, 0.0) + (end_ms - start_ms) / MONTH_MS
        return months

    def cut(self, start_ms: int, end_ms: int) -> dict[str, BarSeries]:
        """The bars of every pair that has some there; BTC and ETH first."""
        found = {}
        span = NamedSpan("", start_ms, end_ms)
        for symbol, series in self.pairs.items():
            if len(part := within(series, span)):
                found[symbol] = part
        return found

    def past(self, end_ms: int) -> dict[str, BarSeries]:
        """BTC's and ETH's bars of the day before."""
        day = self.cut(end_ms - DAY_MS, end_ms)
        return {symbol: series for symbol, series in day.items() if symbol in LEADERS}

    @cached_property
    def hourly(self) -> tuple[HourlyPairs, ...]:
        """Named windows of hourly bars, spot before futures where a coin has both."""
        result = []
        for path in sorted(self.directory.iterdir()):
            if HOURLY_FILE.match(path.name):
                result += _hourly(path)
        return tuple(result)


def year_of(time_ms: int) -> int:
    """The calendar year, UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).year


def times_of(series: BarSeries) -> Times:
    """Open times in ms, a view."""
    return np.frombuffer(series.times, np.int64)


def column_of(series: BarSeries, name: str) -> Floats:
    """One of open, high, low, close, volume; a view."""
    return np.frombuffer(series.columns[name], np.float64)


def _merged(directory: Path, left_out: Counter[str]) -> dict[str, BarSeries]:
    parts: dict[str, list[BarSeries]] = {symbol: [] for symbol in LEADERS}
    for one in read_all(directory, left_out):
        if len(one):
            parts.setdefault(one.symbol, []).append(one)
    return {symbol: _without_repeats(symbol, found) for symbol, found in parts.items() if found}


def _spans(pairs: Mapping[str, BarSeries]) -> tuple[NamedSpan, ...]:
    """The times over which BTC and ETH are recorded, broken at pauses of over GAP_MS.

    Where one of them is absent the other's times count, where both are those of any pair.
    """
    leaders = [times_of(pairs[leader]) // MINUTE_MS for leader in LEADERS if leader in pairs]
    if len(leaders) == len(LEADERS):
        btc, eth = leaders
        minutes = np.intersect1d(btc, eth, assume_unique=True)  # or it hashes, 100 times slower
    else:
        known = leaders or [times_of(series) // MINUTE_MS for series in pairs.values()]
        minutes = np.unique(np.concatenate(known)) if known else np.array([], np.int64)
    breaks = np.flatnonzero(np.diff(minutes) * MINUTE_MS > GAP_MS) + 1
    return tuple(
        NamedSpan(str(number), int(part[0]) * MINUTE_MS, int(part[-1] + 1) * MINUTE_MS)
        for number, part in enumerate(np.split(minutes, breaks))
        if len(part)
    )


def _without_repeats(symbol: str, parts: list[BarSeries]) -> BarSeries:
    """Of bars in the same minute, the first part's count."""
    times = np.concatenate([times_of(part) for part in parts])
    _, firsts = np.unique(times // MINUTE_MS, return_index=True)
    merged = BarSeries(symbol, ", ".join(dict.fromkeys(part.origin for part in parts)))
    merged.times.frombytes(times[firsts].tobytes())
    for name, column in merged.columns.items():
        values = np.concatenate([column_of(part, name) for part in parts])
        column.frombytes(values[firsts].tobytes())
    return merged


def within(series: BarSeries, span: NamedSpan) -> BarSeries:
    """The bars that open in the span."""
    first, last = (
        int(at) for at in np.searchsorted(times_of(series), (span.start_ms, span.end_ms))
    )
    part = BarSeries(series.symbol, series.origin)
    part.times.extend(series.times[first:last])
    for name, column in part.columns.items():
        column.extend(series.columns[name][first:last])
    return part


def _events(path: Path) -> tuple[CrashEvent, ...]:
    if not path.is_file():
        return ()
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        missing = [name for name in _CRASH_COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise MarketDataError(f"{path} has no column {', '.join(missing)}")
        return tuple(_event(row, f"{path}, line {rows.line_num}") for row in rows)


def _event(row: Mapping[str, str], place: str) -> CrashEvent:
    try:
        by_close = row["first_cross_close_utc"]
        return CrashEvent(
            asset=row["asset"],
            threshold_pct=float(row["threshold_pct"]),
            low_minute_ms=_minute_ms(row["first_cross_utc"]),
            close_minute_ms=_minute_ms(by_close) if by_close else None,
        )
    except ValueError as error:
        raise MarketDataError(f"{place}: {error}") from error


def _new_year_ms(year: int) -> int:
    return round(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1000)


def _minute_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def _windows(path: Path) -> tuple[NamedSpan, ...]:
    if not path.is_file():
        return ()
    table = read_table(path, filters=None)
    require(table, ("window", "ts"), path.name)
    return tuple(
        NamedSpan(name, first, last + MINUTE_MS) for name, first, last in _extent(table, "window")
    )


def _extent(table: Any, key: str) -> list[tuple[str, int, int]]:
    grouped = table.group_by(key).aggregate([("ts", "min"), ("ts", "max")])
    return sorted((row[key], row["ts_min"], row["ts_max"]) for row in grouped.to_pylist())


def _hourly(path: Path) -> list[HourlyPairs]:
    import pyarrow.compute as pc

    from trading.simulator.recorded_series import by_symbol

    table = read_table(path, filters=None)
    require(table, ("window", "market", "ts"), path.name)
    result = []
    for name, first, last in _extent(table, "window"):
        of_window = table.filter(pc.equal(table["window"], name))
        pairs: dict[str, BarSeries] = {}
        for market in sorted(pc.unique(of_window["market"]).to_pylist()):  # spot, um_perp
            of_market = of_window.filter(pc.equal(of_window["market"], market))
            for symbol, series in by_symbol(of_market, path.name).items():
                pairs.setdefault(symbol, series)
        result.append(HourlyPairs(NamedSpan(name, first, last + 60 * MINUTE_MS), pairs))
    return result
