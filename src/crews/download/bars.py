"""One day of bars as both sources give it, in columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from trading.clock import DAY_MS
from trading.errors import MarketDataError
from trading.exchange.intervals import interval_ms

COLUMNS = ("ts", "open", "high", "low", "close", "volume")
_MICROSECONDS_FROM = 10**14  # the archive's spot files count in µs since 2025


def day_start_ms(day: date) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def day_table(pair: str, day: date, interval: str, rows: Iterable[Sequence[Any]]) -> Any:
    """An Arrow table of kline rows (opening time, open, high, low, close, volume, …).

    Raises MarketDataError for a row that is no bar of that day.
    """
    import pyarrow as pa

    start_ms, step_ms = day_start_ms(day), interval_ms(interval)
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    before_ms = -1
    for row in rows:
        try:
            time_ms = int(row[0])
            opened, high, low, close, volume = (float(row[at]) for at in range(1, 6))
        except (ValueError, IndexError, TypeError) as error:
            raise MarketDataError(f"{pair} {day}: {row!r} is no bar") from error
        if time_ms >= _MICROSECONDS_FROM:
            time_ms //= 1000
        if not start_ms <= time_ms < start_ms + DAY_MS or (time_ms - start_ms) % step_ms:
            raise MarketDataError(f"{pair} {day}: a bar of {time_ms} is not of that day")
        if time_ms <= before_ms:
            raise MarketDataError(f"{pair} {day}: the bar of {time_ms} comes twice or too late")
        if not 0 < low <= min(opened, close) <= max(opened, close) <= high or volume < 0:
            raise MarketDataError(f"{pair} {day}: the bar of {time_ms} contradicts itself")
        before_ms = time_ms
        for name, value in zip(COLUMNS, (time_ms, opened, high, low, close, volume), strict=True):
            columns[name].append(value)
    types = [pa.int64(), *(pa.float64() for _ in COLUMNS[1:])]
    arrays = [pa.array(columns[name], kind) for name, kind in zip(COLUMNS, types, strict=True)]
    symbols = pa.array([pair] * len(columns["ts"]), pa.string())
    return pa.table([symbols, *arrays], names=["symbol", *COLUMNS])
