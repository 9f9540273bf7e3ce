"""What a directory of recorded data holds for the spike detectors, found by the files' names.

=====================================  ==========================================================
``pump_trades_raw*``                   trades around labelled pumps: pair, announced time, trades
``pump_bars_1m*``                      minute bars of the same pairs before and around them
``natural_spikes*``                    labelled minutes of ordinary spikes and drawdowns
``ticks_*_trades_raw*``                trades of many pairs through one crash
``*quiet*`` among the minute bars      pairs in a time without a crash
BTC's and ETH's minute bars            context of all of them; quiet months are those of the whole
                                       years in which ``crashes.csv`` has no event
=====================================  ==========================================================

What is absent is left out and said so. So are rows that cannot be, which are counted by file in
``left_out``: without a value, or with prices that are none or contradict each other.

Pairs against another coin (``NAS/BTC``) are turned into USDT by that coin's price at the announced
time, one price for the whole event, so that its own moves do not enter theirs; without minute bars
of it the pair keeps its own unit.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trading.clock import MINUTE_MS
from trading.errors import MarketDataError
from trading.model.market import Bar, Tick
from trading.model.spike import SpikeDirection
from trading.simulator.recorded_series import VENUE_ORDER, read_table, usable_rows

PUMP_TRADES = re.compile(r"^pump_trades_raw.*\.parquet$")
PUMP_BARS = re.compile(r"^pump_bars_1m.*\.parquet$")
NATURAL = re.compile(r"^natural_spikes.*\.parquet$")
CRASH_TRADES = re.compile(r"^ticks_.*_trades_raw.*\.parquet$")
QUIET = re.compile(r"^binance_.*_1m_.*quiet.*\.parquet$")
_DOLLARS = ("USDT", "USDC", "BUSD", "USD")
_QUOTES = (*_DOLLARS, "BTC", "ETH", "BNB")
_COIN = re.compile(r"(-USD|USDT|USD_PERP|USD)$")

PriceOf = Callable[[str, int], float | None]


@dataclass(frozen=True, slots=True)
class Pump:
    """A labelled pump. Prices in USDT where ``rate``, USDT per quote coin, is known."""

    pair: str
    symbol: str
    announced_ms: int
    times: npt.NDArray[np.int64]
    prices: npt.NDArray[np.float64]
    quantities: npt.NDArray[np.float64]
    bars: tuple[Bar, ...]  # before the trades begin, and after
    rate: float | None

    @property
    def name(self) -> str:
        when = datetime.fromtimestamp(self.announced_ms / 1000, UTC)
        return f"{self.pair.replace('/', '')} {when:%Y-%m-%d %H:%M}"

    def ticks(self) -> Iterator[Tick]:
        columns = zip(
            self.times.tolist(), self.prices.tolist(), self.quantities.tolist(), strict=True
        )
        for time_ms, price, quantity in columns:
            yield Tick(self.symbol, price, quantity, time_ms)


@dataclass(frozen=True, slots=True)
class NaturalMove:
    """A labelled minute: its close differs from the close before it by ``return_pct``."""

    symbol: str
    minute_ms: int
    return_pct: float

    @property
    def direction(self) -> SpikeDirection:
        return SpikeDirection.UP if self.return_pct > 0 else SpikeDirection.DOWN


def files(directory: Path, pattern: re.Pattern[str]) -> list[Path]:
    return sorted(path for path in directory.iterdir() if pattern.match(path.name))


def read_pumps(directory: Path, price_of: PriceOf, left_out: Counter[str]) -> tuple[Pump, ...]:
    """Labelled pumps in time order. ``price_of(coin, ms)`` gives a coin's price in USDT, or None.

    Raises MarketDataError for a file without the columns that its name promises, or without a row
    that can be used.
    """
    bars: dict[tuple[str, int], list[Bar]] = {}
    for path in files(directory, PUMP_BARS):
        for row in _rows(
            path,
            ("symbol", "event_ts", "ts", "open", "high", "low", "close", "volume"),
            left_out,
        ):
            prices = (row["open"], row["high"], row["low"], row["close"])
            found = bars.setdefault((row["symbol"], row["event_ts"]), [])
            found.append(Bar(row["symbol"], row["ts"], MINUTE_MS, *prices, row["volume"]))
    result = []
    for path in files(directory, PUMP_TRADES):
        table = _columns(path, ("symbol", "event_ts", "ts", "price", "amount"), left_out)
        keys = sorted({(s, t) for s, t in zip(table["symbol"], table["event_ts"], strict=True)})
        symbols, events = np.array(table["symbol"]), np.array(table["event_ts"])
        for pair, announced_ms in keys:
            at = np.flatnonzero((symbols == pair) & (events == announced_ms))
            times = np.array(table["ts"], np.int64)[at]
            at, times = at[np.argsort(times, kind="stable")], np.sort(times, kind="stable")
            coin, quote = coins_of(pair)
            rate = 1.0 if quote in _DOLLARS else price_of(quote, announced_ms)
            symbol = f"{coin}USDT"
            unit = rate or 1.0
            result.append(
                Pump(
                    pair,
                    symbol,
                    announced_ms,
                    times,
                    np.array(table["price"])[at] * unit,
                    np.array(table["amount"])[at],
                    tuple(_scaled(bar, symbol, unit) for bar in bars.get((pair, announced_ms), ())),
                    rate,
                )
            )
    return tuple(sorted(result, key=lambda pump: pump.announced_ms))


def coins_of(pair: str) -> tuple[str, str]:
    """Base and quote of ``NAS/BTC`` or ``NASBTC``; USDT where no known quote ends the name."""
    if "/" in pair:
        base, _, quote = pair.partition("/")
        return base, quote
    found = next((quote for quote in _QUOTES if pair.endswith(quote) and pair != quote), "")
    return pair.removesuffix(found), found or "USDT"


def read_natural(directory: Path, left_out: Counter[str]) -> tuple[NaturalMove, ...]:
    """Labelled minutes in time order."""
    found = {
        NaturalMove(row["symbol"].replace("/", ""), row["ts"], row["return_pct"])
        for path in files(directory, NATURAL)
        for row in _rows(path, ("symbol", "ts", "return_pct"), left_out)
    }
    return tuple(sorted(found, key=lambda move: (move.minute_ms, move.symbol)))


def read_crash_trades(path: Path, left_out: Counter[str]) -> list[Tick]:
    """Trades of one crash in time order, each coin from the best venue that has it."""
    table = _columns(path, ("exchange", "symbol", "ts_us", "price", "amount"), left_out)
    venue_of: dict[str, tuple[str, str]] = {}
    pairs = sorted({(v, s) for v, s in zip(table["exchange"], table["symbol"], strict=True)})
    for venue in VENUE_ORDER:
        for its_venue, name in pairs:
            if its_venue == venue:
                venue_of.setdefault(f"{_COIN.sub('', name)}USDT", (venue, name))
    chosen = {source: symbol for symbol, source in venue_of.items()}
    columns = (table[name] for name in ("exchange", "symbol", "ts_us", "price", "amount"))
    ticks = [
        Tick(chosen[(venue, name)], price, amount / (price if "PERP" in name else 1.0), us // 1000)
        for venue, name, us, price, amount in zip(*columns, strict=True)
        if (venue, name) in chosen
    ]
    ticks.sort(key=lambda tick: tick.time_ms)
    return ticks


def _scaled(bar: Bar, symbol: str, rate: float) -> Bar:
    return Bar(
        symbol,
        bar.open_time_ms,
        MINUTE_MS,
        bar.open * rate,
        bar.high * rate,
        bar.low * rate,
        bar.close * rate,
        bar.volume,
    )


def _columns(path: Path, names: tuple[str, ...], left_out: Counter[str]) -> dict[str, list[Any]]:
    table = read_table(path, filters=None)
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise MarketDataError(f"{path} has no column {', '.join(missing)}")
    usable = _usable(table, path, names)
    if table.num_rows and not usable.num_rows:
        raise MarketDataError(f"{path} holds no row that can be used")
    if usable.num_rows < table.num_rows:
        left_out[path.name] += table.num_rows - usable.num_rows
    return {name: usable[name].to_pylist() for name in names}


def _usable(table: Any, path: Path, names: tuple[str, ...]) -> Any:
    """The rows with all values, of which prices are above zero and amounts not below it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for name in names:
        table = table.filter(pc.is_valid(table[name]))
    try:
        if "price" in names:
            table = table.filter(pc.greater(table["price"], 0))
            table = table.filter(pc.greater_equal(table["amount"], 0))
        for name in {"price", "amount", "return_pct"} & set(names):
            table = table.filter(pc.is_finite(table[name]))
    except pa.ArrowException as error:
        raise MarketDataError(f"{path} has something else than numbers: {error}") from error
    return usable_rows(table) if "open" in names else table


def _rows(path: Path, names: tuple[str, ...], left_out: Counter[str]) -> Iterator[dict[str, Any]]:
    columns = _columns(path, names, left_out)
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(names, values, strict=True))
