"""Reads recorded one-minute bars from a directory of parquet files.

Files are found by the names that ``SPIKEGUARD_MARKET_DATA`` uses; what is absent is left out.

============================================  ====================================================
``core_BTC_ETH_crash_windows_1m``             BTC and ETH around named windows
``binance_spot_{BTC,ETH}USDT_1m_YYYY``        BTC and ETH, whole years
``binance_spot_alts_1m_*``                    spot pairs against USDT
``binance_spot_XXXUSDT_1m_*``                 one spot pair
``ticks_*_bars_1m``                           pairs of several venues, by ``VENUE_ORDER``
``binance_um_alts_1m_*``                      perpetual futures, as that coin's market
``binance_spot_altbtc_1m_*``                  pairs against BTC, turned into USDT by BTC's price
============================================  ====================================================

A coin is taken from the first of these that has it. Where that is not Binance's spot market, its
``…USDT`` pair in the replay is a stand-in: the coin's price at that venue or in that contract.
Hourly bars are not used: four prices an hour say nothing about minutes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trading.clock import MINUTE_MS
from trading.errors import MarketDataError, WindowNotFoundError
from trading.simulator.recorded_series import (
    BarSeries,
    append,
    by_symbol,
    by_venue,
    in_usdt,
    read_table,
    usable_rows,
)

CORE_FILE = "core_BTC_ETH_crash_windows_1m.parquet"
LEADERS = ("BTCUSDT", "ETHUSDT")
_NOT_COINS = frozenset({"AUD", "EUR", "GBP", "USDC", "BUSD", "TUSD", "FDUSD", "DAI", "PAX", "USDP"})
_ALT_FILES = (
    re.compile(r"^binance_spot_alts_1m_.*\.parquet$"),
    re.compile(r"^binance_spot_(?!BTCUSDT|ETHUSDT)[A-Z0-9]+USDT_1m_.*\.parquet$"),
    re.compile(r"^ticks_.*_bars_1m\.parquet$"),
    re.compile(r"^binance_um_alts_1m_.*\.parquet$"),
    re.compile(r"^binance_spot_altbtc_1m_.*\.parquet$"),
)


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
    table = read_table(directory / CORE_FILE, filters=[("window", "=", window)])
    series = by_symbol(table, CORE_FILE)
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
            table = read_table(path, filters=_between(start_ms, end_ms))
            if table.num_rows:
                one = series.setdefault(symbol, BarSeries(symbol, path.name))
                append(one, table)
        if symbol not in series:
            raise MarketDataError(f"{directory} has no minute bars of {symbol} in that time")
    _add_alts(directory, start_ms, end_ms, series)
    return series


def read_all(directory: Path, left_out: Counter[str]) -> Iterator[BarSeries]:
    """Every minute bar that is recorded, file by file, each coin's best source first.

    A pair comes several times when several files hold it; of a minute in two of them, the first
    counts. BTC's and ETH's own years come before their named windows. Rows that are no bars are
    left out and counted by file.

    Raises MarketDataError for a file that cannot be read as minute bars.
    """

    def read(name: str) -> Any:
        table = read_table(directory / name, filters=None)
        usable = usable_rows(table)
        if usable.num_rows < table.num_rows:
            left_out[name] += table.num_rows - usable.num_rows
        return usable

    btc = BarSeries("BTCUSDT", "")
    names = sorted(path.name for path in directory.glob("*.parquet"))
    for symbol in LEADERS:
        for path in sorted(directory.glob(f"binance_spot_{symbol}_1m_*.parquet")):
            one = BarSeries(symbol, path.name)
            append(one, read(path.name))
            yield one
            if symbol == btc.symbol:
                btc.extend(one)
    if CORE_FILE in names:
        for one in by_symbol(read(CORE_FILE), CORE_FILE).values():
            yield one
            if one.symbol == btc.symbol:
                btc.extend(one)
    for pattern in _ALT_FILES:
        for name in filter(pattern.match, names):
            for one in _alts_of(read(name), name, btc).values():
                if _coin(one.symbol) not in _NOT_COINS:
                    yield one


def _alts_of(table: Any, name: str, btc: BarSeries) -> dict[str, BarSeries]:
    if "exchange" in table.column_names:
        return by_venue(table, name)
    found = by_symbol(table, name)
    return in_usdt(found, btc) if "altbtc" in name else found


def _add_alts(directory: Path, start_ms: int, end_ms: int, series: dict[str, BarSeries]) -> None:
    names = sorted(path.name for path in directory.glob("*.parquet"))
    for pattern in _ALT_FILES:
        for name in filter(pattern.match, names):
            table = read_table(directory / name, filters=_between(start_ms, end_ms))
            if not table.num_rows:
                continue
            for symbol, one in _alts_of(table, name, series["BTCUSDT"]).items():
                if _coin(symbol) not in _NOT_COINS:
                    series.setdefault(symbol, one)


def _coin(symbol: str) -> str:
    return symbol.removesuffix("USDT")


def _between(start_ms: int, end_ms: int) -> list[tuple[str, str, Any]]:
    return [("ts", ">=", start_ms), ("ts", "<", end_ms)]
