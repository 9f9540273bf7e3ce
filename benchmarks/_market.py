"""The trades that the market benchmarks run on: recorded ones if there are any, else generated.

Recorded trades come from ``ticks_*_trades_raw_*.parquet`` below ``SPIKEGUARD_MARKET_DATA``, with
the minutes before them from ``ticks_*_bars_1m.parquet``. Where more symbols are asked for than are
recorded, instruments are copied under further names, each copy some milliseconds later.

Used by the benchmarks' helpers in environments of their own, too: needs pyarrow and nothing else.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

COPY_DELAY_MS = 37
GENERATED_INSTRUMENTS = 55
GENERATED_SECONDS = 900
GENERATED_A_SECOND = 450
GENERATED_START_MS = 1_760_000_040_000
HISTORY_MINUTES = 1_440

Trade = tuple[int, float, float]  # time in ms, price, quantity
Minute = tuple[int, float, float, float, float, float]  # time in ms, open, high, low, close, volume


@dataclass(frozen=True)
class Recording:
    """Trades and the minutes before them, by instrument; BTC and ETH first, busiest first."""

    source: str
    trades: dict[str, list[Trade]]
    minutes: dict[str, list[Minute]]


@dataclass(frozen=True)
class Stream:
    """Trades of many symbols in time order: symbol's number, time in ms, price, quantity."""

    source: str
    symbols: list[str]
    events: list[tuple[int, int, float, float]]
    minutes: dict[str, list[Minute]]

    @property
    def seconds(self) -> float:
        return (self.events[-1][1] - self.events[0][1]) / 1000


def load() -> Recording:
    """The recorded trades, or generated ones where none are to be had."""
    folder = os.environ.get("SPIKEGUARD_MARKET_DATA")
    paths = sorted(Path(folder).glob("ticks_*_trades_raw_*.parquet")) if folder else []
    return _recorded(paths[0]) if paths else _generated()


def stream(recording: Recording, count: int, limit: int) -> Stream:
    """The first ``limit`` trades of ``count`` symbols; the first two are BTCUSDT and ETHUSDT.

    One symbol alone is the busiest of the others.
    """
    names = list(recording.trades)
    symbols = ["BTCUSDT", "ETHUSDT", *(f"S{number}USDT" for number in range(count - 2))]
    if count == 1:
        names, symbols = names[2:], ["S0USDT"]
    events, minutes = [], {}
    for number, symbol in enumerate(symbols):
        name = names[number % len(names)]
        delay_ms = number // len(names) * COPY_DELAY_MS
        minutes[symbol] = recording.minutes[name]
        events += [(at + delay_ms, number, *rest) for at, *rest in recording.trades[name]]
    events.sort(key=lambda event: event[0])
    ordered = [(number, at, price, size) for at, number, price, size in events[:limit]]
    return Stream(recording.source, symbols, ordered, minutes)


def frames(of: Stream) -> list[bytes]:
    """The same trades as frames of Binance's combined aggTrade streams."""
    result = []
    for trade_id, (number, at, price, size) in enumerate(of.events):
        symbol = of.symbols[number]
        result.append(
            f'{{"stream":"{symbol.lower()}@aggTrade","data":{{"e":"aggTrade","E":{at},'
            f'"s":"{symbol}","a":{trade_id},"p":"{price:.8f}","q":"{size:.8f}","f":{trade_id},'
            f'"l":{trade_id},"T":{at},"m":true,"M":true}}}}'.encode()
        )
    return result


def _recorded(path: Path) -> Recording:
    import pyarrow.parquet as pq

    columns = ["exchange", "symbol", "ts_us", "price", "amount"]
    table = pq.read_table(path, columns=columns)
    rows = zip(*(table[name].to_pylist() for name in columns), strict=True)
    trades: dict[str, list[Trade]] = {}
    for exchange, symbol, at_us, price, amount in rows:
        trade = (at_us // 1000, float(price), float(amount))
        trades.setdefault(f"{exchange} {symbol}", []).append(trade)
    for each in trades.values():
        each.sort(key=lambda trade: trade[0])
    start_ms = min(each[0][0] for each in trades.values())
    minutes: dict[str, list[Minute]] = {name: [] for name in trades}
    for bars in path.parent.glob(f"{path.name.split('_trades_raw')[0]}_bars_1m.parquet"):
        columns = ["exchange", "symbol", "ts", "open", "high", "low", "close", "volume"]
        table = pq.read_table(bars, columns=columns)
        past = zip(*(table[name].to_pylist() for name in columns), strict=True)
        for exchange, symbol, at, *ohlcv in past:
            name = f"{exchange} {symbol}"
            if name in minutes and at < start_ms // 60_000 * 60_000:
                minutes[name].append((at, *(float(value) for value in ohlcv)))
    return Recording(f"recorded trades, {path.name}", _in_order(trades), minutes)


def _generated() -> Recording:
    """Walks with bursts; half as many of the next instrument's trades as of the one before."""
    rng = random.Random(20251010)
    names = ["BTC", "ETH", *(f"COIN{number}" for number in range(GENERATED_INSTRUMENTS - 2))]
    weights = [1.0 / (rank + 2) for rank in range(len(names))]
    prices = dict.fromkeys(names, 100.0)
    trades: dict[str, list[Trade]] = {name: [] for name in names}
    for second in range(GENERATED_SECONDS):
        speed = 8.0 if 300 <= second < 420 else 1.0
        for name in rng.choices(names, weights, k=round(GENERATED_A_SECOND * min(speed, 4.0))):
            prices[name] *= 1.0 + rng.gauss(-1e-5 * (speed - 1), 1e-4 * speed)
            at = GENERATED_START_MS + second * 1000 + rng.randrange(1000)
            trades[name].append((at, round(prices[name], 4), round(rng.expovariate(1.0), 4)))
    for each in trades.values():
        each.sort(key=lambda trade: trade[0])
    start = GENERATED_START_MS // 60_000 * 60_000
    minutes = {
        name: [
            (start - back * 60_000, 100.0, 100.1, 99.9, 100.0, 60.0 * rng.uniform(0.5, 1.5))
            for back in range(HISTORY_MINUTES, 0, -1)
        ]
        for name in names
    }
    return Recording("GENERATED trades (SPIKEGUARD_MARKET_DATA is not set)", trades, minutes)


def _in_order(trades: dict[str, list[Trade]]) -> dict[str, list[Trade]]:
    """BTC's busiest instrument first, ETH's second, then all others by their trades."""
    busiest = [name for name, _ in Counter({k: len(v) for k, v in trades.items()}).most_common()]
    leaders = [next(n for n in busiest if n.split()[1].startswith(c)) for c in ("BTC", "ETH")]
    return {name: trades[name] for name in (*leaders, *(n for n in busiest if n not in leaders))}
