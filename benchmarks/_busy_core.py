"""What keeps a core and its machine busy while it guards: the control API, and the crews.

The core here is a whole one (books, records, both sockets) over the in-process exchange in a calm
market; it shares its event loop with whatever is measured, and has its orders where it is told. The
crews are the product's guardian crew on the built-in rules, one assessment after the other without
a pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import multiprocessing.sharedctypes
import multiprocessing.synchronize
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

from crews.config import AppConfig
from crews.node_settings import node_config
from trading.api.config import ApiConfig
from trading.clock import MINUTE_MS, ScaledClock, SystemClock
from trading.events import EventBus
from trading.exchange.in_process import InProcessVenue
from trading.market.config import MarketConfig
from trading.model.market import Bar, Tick
from trading.node.assembly import Surroundings, assemble
from trading.node.core import TradingCore
from trading.node.instance import RuntimePaths
from trading.node.order_thread import OrderLoop, SameLoop
from trading.node.servers import control_api
from trading.risk.breaker_store import create_store
from trading.risk.shared_record import SharedRecordWriter
from trading.simulator.config import SimulatorConfig
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.instruments import make_instrument
from trading.storage.config import StorageConfig

PRICES = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0, "SOLUSDT": 104.2}
REQUESTS_PER_S = 500
CONNECTIONS = 4
ROUTES = ("/v1/breaker", "/v1/market", "/v1/market/BTCUSDT", "/v1/portfolio")
WORKERS = 2
WORKER_NICE = 10  # as the supervisor starts them
CREW_START_TIMEOUT_S = 120.0


@asynccontextmanager
async def served_core(
    folder: Path, orders: OrderLoop | None = None
) -> AsyncIterator[tuple[TradingCore, RuntimePaths]]:
    """A core with its control API on this loop, its duties and a calm market.

    ``orders`` is where it keeps its orders; on this loop, too, where it is not given.
    """
    orders = orders or SameLoop()
    clock = SystemClock()
    paths = RuntimePaths(folder / "run")
    paths.directory.mkdir()
    storage = StorageConfig(path=folder / "core.sqlite3")
    config = node_config(
        AppConfig(
            storage=storage,
            api=ApiConfig(runtime_directory=str(paths.directory)),
            market=MarketConfig(symbols=tuple(PRICES)),
        )
    )
    create_store(storage, clock)
    instruments = [make_instrument(symbol, price) for symbol, price in PRICES.items()]
    exchange = SimulatedExchange(SimulatorConfig(), instruments, clock)
    first = clock.now_ms() // MINUTE_MS * MINUTE_MS - 300 * MINUTE_MS
    history = {
        symbol: [
            Bar(symbol, at, MINUTE_MS, price, price, price, price, 5.0)
            for at in range(first, first + 300 * MINUTE_MS, MINUTE_MS)
        ]
        for symbol, price in PRICES.items()
    }
    for symbol, bars in history.items():
        exchange.load_history(symbol, bars)
    venue = InProcessVenue(exchange, clock, balances={"USDT": Decimal(10_000)})
    await orders.call(venue.client.connect())
    record = SharedRecordWriter(paths.breaker_record)
    core = assemble(
        config,
        Surroundings(
            clock=clock,
            wait_clock=ScaledClock(clock.now_ms(), 1.0),
            bus=EventBus(),
            client=venue.client,
            instruments={one.symbol: one for one in instruments},
            orders=orders,
            tick_gap_ms=0,
            inline_records=False,
            record=record,
        ),
    )
    for symbol, bars in history.items():
        core.parts.market.on_bar_history(symbol, bars)
    await orders.call(core.parts.execution.start())
    await _beat(core, exchange)
    duties = asyncio.create_task(_duties(core, exchange))
    try:
        async with control_api(core, config.api, paths):
            yield core, paths
    finally:
        duties.cancel()
        await asyncio.gather(duties, return_exceptions=True)
        core.parts.spikes.close()
        await orders.call(core.parts.execution.stop())
        core.parts.records.close()
        core.parts.breaker.close()
        record.close()


async def _duties(core: TradingCore, exchange: SimulatedExchange) -> None:
    while True:
        await _beat(core, exchange)
        await core.parts.orders.call(core.parts.execution.advance(core.now_ms()))
        await asyncio.sleep(0.1)


async def _beat(core: TradingCore, exchange: SimulatedExchange) -> None:
    now_ms = core.now_ms()
    for symbol, price in PRICES.items():
        tick = Tick(symbol, price, 0.1, now_ms)
        await core.parts.orders.call(_trade(exchange, tick))
        core.parts.market.on_tick(tick)
    core.parts.guard.advance(now_ms)
    core.parts.guard.pulse.beat()
    core.parts.breaker.beat(now_ms)


async def _trade(exchange: SimulatedExchange, tick: Tick) -> None:
    exchange.on_tick(tick)


@asynccontextmanager
async def api_load(paths: RuntimePaths) -> AsyncIterator[Callable[[], float]]:
    """A process that asks ``REQUESTS_PER_S``; yields how many a second were answered so far."""
    answered = multiprocessing.Value("q", 0)
    process = multiprocessing.Process(
        target=_ask, args=(str(paths.operator_socket), answered), daemon=True
    )
    process.start()
    try:
        await _until(lambda: answered.value > 0, [process])
        started, before = time.monotonic(), answered.value
        yield lambda: (answered.value - before) / (time.monotonic() - started)
    finally:
        process.kill()
        process.join()


def _ask(path: str, answered: multiprocessing.sharedctypes.Synchronized[int]) -> None:
    async def client(number: int) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        due = time.monotonic() + number / REQUESTS_PER_S
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due = max(due, time.monotonic() - 1.0) + CONNECTIONS / REQUESTS_PER_S
            route = ROUTES[answered.value % len(ROUTES)]
            writer.write(f"GET {route} HTTP/1.1\r\nHost: core\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            with answered.get_lock():
                answered.value += 1

    async def clients() -> None:
        await asyncio.gather(*(client(number) for number in range(CONNECTIONS)))

    asyncio.run(clients())


@asynccontextmanager
async def crew_processes(paths: RuntimePaths) -> AsyncIterator[Callable[[], int]]:
    """Crews in processes of their own, as the product has them; yields their assessments."""
    done = multiprocessing.Value("q", 0)
    processes = [
        multiprocessing.Process(target=_crew_process, args=(paths, done), daemon=True)
        for _ in range(WORKERS)
    ]
    for process in processes:
        process.start()
    try:
        await _until(lambda: done.value >= WORKERS, processes)
        yield lambda: done.value
    finally:
        for process in processes:
            process.kill()
            process.join()


@asynccontextmanager
async def crew_threads(paths: RuntimePaths) -> AsyncIterator[Callable[[], int]]:
    """The same crews on threads of this process."""
    done = multiprocessing.Value("q", 0)
    stop = threading.Event()
    threads = [
        threading.Thread(target=_crew, args=(paths, done, stop), daemon=True)
        for _ in range(WORKERS)
    ]
    for thread in threads:
        thread.start()
    try:
        await _until(lambda: done.value >= WORKERS, ())
        yield lambda: done.value
    finally:
        stop.set()
        while any(thread.is_alive() for thread in threads):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


async def _until(
    is_so: Callable[[], bool], processes: tuple[()] | list[multiprocessing.Process]
) -> None:
    give_up = time.monotonic() + CREW_START_TIMEOUT_S
    while not is_so():
        if time.monotonic() > give_up or not all(process.is_alive() for process in processes):
            raise RuntimeError("the crews do not start")
        await asyncio.sleep(0.05)


def _crew_process(
    paths: RuntimePaths, done: multiprocessing.sharedctypes.Synchronized[int]
) -> None:
    os.nice(WORKER_NICE)
    _crew(paths, done, threading.Event())


def _crew(
    paths: RuntimePaths,
    done: multiprocessing.sharedctypes.Synchronized[int],
    stop: threading.Event,
) -> None:
    os.environ.update(CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false")
    from agents.config import AgentsConfig
    from crews.crew_config import GuardianCrewConfig
    from crews.guardian.crew import GuardianCrew
    from trading.api.http_client import HttpTradingClient
    from trading.errors import SpikeguardError

    client = HttpTradingClient(paths.worker_socket, paths.breaker_record)
    crew = GuardianCrew(client, AgentsConfig(), GuardianCrewConfig(), environment={})
    crew.warm_up()
    while not stop.is_set():
        with contextlib.suppress(SpikeguardError):  # a deadline, in a machine as busy as this
            crew.assess("regular")
        with done.get_lock():
            done.value += 1
    client.close()
