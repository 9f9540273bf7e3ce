"""A whole core on threads of this process, over a served exchange: real sockets on every side.

The crews' side is the worker socket and the shared record, the operator's side the operator socket,
the venue's side python-binance. Being in this process, its parts can be broken on purpose.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from live_instance import isolated_config

from crews.node_settings import node_config
from trading.api.http_client import HttpTradingClient
from trading.clock import MINUTE_MS, ScaledClock, SystemClock
from trading.events import EventBus
from trading.exchange.credentials import ApiCredentials
from trading.exchange.factory import create_venue, recovery_log
from trading.exchange.venues import VenueEndpoints
from trading.market.config import MarketConfig
from trading.model.market import Bar, Tick
from trading.model.order import Side
from trading.node.assembly import Surroundings, assemble
from trading.node.instance import RuntimePaths
from trading.node.order_thread import OrderThread
from trading.node.process import _backfill, _running
from trading.node.servers import control_api
from trading.risk.breaker_store import create_store
from trading.risk.shared_record import SharedRecordWriter
from trading.simulator.config import SimulatorConfig
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.instruments import make_instrument
from trading.simulator.server.app import start_server
from trading.simulator.server.config import ExchangeServerConfig
from trading.simulator.server.limit_config import RateLimitConfig
from trading.storage.database import open_database
from trading.storage.spike_repository import SpikeRepository

T = TypeVar("T")
TICK_S = 0.2
START_TIMEOUT_S = 60.0


class LoopThread:
    """An event loop on a thread of its own."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.start(work).result(START_TIMEOUT_S)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


class CoreInProcess:
    """``worker`` and ``operator`` are the clients; ``posts`` is what arrived at the exchange."""

    def __init__(self, folder: Path, prices: dict[str, float], **settings: Any) -> None:
        self.prices = prices
        watched = [symbol for symbol in prices if symbol not in MarketConfig().stablecoins]
        self.config = node_config(
            isolated_config(folder, market__symbols=watched, **settings).config
        )
        self.clock = SystemClock()
        self._venue_thread = LoopThread("exchange")
        self._main = LoopThread("core")
        self._ended = asyncio.Event()

    def start(self) -> None:
        self._venue_thread.run(self._serve_exchange())
        self._ticking = self._venue_thread.start(self._tick())
        self._venue_thread_ready()
        self._stack = self._main.run(self._start_core())
        paths = RuntimePaths(Path(self.config.api.runtime_directory))
        self.operator = HttpTradingClient(paths.operator_socket)
        self.worker = HttpTradingClient(paths.worker_socket, paths.breaker_record)
        self.spikes = open_database(self.config.storage, durable=False, check=False)

    def stop(self) -> None:
        self.spikes.close()
        self.operator.close()
        self.worker.close()
        self._main.run(self._stack.aclose())
        self._main.stop()
        self._ticking.cancel()
        self._venue_thread.run(self.server.stop())
        self._venue_thread.stop()

    def stop_trades(self) -> None:
        """The exchange goes silent."""
        self._ticking.cancel()

    def drop_market_streams(self) -> None:
        """Cut the exchange's market sockets, as a broken line does."""
        self._venue_thread.loop.call_soon_threadsafe(self.server.drop_websockets, "market")

    def store_spike(self, spike: Any) -> None:
        SpikeRepository(self.spikes).insert(spike)

    def entries(self) -> list[dict[str, Any]]:
        """Entry posts as they arrived at the exchange's socket, oldest first."""
        posts = list(self.server.received_orders)
        return [post for post in posts if post["params"].get("side") == Side.BUY]

    def _venue_thread_ready(self) -> None:
        key = self.server.keys[0]
        self._credentials = ApiCredentials.model_validate({"key": key.key, "secret": key.secret})

    async def _serve_exchange(self) -> None:
        self.exchange = SimulatedExchange(
            SimulatorConfig(initial_balances={"USDT": Decimal(10_000)}),
            [make_instrument(symbol, price) for symbol, price in self.prices.items()],
            self.clock,
        )
        first = self.clock.now_ms() // MINUTE_MS * MINUTE_MS - 90 * MINUTE_MS
        for symbol, price in self.prices.items():
            opens = range(first, first + 90 * MINUTE_MS, MINUTE_MS)
            bars = [Bar(symbol, at, MINUTE_MS, price, price, price, price, 5.0) for at in opens]
            self.exchange.load_history(symbol, bars)
        # Hundreds of trials in a row: the venue's limits must not end the later ones.
        limits = RateLimitConfig(weight_per_minute=10_000_000, orders_per_10s=100_000)
        config = ExchangeServerConfig(rate_limits=limits)
        self.server = await start_server(self.exchange, config=config)

    async def _tick(self) -> None:
        while True:
            for symbol, price in self.prices.items():
                self.exchange.on_tick(Tick(symbol, price, 0.1, self.clock.now_ms()))
            await asyncio.sleep(TICK_S)

    async def _start_core(self) -> AsyncExitStack:
        stack = AsyncExitStack()
        endpoints = VenueEndpoints(
            rest_url=self.server.rest_url,
            stream_url=self.server.ws_url,
            ws_api_url=self.server.ws_api_url,
            futures_rest_url=self.config.exchange.endpoints.futures_rest_url,
            futures_stream_url=self.config.exchange.endpoints.futures_stream_url,
        )
        exchange = self.config.exchange.model_copy(update={"endpoints": endpoints})
        config = self.config.model_copy(update={"exchange": exchange})
        create_store(config.storage, self.clock)
        paths = RuntimePaths(Path(config.api.runtime_directory))
        paths.directory.mkdir(parents=True, exist_ok=True)
        recovery = recovery_log(exchange.retry, self.clock)
        venue = create_venue(
            exchange,
            self._credentials,
            self.clock,
            simulator=config.simulator,
            recovery=recovery,
        )
        orders = OrderThread(asyncio.get_running_loop())
        stack.callback(orders.stop)
        await orders.call(venue.client.connect())
        stack.push_async_callback(orders.call, venue.client.close())
        record = SharedRecordWriter(paths.breaker_record)
        stack.callback(record.close)
        self.core = core = assemble(
            config,
            Surroundings(
                clock=self.clock,
                wait_clock=ScaledClock(self.clock.now_ms(), 1.0),
                bus=EventBus(),
                client=venue.client,
                instruments=await orders.call(venue.client.instruments(config.market.symbols)),
                orders=orders,
                tick_gap_ms=0,
                inline_records=False,
                record=record,
                recovery=recovery,
            ),
        )
        stack.callback(core.parts.breaker.close)
        stack.callback(core.parts.records.close)
        await _backfill(core, venue, orders, config)
        await orders.call(core.parts.execution.start())
        stack.push_async_callback(orders.call, core.parts.execution.stop())
        await stack.enter_async_context(control_api(core, config.api, paths))
        stack.callback(core.parts.spikes.close)
        await stack.enter_async_context(_running(core, venue, orders, self._ended))
        while not core.parts.guard.data_is_fresh():  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.02)
        return stack


@contextmanager
def core_in_process(
    folder: Path, prices: dict[str, float], **settings: Any
) -> Iterator[CoreInProcess]:
    """Start, yield, stop. ``settings`` as for ``isolated_config``."""
    core = CoreInProcess(folder, prices, **settings)
    core.start()
    try:
        yield core
    finally:
        core.stop()
