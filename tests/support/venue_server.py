"""A served exchange for tests of venues, and a proxy that records and breaks connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, TypeVar

from trading.clock import SystemClock
from trading.errors import ClockSkewError, ExchangeConnectionError
from trading.exchange.binance.adapter import BinanceClient
from trading.exchange.config import ExchangeConfig, ReconnectConfig
from trading.exchange.credentials import ApiCredentials
from trading.exchange.venues import VenueEndpoints
from trading.model.market import Instrument, Tick
from trading.model.order import OrderPurpose, OrderRequest, OrderType, Side, TimeInForce
from trading.simulator.config import SimulatorConfig
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.server.app import RunningServer, start_server
from trading.simulator.server.config import ExchangeServerConfig

T = TypeVar("T")

FAST_RECONNECT = ReconnectConfig(first_delay_ms=10, max_delay_ms=50, stale_after_ms=60_000)


def instrument(symbol: str = "BTCUSDT") -> Instrument:
    return Instrument(
        symbol=symbol,
        base_asset=symbol.removesuffix("USDT"),
        quote_asset="USDT",
        tick_size=Decimal("0.01"),
        step_size=Decimal("0.00001"),
        min_quantity=Decimal("0.00001"),
        max_quantity=Decimal("9000"),
        min_notional=Decimal("5"),
    )


def limit_buy(client_order_id: str, price: str = "9900", quantity: str = "0.01") -> OrderRequest:
    return OrderRequest(
        client_order_id=client_order_id,
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        limit_price=Decimal(price),
        time_in_force=TimeInForce.GTC,
        purpose=OrderPurpose.ENTRY,
    )


def market_buy(client_order_id: str, quantity: str = "0.01") -> OrderRequest:
    return OrderRequest(
        client_order_id=client_order_id,
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.MARKET,
        quantity=Decimal(quantity),
        purpose=OrderPurpose.ENTRY,
    )


def unfenced() -> None:
    """``on_wire`` of an order that nobody stops."""


@dataclass
class ServedExchange:
    """A running server at a last price of 10,000 USDT for BTCUSDT."""

    server: RunningServer
    exchange: SimulatedExchange

    @property
    def credentials(self) -> ApiCredentials:
        key = self.server.keys[0]
        return ApiCredentials.model_validate({"key": key.key, "secret": key.secret})

    def config(
        self, *, rest_url: str | None = None, stream_url: str | None = None, **options: object
    ) -> ExchangeConfig:
        """Configuration of venue sim on this server, or through other addresses."""
        endpoints = VenueEndpoints(
            rest_url=rest_url or self.server.rest_url,
            stream_url=stream_url or self.server.ws_url,
            ws_api_url=f"{stream_url or self.server.ws_url}/ws-api/v3",
        )
        values: dict[str, object] = {"endpoints": endpoints, "reconnect": FAST_RECONNECT}
        return ExchangeConfig.model_validate(values | options)

    def tick(self, price: float, quantity: float = 1.0) -> None:
        self.exchange.on_tick(Tick("BTCUSDT", price, quantity, SystemClock().now_ms()))


@asynccontextmanager
async def served_exchange(
    server_config: ExchangeServerConfig | None = None,
) -> AsyncIterator[ServedExchange]:
    exchange = SimulatedExchange(SimulatorConfig(), (instrument(),), SystemClock())
    server = await start_server(exchange, config=server_config)
    served = ServedExchange(server, exchange)
    served.tick(10_000.0)
    try:
        yield served
    finally:
        await server.stop()


@dataclass
class RecordingProxy:
    """Passes bytes to ``target_port`` and keeps what the clients sent."""

    target_port: int
    answers: Literal["pass", "cut", "hold"] = "pass"  # cut: close instead; hold: say nothing
    sent: bytearray = field(default_factory=bytearray)
    _server: asyncio.Server | None = None
    _pipes: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        assert self._server is not None
        self._server.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        self._spawn(reader, target_writer, self.sent.extend)
        self._spawn(target_reader, writer, None)

    def _spawn(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        record: Callable[[bytes], None] | None,
    ) -> None:
        pipe = asyncio.create_task(self._pump(reader, writer, record))
        self._pipes.add(pipe)
        pipe.add_done_callback(self._pipes.discard)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        record: Callable[[bytes], None] | None,
    ) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if record is not None:
                    record(data)
                elif self.answers == "cut":
                    return
                elif self.answers == "hold":
                    continue
                writer.write(data)
                await writer.drain()


class TickLog:
    """A ``FeedListener`` that keeps what it hears."""

    def __init__(self) -> None:
        self.ticks: list[Tick] = []
        self.lost: list[str] = []
        self.connections = 0

    def on_tick(self, tick: Tick) -> None:
        self.ticks.append(tick)

    def on_feed_connected(self) -> None:
        self.connections += 1

    def on_feed_lost(self, reason: str) -> None:
        self.lost.append(reason)


async def eventually(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Wait until ``condition()`` is truthy; AssertionError after ``timeout_s``."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "waited in vain"
        await asyncio.sleep(0.005)


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """A busy machine may need more than one of a test's short time-outs for an answer."""
    for _ in range(20):
        with contextlib.suppress(ExchangeConnectionError, ClockSkewError):
            return await ask()
    return await ask()


async def connect(client: BinanceClient) -> None:
    await patiently(client.connect)


@asynccontextmanager
async def running(work: object) -> AsyncIterator[asyncio.Task[None]]:
    """Run a coroutine beside the test and cancel it at the end."""
    task = asyncio.ensure_future(work)  # type: ignore[call-overload]
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
