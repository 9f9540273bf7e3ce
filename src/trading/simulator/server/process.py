"""The exchange server process: a market, the exchange and the server, for as long as it is wanted.

The parent writes one line of JSON (``ExchangeServerConfig``) and keeps our stdin open; when it
closes, the parent is gone and so are we.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from pathlib import Path

from trading.clock import ScaledClock
from trading.model.market_clock import ClockSettings
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.futures.exchange import make_futures
from trading.simulator.instruments import list_market
from trading.simulator.market_source import MarketSource
from trading.simulator.server.app import RunningServer, start_server
from trading.simulator.server.config import ExchangeServerConfig
from trading.simulator.server.market_pump import pump_market
from trading.simulator.server.ready import ExchangeReady


def load_market(config: ExchangeServerConfig, wall_ms: int) -> MarketSource:
    """The recorded market of ``data_dir``, or a generated one that starts at ``wall_ms``.

    Raises:
        MarketDataError: the directory does not have the data.
    """
    if config.data_dir is None:
        from trading.simulator.generated_market import GeneratedMarket

        return GeneratedMarket(config.generator, config.clock_start_ms or wall_ms)
    from trading.simulator.recorded_market import RecordedMarket

    return RecordedMarket.load(
        Path(config.data_dir),
        window=config.window,
        start_ms=config.from_ms,
    )


async def serve(config: ExchangeServerConfig, *, has_parent: bool = True) -> None:
    """Run until SIGTERM or SIGINT; writes one line of JSON when ready.

    ``has_parent``: the end of stdin ends it, too.

    Raises:
        MarketDataError: the recorded market cannot be read.
        OSError: the port is not free.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if has_parent:
        threading.Thread(target=_wait_for_end_of_stdin, args=(loop, stop), daemon=True).start()
    # A generated market starts at this very moment, so at speed 1 its time is wall time.
    wall_ms, anchor_ns = time.time_ns() // 1_000_000, time.monotonic_ns()
    market = load_market(config, wall_ms)
    instruments, history = list_market(market)
    if config.clock_anchor_monotonic_ns is not None:
        anchor_ns = config.clock_anchor_monotonic_ns
    elif config.data_dir is not None:
        anchor_ns = time.monotonic_ns()
    start_ms = market.start_ms if config.clock_start_ms is None else config.clock_start_ms
    clock = ScaledClock(start_ms, config.speed, anchor_ns)
    exchange = SimulatedExchange(config.simulator, instruments, clock)
    futures = make_futures(exchange)
    for symbol, bars in history.items():
        exchange.load_history(symbol, bars)
        if futures is not None:
            futures.load_index_history(symbol, bars)
    async with await start_server(exchange, config.host, config.port, config, futures) as server:
        server.start_task(pump_market(exchange, market.ticks(), server.context.shock, clock))
        started = ClockSettings(
            start_ms=start_ms, speed=config.speed, anchor_monotonic_ns=anchor_ns
        )
        sys.stdout.write(_ready(server, market, started).model_dump_json() + "\n")
        sys.stdout.flush()
        await stop.wait()


def read_config_line() -> bytes:
    """The first line of stdin, read byte by byte so that nothing behind it is swallowed."""
    line = bytearray()
    while (byte := os.read(0, 1)) not in (b"", b"\n"):
        line += byte
    return bytes(line)


def _ready(server: RunningServer, market: MarketSource, clock: ClockSettings) -> ExchangeReady:
    return ExchangeReady(
        rest_url=server.rest_url,
        ws_url=server.ws_url,
        ws_api_url=server.ws_api_url,
        futures_rest_url=server.futures_rest_url,
        futures_ws_url=server.futures_ws_url,
        futures_ws_api_url=server.futures_ws_api_url,
        pid=os.getpid(),
        api_key=server.keys[0].key,
        api_secret=server.keys[0].secret,
        symbols=tuple(market.symbols),
        market=market.name,
        tick_gap_ms=market.tick_gap_ms,
        start_ms=market.start_ms,
        end_ms=market.end_ms,
        clock=clock,
    )


def _wait_for_end_of_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(0, 4096):
        pass
    loop.call_soon_threadsafe(stop.set)
