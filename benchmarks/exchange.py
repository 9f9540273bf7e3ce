"""What the embedded exchange sustains, and what a message costs our adapter, in one run.

The exchange runs in a process of its own, the clients in this one; both share the machine, as they
do in `live`. Requests a second: sixteen connections, each asking again as soon as it is answered.
Messages a second: a market that is faster than the exchange can tell of, and what arrives. Costs
are processor time of this process, so a busy machine changes them little: the adapter's market feed
(decoded, numbered, handed over) beside bare aiohttp that only receives, bare aiohttp that parses
with orjson, and python-binance's own socket, all on the same stream; and an order by our client
beside the same request by bare aiohttp.

    python benchmarks/exchange.py [SECONDS]
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
from binance import AsyncClient, BinanceSocketManager
from binance.ws.reconnecting_websocket import ReconnectingWebsocket

from trading.clock import SystemClock
from trading.exchange.binance.adapter import BinanceClient
from trading.exchange.binance.feed import BinanceFeed
from trading.exchange.config import ExchangeConfig
from trading.exchange.credentials import ApiCredentials
from trading.exchange.venues import VenueEndpoints
from trading.model.market import Tick
from trading.model.order import OrderPurpose, OrderRequest, OrderType, Side, TimeInForce
from trading.simulator.server.signatures import hmac_hex

SECONDS = 4.0
CONNECTIONS = 16
ORDERS = 300
ROUNDS = 3  # of which the best counts; those that are compared take turns
MANY = 10**6
LIMIT_PRICE = Decimal(100_000)  # far above the market
SYMBOLS = tuple(f"{name}USDT" for name in ("BTC", "ETH", *(f"T{n:02}" for n in range(18))))
TRADES_A_SECOND = 50.0  # of an average pair, the most that the generated market has
FAST, MODERATE = 200.0, 4.0  # market seconds a second: more than can be told, and a busy day


@dataclass
class Exchange:
    """A running exchange, and who may trade there."""

    rest_url: str
    ws_url: str
    ws_api_url: str
    key: str
    secret: str

    @property
    def config(self) -> ExchangeConfig:
        return ExchangeConfig(
            endpoints=VenueEndpoints(
                rest_url=self.rest_url, stream_url=self.ws_url, ws_api_url=self.ws_api_url
            )
        )

    @property
    def credentials(self) -> ApiCredentials:
        return ApiCredentials.model_validate({"key": self.key, "secret": self.secret})


@contextmanager
def exchange(speed: float) -> Iterator[Exchange]:
    """The embedded exchange in a process of its own, without limits that would be reached."""
    settings = {
        "speed": speed,
        "generator": {
            "scenario": "calm",
            "symbols": SYMBOLS,
            "ticks_per_second": TRADES_A_SECOND,
            "history_minutes": 300,
        },
        "rate_limits": {
            "weight_per_minute": 10**9,
            "orders_per_10s": MANY,
            "orders_per_day": 10**9,
            "requests_per_5min": 10**9,
        },
        "simulator": {"initial_balances": {"USDT": 10**9}},
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "trading.simulator.server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(settings) + "\n")
    process.stdin.flush()
    ready = json.loads(process.stdout.readline())
    try:
        yield Exchange(
            ready["rest_url"],
            ready["ws_url"],
            ready["ws_api_url"],
            ready["api_key"],
            ready["api_secret"],
        )
    finally:
        process.kill()
        process.wait()


# Requests a second ---------------------------------------------------------------------------


def signed(venue: Exchange, params: dict[str, str]) -> dict[str, str]:
    stamped = params | {"timestamp": str(SystemClock().now_ms()), "recvWindow": "10000"}
    return stamped | {"signature": hmac_hex(venue.secret, urlencode(stamped))}


def order_params(number: int) -> dict[str, str]:
    """A small order that buys what is there."""
    return {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "IOC",
        "quantity": "0.001",
        "price": str(LIMIT_PRICE),
        "newClientOrderId": f"bench-{number}",
    }


async def requests_a_second(
    seconds: float, ask: Callable[[int], Awaitable[aiohttp.ClientResponse]]
) -> float:
    """How many requests ``CONNECTIONS`` askers get answered."""
    deadline = time.monotonic() + seconds
    answered = 0

    async def asker(first: int) -> None:
        nonlocal answered
        number = first
        while time.monotonic() < deadline:
            response = await ask(number)
            await response.read()
            response.raise_for_status()
            number += CONNECTIONS
            answered += 1

    await asyncio.gather(*(asker(number) for number in range(CONNECTIONS)))
    return answered / seconds


async def rest_throughput(venue: Exchange, seconds: float) -> None:
    headers = {"X-MBX-APIKEY": venue.key}
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(venue.rest_url, connector=connector, headers=headers) as http:
        rows: list[tuple[str, Callable[[int], Awaitable[aiohttp.ClientResponse]]]] = [
            ("prices asked for", lambda _: http.get("/api/v3/ticker/price?symbol=BTCUSDT")),
            ("order books of 100 levels", lambda _: http.get("/api/v3/depth?symbol=BTCUSDT")),
            (
                "signed account reports",
                lambda _: http.get("/api/v3/account", params=signed(venue, {})),
            ),
            (
                "signed orders, each executed",
                lambda n: http.post("/api/v3/order", data=signed(venue, order_params(n))),
            ),
        ]
        for name, ask in rows:
            print(f"  {name:<34} {await requests_a_second(seconds, ask):>9,.0f} a second")


# Messages ------------------------------------------------------------------------------------


def stream_path() -> str:
    return "/stream?streams=" + "/".join(f"{symbol.lower()}@aggTrade" for symbol in SYMBOLS)


@asynccontextmanager
async def bare_socket(venue: Exchange) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(venue.ws_url + stream_path(), max_msg_size=0) as socket,
    ):
        yield socket


async def message_throughput(venue: Exchange, seconds: float) -> None:
    for clients in (1, 5):
        async with contextlib.AsyncExitStack() as stack:
            sockets = [await stack.enter_async_context(bare_socket(venue)) for _ in range(clients)]
            counts = await asyncio.gather(*(count(socket, seconds) for socket in sockets))
        print(
            f"  {f'trades told to {clients} listeners':<34} {sum(counts) / seconds:>9,.0f} a second"
        )


async def count(socket: aiohttp.ClientWebSocketResponse, seconds: float) -> int:
    received = 0
    deadline = time.monotonic() + seconds
    async for _ in socket:
        received += 1
        if time.monotonic() > deadline:
            break
    return received


class Counting:
    """A listener that does nothing."""

    def __init__(self) -> None:
        self.received = 0

    def on_tick(self, tick: Tick) -> None:
        self.received += 1

    def on_feed_connected(self) -> None:
        """Nothing to do."""

    def on_feed_lost(self, reason: str) -> None:
        raise RuntimeError(f"the stream was lost: {reason}")


async def by_adapter(venue: Exchange, seconds: float) -> float:
    heard = Counting()
    feed = asyncio.create_task(BinanceFeed(venue.config).run(SYMBOLS, heard))
    try:
        return await cost_us(seconds, lambda: heard.received)
    finally:
        feed.cancel()
        await asyncio.gather(feed, return_exceptions=True)


async def by_aiohttp(venue: Exchange, seconds: float, treat: Callable[[str], object]) -> float:
    received = 0

    async def listen() -> None:
        nonlocal received
        async with bare_socket(venue) as socket:
            async for message in socket:
                treat(message.data)
                received += 1

    listening = asyncio.create_task(listen())
    try:
        return await cost_us(seconds, lambda: received)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def by_python_binance(venue: Exchange, seconds: float) -> float:
    urls = {"API_URL": f"{venue.rest_url}/api", "WS_API_URL": venue.ws_api_url}
    client_type: Any = type("LoopbackClient", (AsyncClient,), urls)
    client = await client_type.create()
    manager = BinanceSocketManager(client, max_queue_size=MANY)
    manager.STREAM_URL = f"{venue.ws_url}/"
    received = 0

    async def listen() -> None:
        nonlocal received
        streams = [f"{symbol.lower()}@aggTrade" for symbol in SYMBOLS]
        async with manager.multiplex_socket(streams) as socket:
            while True:
                await socket.recv()
                received += 1

    listening = asyncio.create_task(listen())
    try:
        return await cost_us(seconds, lambda: received)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await client.session.close()


async def cost_us(seconds: float, received: Callable[[], int]) -> float:
    """Processor time a message, once the stream runs."""
    await asyncio.sleep(0.5)
    cpu, before = time.process_time(), received()
    await asyncio.sleep(seconds)
    return (time.process_time() - cpu) * 1e6 / max(received() - before, 1)


async def message_costs(venue: Exchange, seconds: float) -> None:
    ways: dict[str, Callable[[], Awaitable[float]]] = {
        "bare aiohttp, received only": lambda: by_aiohttp(venue, seconds, lambda _: None),
        "bare aiohttp, parsed by orjson": lambda: by_aiohttp(venue, seconds, orjson.loads),
        "our market feed, to the listener": lambda: by_adapter(venue, seconds),
        "python-binance's socket": lambda: by_python_binance(venue, seconds),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, measure_once in ways.items():
            best[name] = min(best[name], await measure_once())
    bare = best["bare aiohttp, received only"]
    for name, each in best.items():
        print(f"  {name:<34} {each:>9.1f} µs   {each / bare:>5.2f} x bare aiohttp")


# Orders --------------------------------------------------------------------------------------


async def order_costs(venue: Exchange) -> None:
    client = BinanceClient(venue.config, venue.credentials, SystemClock())
    await client.connect()
    await client.instruments(("BTCUSDT",))
    headers = {"X-MBX-APIKEY": venue.key}
    best: dict[str, tuple[float, float]] = {}  # wall time and processor time of one order
    async with aiohttp.ClientSession(venue.rest_url, headers=headers) as http:

        async def bare(number: int) -> None:
            data = signed(venue, order_params(number))
            async with http.post("/api/v3/order", data=data) as response:
                orjson.loads(await response.read())

        async def ours(number: int) -> None:
            await client.submit_order(_request(number), lambda: None)

        for round_ in range(ROUNDS):
            for name, send in (("bare aiohttp and orjson", bare), ("our client", ours)):
                walls, began_cpu = [], time.process_time()
                for number in range(round_ * ORDERS, (round_ + 1) * ORDERS):
                    began = time.perf_counter()
                    await send(number)
                    walls.append((time.perf_counter() - began) * 1e6)
                figures = (median(walls), (time.process_time() - began_cpu) * 1e6 / ORDERS)
                best[name] = min(best.get(name, figures), figures, key=lambda each: each[1])
    await client.close()
    bare_cpu = best["bare aiohttp and orjson"][1]
    for name, (wall, cpu) in best.items():
        print(
            f"  {name:<34} {wall:>9.0f} µs to the answer, {cpu:>5.0f} µs of processor time"
            f"   {cpu / bare_cpu:>5.2f} x bare aiohttp"
        )


def _request(number: int) -> OrderRequest:
    return OrderRequest(
        client_order_id=f"ours-{number}",
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal("0.001"),
        limit_price=LIMIT_PRICE,
        time_in_force=TimeInForce.IOC,
        purpose=OrderPurpose.EXIT,
    )


async def measure(seconds: float) -> None:
    with exchange(speed=1.0) as venue:
        print("an order and its answer, one at a time")
        await order_costs(venue)
        print(f"requests, {CONNECTIONS} at a time")
        await rest_throughput(venue, seconds)
    with exchange(FAST) as venue:
        print(f"messages, {len(SYMBOLS)} pairs of a market faster than it can be told")
        await message_throughput(venue, seconds)
    with exchange(MODERATE) as venue:
        print("what a trade costs its receiver, processor time")
        await message_costs(venue, seconds)


def main(seconds: float) -> None:
    logging.disable(logging.WARNING)
    ReconnectingWebsocket.TIMEOUT = 0.5  # how long python-binance's socket takes to end
    asyncio.run(measure(seconds))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)
