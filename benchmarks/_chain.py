"""Bytes of aggTrade frames to 1 h drawdowns, by nautilus_trader and by the product, in one process.

Run in the rivals' environment. nautilus_trader's way is its own Binance adapter's: the client's
handler of socket messages, its decoders, ``DataEngine.process``, and a subscriber on the message
bus. The product's is its feed's decoder and the market engine with every window and detector on
and a pass every second; its tick filter is set so wide that both keep every trade. After every
minute of market time all drawdowns of both are read, and must be the same; reading is timed, on
both sides, because the product looks at trades that wait only then. Both start from the same
minutes of history. Prints JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from typing import Any

from _drawdown import Drawdown
from _market import Stream, frames, load, stream
from _spikeguard import build, seconds
from nautilus_trader.adapters.binance.config import BinanceDataClientConfig
from nautilus_trader.adapters.binance.http.client import BinanceHttpClient
from nautilus_trader.adapters.binance.spot.data import BinanceSpotDataClient
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.data.engine import DataEngine
from nautilus_trader.model.identifiers import TraderId

from trading.exchange.binance.stream_frames import agg_trade_decoder
from trading.market.config import CrashDetectionConfig
from trading.market.engine import MarketEngine
from trading.market.pseudo_ticks import bar_ticks
from trading.model.market import Bar, Tick

MINUTE_MS = 60_000
ROUNDS = 2
Checkpoints = list[dict[str, float]]


def nautilus(source: Stream, raw: list[bytes]) -> tuple[float, Checkpoints, int]:
    clock = LiveClock()
    bus = MessageBus(trader_id=TraderId("BENCH-001"), clock=clock)
    cache = Cache()
    engine = DataEngine(msgbus=bus, cache=cache, clock=clock)
    client = BinanceSpotDataClient(
        loop=asyncio.new_event_loop(),
        client=BinanceHttpClient(clock, "key", "secret", "http://127.0.0.1:1"),
        msgbus=bus,
        cache=cache,
        clock=clock,
        instrument_provider=InstrumentProvider(),
        base_url_ws="ws://127.0.0.1:1",
        config=BinanceDataClientConfig(use_agg_trade_ticks=True),
    )
    breaches: list[int] = []
    drawdowns = {symbol: Drawdown(lambda at, pct: breaches.append(at)) for symbol in source.symbols}

    def on_trade(tick: Any) -> None:
        one = drawdowns[tick.instrument_id.symbol.value]
        one.update(tick.ts_event // 1_000_000, tick.price.as_double())

    for symbol, one in drawdowns.items():
        for tick in history(source, symbol):
            one.update(tick.time_ms, tick.price)
    for symbol in source.symbols:
        bus.subscribe(topic=f"data.trades.BINANCE.{symbol}", handler=on_trade)
    engine.start()
    handle, points, total = client._handle_ws_message, [], 0
    for _, group in minutes(source, raw):
        started = time.process_time_ns()
        for frame in group:
            handle(frame)
        points.append({symbol: one.pct for symbol, one in drawdowns.items()})
        total += time.process_time_ns() - started
    return total / len(raw), points, len(breaches)


def product(source: Stream, raw: list[bytes], *, spikes: bool) -> tuple[float, Checkpoints]:
    wide = CrashDetectionConfig(max_tick_jump_pct=99.9, max_tick_drift_pct_per_s=100.0)
    engine, clock = build(source, wide, spikes=spikes)
    decode, on_tick = agg_trade_decoder.decode, engine.on_tick
    points, total = [], 0
    for _, group in minutes(source, list(zip(raw, source.events, strict=True))):
        split = seconds([frame for frame, _ in group], [event[1] for _, event in group])
        started = time.process_time_ns()
        for end_ms, part in split:
            clock.advance_to(end_ms - 1)
            for frame in part:
                on_tick(decode(frame).data)
            engine.advance(end_ms)
        points.append({symbol: drawdown(engine, symbol, end_ms) for symbol in source.symbols})
        total += time.process_time_ns() - started
    return total / len(raw), points


def drawdown(engine: MarketEngine, symbol: str, now_ms: int) -> float:
    """As the breadth rule reads it."""
    state = engine._states[symbol]
    if not state.has_price:
        return 0.0
    high, _ = state.hour_high(now_ms)
    return (high - state.last_price) / high * 100.0


def history(source: Stream, symbol: str) -> list[Tick]:
    """The trades that stand in for the minutes before, as the product's backfill has them."""
    start_ms = source.events[0][1] // MINUTE_MS * MINUTE_MS
    bars = [Bar(symbol, at, MINUTE_MS, *ohlcv) for at, *ohlcv in source.minutes[symbol]]
    return [tick for bar in bars if bar.open_time_ms <= start_ms for tick in bar_ticks(bar)]


def minutes(source: Stream, items: list[Any]) -> list[tuple[int, list[Any]]]:
    groups: dict[int, list] = {}
    for item, event in zip(items, source.events, strict=True):
        groups.setdefault(event[1] // MINUTE_MS, []).append(item)
    return sorted(groups.items())


def decoding(raw: list[bytes]) -> float:
    decode = agg_trade_decoder.decode
    started = time.process_time_ns()
    for frame in raw:
        decode(frame)
    return (time.process_time_ns() - started) / len(raw)


def main(count: int, limit: int) -> None:
    source = stream(load(), count, limit)
    raw = frames(source)
    gc.collect()
    gc.freeze()
    best = dict.fromkeys(("nautilus", "product", "windows", "decode"), float("inf"))
    for _ in range(ROUNDS):
        theirs_ns, theirs, breaches = nautilus(source, raw)
        ours_ns, ours = product(source, raw, spikes=True)
        windows_ns, _ = product(source, raw, spikes=False)
        figures = zip(best, (theirs_ns, ours_ns, windows_ns, decoding(raw)), strict=True)
        best = {name: min(best[name], ns) for name, ns in figures}
    apart = max(
        abs(one[symbol] - other[symbol])
        for one, other in zip(theirs, ours, strict=True)
        for symbol in source.symbols
    )
    compared = len(theirs) * len(source.symbols)
    print(json.dumps({**best, "apart": apart, "compared": compared, "breaches": breaches}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
