"""Reads recorded one-minute bars from a directory of parquet files.

Files are found by the names that ``SPIKEGUARD_MARKET_DATA`` uses; what is absent is left out.

============================================  ====================================================
``core_BTC_ETH_crash_windows_1m``             BTC and ETH around named windows
``binance_spot_{BTC,ETH}USDT_1m_YYYY``        BTC and ETH, whole years
``binance_spot_alts_1m_*``                    spot pairs against USDT
``binance_spot_XXXUSDT_1m_*``                 one spot pair
``ticks_*_bars_1m``                           pairs of several venues, see ``VENUE_ORDER``
``binance_um_alts_1m_*``                      perpetual futures, as that coin's market
``binance_spot_altbtc_1m_*``                  pairs against BTC, turned into USDT by BTC's price
============================================  ====================================================

A coin is taken from the first of these that has it. Where that is not Binance's spot market, its
``…USDT`` pair in the replay is a stand-in: the coin's price at that venue or in that contract.
Hourly bars are not used: four prices an hour say nothing about minutes.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trading.clock import MINUTE_MS
from trading.errors import MarketDataError, WindowNotFoundError
from trading.model.market import Bar

CORE_FILE = "core_BTC_ETH_crash_windows_1m.parquet"
LEADERS = ("BTCUSDT", "ETHUSDT")
# Of the venues in the tick files: Binance's spot pairs first, then other spot markets by how much
# they trade, coin-margined contracts between them because Gemini's tape is thinner still.
VENUE_ORDER = ("binance", "coinbase", "binance-delivery", "gemini")
_CONTRACT_USD = 10.0  # face value of Binance's coin-margined contracts other than BTC's
_NOT_COINS = frozenset({"AUD", "EUR", "GBP", "USDC", "BUSD", "TUSD", "FDUSD", "DAI", "PAX", "USDP"})
_ALT_FILES = (
    re.compile(r"^binance_spot_alts_1m_.*\.parquet$"),
    re.compile(r"^binance_spot_(?!BTCUSDT|ETHUSDT)[A-Z0-9]+USDT_1m_.*\.parquet$"),
    re.compile(r"^ticks_.*_bars_1m\.parquet$"),
    re.compile(r"^binance_um_alts_1m_.*\.parquet$"),
    re.compile(r"^binance_spot_altbtc_1m_.*\.parquet$"),
)
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


def window_names(directory: Path) -> tuple[str, ...]:
    """Windows of the core file, in name order. Raises MarketDataError when there is none."""
    path = directory / CORE_FILE
    if not path.is_file():
        raise MarketDataError(f"{directory} has no {CORE_FILE}, which holds the named windows")
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    column = pq.read_table(path, columns=["window"])["window"]
    return tuple(sorted(pc.unique(column).to_pylist()))


def resolve_window(directory: Path, name: str | None) -> str:
    """The window meant by its name or by a part of it; the latest dated one for None.

    Raises WindowNotFoundError when no or more than one window is meant.
    """
    names = window_names(directory)
    if name is None:
        return max(window for window in names if window[:1].isdigit())
    matches = [window for window in names if name in window]
    if name in names:
        return name
    if len(matches) == 1:
        return matches[0]
    problem = "is in several windows" if matches else "is no window"
    raise WindowNotFoundError(f"{name!r} {problem} of {directory}; there are: {', '.join(names)}")


def read_window(directory: Path, window: str) -> dict[str, BarSeries]:
    """BTC and ETH of a window, and every other coin recorded over its time."""
    table = _read(directory / CORE_FILE, filters=[("window", "=", window)])
    series = _by_symbol(table, CORE_FILE)
    start_ms = min(one.times[0] for one in series.values())
    end_ms = max(one.times[-1] for one in series.values()) + MINUTE_MS
    _add_alts(directory, start_ms, end_ms, series)
    return series


def read_range(directory: Path, start_ms: int, end_ms: int) -> dict[str, BarSeries]:
    """BTC and ETH of the yearly files from ``start_ms`` to before ``end_ms``, and other coins.

    Raises MarketDataError when BTC or ETH is not recorded there.
    """
    series: dict[str, BarSeries] = {}
    for symbol in LEADERS:
        for path in sorted(directory.glob(f"binance_spot_{symbol}_1m_*.parquet")):
            table = _read(path, filters=_between(start_ms, end_ms))
            if table.num_rows:
                one = series.setdefault(symbol, BarSeries(symbol, path.name))
                _append(one, table)
        if symbol not in series:
            raise MarketDataError(f"{directory} has no minute bars of {symbol} in that time")
    _add_alts(directory, start_ms, end_ms, series)
    return series


def _add_alts(directory: Path, start_ms: int, end_ms: int, series: dict[str, BarSeries]) -> None:
    names = sorted(path.name for path in directory.glob("*.parquet"))
    for pattern in _ALT_FILES:
        for name in filter(pattern.match, names):
            table = _read(directory / name, filters=_between(start_ms, end_ms))
            if not table.num_rows:
                continue
            if "exchange" in table.column_names:
                found = _by_venue(table, name)
            else:
                found = _by_symbol(table, name)
                if "altbtc" in name:
                    found = _in_usdt(found, series["BTCUSDT"])
            for symbol, one in found.items():
                if symbol.removesuffix("USDT") not in _NOT_COINS:
                    series.setdefault(symbol, one)


def _between(start_ms: int, end_ms: int) -> list[tuple[str, str, Any]]:
    return [("ts", ">=", start_ms), ("ts", "<", end_ms)]


def _read(path: Path, filters: list[tuple[str, str, Any]]) -> Any:
    """The table, with decimals cast to floats in Arrow (row by row is a hundred times slower)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise MarketDataError(f"{path} does not exist")
    table = pq.read_table(path, filters=filters)
    for index, column in enumerate(table.schema):
        if pa.types.is_decimal(column.type):
            table = table.set_column(index, column.name, table[column.name].cast(pa.float64()))
        elif pa.types.is_dictionary(column.type):
            table = table.set_column(index, column.name, table[column.name].cast(pa.string()))
    return table


def _by_symbol(table: Any, origin: str) -> dict[str, BarSeries]:
    import pyarrow.compute as pc

    result = {}
    for symbol in sorted(pc.unique(table["symbol"]).to_pylist()):
        one = BarSeries(symbol, origin)
        _append(one, table.filter(pc.equal(table["symbol"], symbol)))
        result[symbol] = one
    return result


def _by_venue(table: Any, origin: str) -> dict[str, BarSeries]:
    """One series per coin, from the best venue that has it, named as the coin's USDT pair."""
    import pyarrow.compute as pc

    result: dict[str, BarSeries] = {}
    for venue in VENUE_ORDER:
        of_venue = table.filter(pc.equal(table["exchange"], venue))
        for name, one in _by_symbol(of_venue, f"{origin} ({venue})").items():
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


def _in_usdt(quoted: dict[str, BarSeries], btc: BarSeries) -> dict[str, BarSeries]:
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


def _append(series: BarSeries, table: Any) -> None:
    ordered = table.sort_by("ts")
    series.times.extend(ordered["ts"].to_pylist())
    for name, column in series.columns.items():
        column.extend(ordered[name].to_pylist())
