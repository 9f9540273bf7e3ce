"""Trips against four worker processes that propose through the core's socket.

Workers read the shared record and propose; the order path sends through python-binance to a served
exchange, which notes when each order reached it. An entry is late when it arrived after ``trigger``
had returned and ``trigger`` did not list it as in flight.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from calm_market import UNHURRIED, calm
from order_path import PRICES
from proofs import Held, record, rounds
from spikes import rising_spike
from venue_server import ServedExchange, served_exchange

from trading.api.config import ApiConfig
from trading.api.service import CoreService
from trading.clock import ScaledClock, SystemClock
from trading.events import EventBus
from trading.exchange.binance.adapter import BinanceClient
from trading.execution.config import ExecutionConfig
from trading.execution.gate import Gate, GateIntent, SendPermit
from trading.execution.service import ExecutionService
from trading.model.breaker import Actor
from trading.model.decision import ProposalResult, TradeProposal
from trading.model.spike import Spike
from trading.node.instance import RuntimePaths
from trading.node.servers import control_api
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.risk_config import RiskConfig
from trading.risk.shared_record import SharedRecordWriter
from trading.simulator.server.config import ExchangeServerConfig
from trading.storage.config import StorageConfig
from trading.storage.database import open_database
from trading.storage.spike_repository import SpikeRepository

T = TypeVar("T")
SECTION = "A trip stops what worker processes propose"
WORKERS = 4
TRIPS = rounds(quick=25, full=10_000)
MUTANT_TRIPS = 15
SPEED = 60  # of market time: limits per minute are limits per second here
BEAT_S = 0.05
SUPPORT = Path(__file__).parents[2] / "support"
NO_LIMITS = {"orders_per_10s": 1_000_000, "orders_per_day": 10_000_000, "weight_per_minute": 10**7}


class LoopThread:
    """An event loop on a thread of its own, as the core has two."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Core:
    """Breaker, order path and control API of a core, around a served exchange."""

    def __init__(self, served: ServedExchange, directory: Path) -> None:
        self.clock = ScaledClock(SystemClock().now_ms(), SPEED)
        self.paths = RuntimePaths(directory)
        storage = StorageConfig(path=directory / "store.sqlite3")
        create_store(storage, self.clock)
        config = CircuitBreakerConfig(max_trips_24h=100)
        self.breaker = CircuitBreaker.open(
            config, self.clock, storage, record=SharedRecordWriter(self.paths.breaker_record)
        )
        self.client = BinanceClient(served.config(), served.credentials, self.clock)
        self.orders = LoopThread()
        self.execution = ExecutionService(
            client=self.client,
            breaker=self.breaker,
            breaker_config=config,
            clock=self.clock,
            wait_clock=SystemClock(),
            bus=EventBus(),
            risk=RiskConfig(max_orders_per_minute=1_000, max_concurrent_positions=100, **UNHURRIED),
            execution=ExecutionConfig(wire_barrier_timeout_ms=1_000),
            storage=storage,
            price=lambda symbol: 10_000.0 if symbol == "BTCUSDT" else PRICES.get(symbol),
            instruments=served.exchange.instruments,
            data_fresh=lambda: True,
            conditions=calm,
        )
        self._spikes = open_database(storage, durable=False, check=False)
        self.proposed = asyncio.Event()

    async def start(self) -> None:
        await self.orders.start(self.client.connect())
        await self.orders.start(self.execution.start())

    async def propose_trade(self, proposal: TradeProposal) -> ProposalResult:
        self.proposed.set()
        SpikeRepository(self._spikes).insert(self._spike(proposal.spike_id))
        return await self.orders.start(self.execution.propose(proposal))

    def halt_shown(self) -> None:
        pass

    async def beat(self) -> None:
        while True:
            self.breaker.beat(self.clock.now_ms())
            await asyncio.sleep(BEAT_S)

    async def stop(self) -> None:
        await self.orders.start(self.execution.stop())
        await self.orders.start(self.client.close())
        self.orders.stop()
        self._spikes.close()
        self.breaker.close()

    def _spike(self, spike_id: str) -> Spike:
        return rising_spike(spike_id, "BTCUSDT", self.clock.now_ms(), 10_000.0)


