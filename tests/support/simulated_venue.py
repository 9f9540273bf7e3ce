"""A running exchange server on loopback, with the unmodified python-binance pointed at it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from binance import AsyncClient, BinanceSocketManager

from trading.clock import SystemClock
from trading.model.market import Bar, Tick
from trading.simulator.config import SimulatorConfig, UserEventOrder
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.futures.exchange import FuturesExchange, make_futures
from trading.simulator.instruments import make_instrument
from trading.simulator.server.app import RunningServer, start_server
from trading.simulator.server.config import ExchangeServerConfig

PRICES = {"BTCUSDT": 50_000.0, "ETHUSDT": 2_000.0}
WAIT_S = 30.0


def tick(
    server: RunningServer, price: float, quantity: float = 1.0, symbol: str = "BTCUSDT"
) -> None:
    """A trade on the tape, now."""
    now_ms = server.exchange.clock.now_ms()
    server.exchange.on_tick(Tick(symbol, price, quantity, now_ms))


@asynccontextmanager
async def running_venue(
    user_event_order: UserEventOrder = UserEventOrder.MIXED, **settings: Any
) -> AsyncIterator[RunningServer]:
    """BTC at 50,000 and ETH at 2,000 USDT, an hour of flat history, one account of 10,000 USDT."""
    exchange = SimulatedExchange(
        SimulatorConfig(user_event_order=user_event_order),
        [make_instrument(symbol, price) for symbol, price in PRICES.items()],
        SystemClock(),
    )
    minute_ms = 60_000
    first_ms = time.time_ns() // 1_000_000 // minute_ms * minute_ms - 60 * minute_ms
    opens = range(first_ms, first_ms + 60 * minute_ms, minute_ms)
    history = {
        symbol: [Bar(symbol, at, minute_ms, price, price, price, price, 5.0) for at in opens]
        for symbol, price in PRICES.items()
    }
    config = ExchangeServerConfig(control=True, **settings)
    futures = make_futures(exchange)
    assert futures is not None
    for symbol, bars in history.items():
        exchange.load_history(symbol, bars)
        futures.load_index_history(symbol, bars)
    async with await start_server(exchange, config=config, futures=futures) as server:
        yield server


def hold_windows(server: RunningServer) -> None:
    """Let no window of the limits end from now on: they are the wall's, and may end at any time."""
    assert server.futures is not None
    for limiter in (server.context.limiter, server.futures.context.limiter):
        now_s = limiter._now_s()
        limiter._now_s = lambda now_s=now_s: now_s


def futures_of(server: RunningServer) -> FuturesExchange:
    """The futures exchange behind the server."""
    assert server.futures is not None
    return server.futures.context.exchange


@asynccontextmanager
async def python_binance(server: RunningServer) -> AsyncIterator[AsyncClient]:
    client_type = type(
        "LoopbackClient",
        (AsyncClient,),
        {
            "API_URL": f"{server.rest_url}/api",
            "MARGIN_API_URL": f"{server.rest_url}/sapi",
            "WS_API_URL": server.ws_api_url,
            "FUTURES_URL": f"{server.futures_rest_url}/fapi",
            "FUTURES_DATA_URL": f"{server.futures_rest_url}/futures/data",
            "WS_FUTURES_URL": server.futures_ws_api_url,
        },
    )
    key = server.keys[0]
    client = await client_type.create(key.key, key.secret)
    try:
        yield client
    finally:
        await client.close_connection()


def sockets(server: RunningServer, client: AsyncClient) -> BinanceSocketManager:
    manager = BinanceSocketManager(client)
    manager.STREAM_URL = f"{server.ws_url}/"
    manager.FSTREAM_URL = f"{server.futures_ws_url}/"
    return manager


async def receive(socket: Any) -> Any:
    """The next message."""
    return await asyncio.wait_for(socket.recv(), WAIT_S)
