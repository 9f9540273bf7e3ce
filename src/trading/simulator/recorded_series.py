"""Recorded bars in columns, and how the tables of the recorded files become such."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

from trading.clock import MINUTE_MS
from trading.errors import MarketDataError
from trading.model.market import Bar

# Of the venues in the tick files: Binance's spot pairs first, then other spot markets by how much
# they trade, coin-margined contracts between them because Gemini's tape is thinner still.
VENUE_ORDER = ("binance", "coinbase", "binance-delivery", "gemini")
_CONTRACT_USD = 10.0  # face value of Binance's coin-margined contracts other than BTC's
_PRICES = ("open", "high", "low", "close")


@dataclass(slots=True)
class BarSeries:
    """Bars of one pair in columns, in time order."""

    symbol: str
    origin: str  # the file, for messages
    times: array[int] = field(default_factory=lambda: array("q"))
    columns: dict[str, array[float]] = field(
        default_factory=lambda: {name: array("d") for name in (*_PRICES, "volume")}
    )

    def __len__(self) -> int:
        return len(self.times)

    def extend(self, other: BarSeries) -> None:
        """Append the other's bars; the caller sees to their order."""
        self.times.extend(other.times)
        for name, column in self.columns.items():
            column.extend(other.columns[name])

    def bars(self, start: int = 0, stop: int | None = None) -> Iterator[Bar]:
        """Raises MarketDataError for a bar whose prices contradict each other."""
        opens, highs, lows, closes = (self.columns[name] for name in _PRICES)
        volumes = self.columns["volume"]
        for at in range(start, len(self.times) if stop is None else stop):
            try:
                yield Bar(
                    self.symbol,
                    self.times[at],
                    MINUTE_MS,
                    opens[at],
                    highs[at],
                    lows[at],
                    closes[at],
                    volumes[at],
                )
            except ValueError as error:
                raise MarketDataError(f"{self.origin}: {error}") from error


def read_table(path: Path, filters: list[tuple[str, str, Any]] | None) -> Any:
    """The table, with decimals cast to floats in Arrow (row by row is a hundred times slower)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise MarketDataError(f"{path} does not exist")
    try:
        table = pq.read_table(path, filters=filters)
    except (pa.ArrowException, OSError) as error:
        raise MarketDataError(f"{path} cannot be read: {error}") from error
    for index, column in enumerate(table.schema):
        if pa.types.is_decimal(column.type):
            table = table.set_column(index, column.name, table[column.name].cast(pa.float64()))
        elif pa.types.is_dictionary(column.type):
            table = table.set_column(index, column.name, table[column.name].cast(pa.string()))
    return table


def usable_rows(table: Any) -> Any:
    """The rows that are bars: with all values, positive prices in order, and a volume."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if any(name not in table.column_names for name in ("ts", *_PRICES, "volume")):
        return table  # whoever needs the columns says so
    try:
        numbers = [table[name].cast("double") for name in (*_PRICES, "volume")]
    except pa.ArrowException:
        return table  # and whoever needs numbers, too
    opened, high, low, close, volume = numbers
    lowest = pc.min_element_wise(opened, close, skip_nulls=False)
    highest = pc.max_element_wise(opened, close, skip_nulls=False)
    conditions = (
        pc.is_valid(table["ts"]),
        pc.greater(low, 0.0),
        pc.less_equal(low, lowest),
        pc.greater_equal(high, highest),
        pc.is_finite(high),
        pc.greater_equal(volume, 0.0),
        pc.is_finite(volume),
    )
    return table.filter(reduce(pc.and_, conditions))  # what is null is left out, too


def by_symbol(table: Any, origin: str) -> dict[str, BarSeries]:
    import pyarrow.compute as pc

    require(table, ("symbol",), origin)
    result = {}
    for symbol in sorted(pc.unique(table["symbol"]).to_pylist()):
        one = BarSeries(symbol, origin)
        append(one, table.filter(pc.equal(table["symbol"], symbol)))
        result[symbol] = one
    return result


def by_venue(table: Any, origin: str) -> dict[str, BarSeries]:
    """One series per coin, from the best venue that has it, named as the coin's USDT pair."""
    import pyarrow.compute as pc

    result: dict[str, BarSeries] = {}
    for venue in VENUE_ORDER:
        of_venue = table.filter(pc.equal(table["exchange"], venue))
        for name, one in by_symbol(of_venue, f"{origin} ({venue})").items():
            coin = re.sub(r"(-USD|USDT|USD_PERP|USD)$", "", name)
            if f"{coin}USDT" in result:
                continue
            one.symbol = f"{coin}USDT"
            if venue == "binance-delivery":
                closes, volumes = one.columns["close"], one.columns["volume"]
                contracts = zip(volumes, closes, strict=True)
                one.columns["volume"] = array(
                    "d", (count * _CONTRACT_USD / close for count, close in contracts)
                )
            result[one.symbol] = one
    return result


def in_usdt(quoted: dict[str, BarSeries], btc: BarSeries) -> dict[str, BarSeries]:
    """Pairs against BTC, in USDT: open by BTC's open, the rest by BTC's close of the minute.

    The extremes of a product are not the product of extremes; highs and lows are those of the pair
    at BTC's close, widened to hold open and close.
    """
    at_minute = {time_ms: at for at, time_ms in enumerate(btc.times)}
    result = {}
    for name, one in quoted.items():
        converted = BarSeries(f"{name.removesuffix('BTC')}USDT", one.origin)
        for at, time_ms in enumerate(one.times):
            btc_at = at_minute.get(time_ms)
            if btc_at is None:
                continue
            btc_close = btc.columns["close"][btc_at]
            opened = one.columns["open"][at] * btc.columns["open"][btc_at]
            close = one.columns["close"][at] * btc_close
            row = {
                "open": opened,
                "high": max(opened, close, one.columns["high"][at] * btc_close),
                "low": min(opened, close, one.columns["low"][at] * btc_close),
                "close": close,
                "volume": one.columns["volume"][at],
            }
            converted.times.append(time_ms)
            for column, value in row.items():
                rounded = value if column == "volume" else _five_digits(value)
                converted.columns[column].append(rounded)
        result[converted.symbol] = converted
    return result


def _five_digits(price: float) -> float:
    """Rounding keeps the order of prices, so a bar stays consistent."""
    return float(f"{price:.5g}")


def require(table: Any, columns: Iterable[str], origin: str) -> None:
    """Raises MarketDataError for a table that lacks one of the columns."""
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise MarketDataError(f"{origin} has no column {', '.join(missing)}")


def append(series: BarSeries, table: Any) -> None:
    """Raises MarketDataError for a table that lacks a column of bars, or holds no numbers."""
    require(table, ("ts", *series.columns), series.origin)
    ordered = table.sort_by("ts")
    _extend(series.times, ordered["ts"], "int64", series.origin)
    for name, column in series.columns.items():
        _extend(column, ordered[name], "double", series.origin)


def _extend(target: array[Any], column: Any, kind: str, origin: str) -> None:
    """Copy a column as a block of memory: through Python objects, a year takes seconds."""
    import pyarrow as pa

    if column.null_count:
        raise MarketDataError(f"{origin}: {column.null_count} values are missing")
    try:
        values = column.cast(kind).combine_chunks()
    except pa.ArrowException as error:
        raise MarketDataError(f"{origin}: {error}") from error
    for chunk in values.chunks if hasattr(values, "chunks") else (values,):
        start = chunk.offset * target.itemsize
        data = memoryview(chunk.buffers()[1])
        target.frombytes(data[start : start + len(chunk) * target.itemsize])