@asynccontextmanager
async def workers(paths: RuntimePaths) -> AsyncIterator[None]:
    script = str(SUPPORT / "proposing_worker.py")
    sockets = str(paths.worker_socket), str(paths.breaker_record)
    children = [
        await asyncio.create_subprocess_exec(
            sys.executable, script, *sockets, str(number), stdin=asyncio.subprocess.PIPE
        )
        for number in range(WORKERS)
    ]
    try:
        yield
    finally:
        for child in children:
            assert child.stdin is not None
            child.stdin.close()
        async with asyncio.timeout(20):
            for child in children:
                await child.wait()


async def late_entries(directory: Path, trips: int) -> tuple[int, int]:
    """(late, all) entries at the server."""
    limits = ExchangeServerConfig.model_validate({"rate_limits": NO_LIMITS})
    async with served_exchange(limits) as served:
        core = Core(served, directory)
        await core.start()
        beating = asyncio.create_task(core.beat())
        late = seen = 0
        api = ApiConfig(runtime_directory=str(directory))
        try:
            served_api = control_api(cast(CoreService, core), api, core.paths)
            async with served_api, workers(core.paths):
                await core.proposed.wait()
                for number in range(trips):
                    # At any moment of what the workers have under way.
                    await asyncio.sleep(0.02 + number % 10 * 0.001)
                    receipt = await asyncio.to_thread(
                        core.breaker.trigger, "race", actor=Actor.RULE
                    )
                    returned_ns = time.monotonic_ns()
                    await asyncio.sleep(0.01)
                    await core.orders.start(core.execution.settle())
                    arrived = [
                        post
                        for post in served.server.received_orders
                        if post["params"].get("side") == "BUY"
                    ][-2 * WORKERS :]
                    late += sum(
                        post["received_monotonic_ns"] > returned_ns
                        and post["params"]["newClientOrderId"] not in receipt.in_flight
                        for post in arrived
                    )
                    core.breaker.clear(
                        actor=Actor.OPERATOR, reason="again", epoch=receipt.epoch, force=True
                    )
                    await core.orders.start(core.execution.settle())
            seen = core.execution.counters["entries sent"]
        finally:
            beating.cancel()
            await core.stop()
    return late, seen


async def test_no_entry_of_a_worker_reaches_the_exchange_after_a_trip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gate").mkdir()
    late, sent = await late_entries(tmp_path / "gate", TRIPS)
    assert sent > TRIPS / 5, "the workers got their chance"
    # The mutant: check first, send later.
    monkeypatch.setattr(Gate, "close_and_wait", lambda *_: ())
    monkeypatch.setattr(SendPermit, "on_wire", lambda _: None)
    enter = Gate.enter

    def dawdle(gate: Gate, intent: GateIntent) -> SendPermit:
        permit = enter(gate, intent)
        time.sleep(0.02)
        return permit

    monkeypatch.setattr(Gate, "enter", dawdle)
    mutant = raced = 0
    while mutant == 0 and raced < 8 * MUTANT_TRIPS:  # on a busy machine it may win for a while
        directory = tmp_path / f"naive-{raced}"
        directory.mkdir()
        mutant, _ = await late_entries(directory, MUTANT_TRIPS)
        raced += MUTANT_TRIPS
    assert mutant > 0, "the naive gate wins this race: it is too slow to judge"
    record(
        Held(
            section=SECTION,
            guarantee=f"no entry of {WORKERS} worker processes reaches the exchange's socket after "
            "`trigger()` has returned, but those it listed as in flight",
            trials=TRIPS,
            unit="trips",
            violations=late,
            mutant="a gate that neither waits nor fences",
            caught=f"{mutant} late entries in {raced} trips",
        )
    )
