"""Trips from another thread against entries through python-binance: none arrives late."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest
from order_path import PRICES
from venue_server import ServedExchange, served_exchange

from trading.clock import SystemClock
from trading.events import EventBus
from trading.exchange.binance.adapter import BinanceClient
from trading.execution.config import ExecutionConfig
from trading.execution.gate import Gate, GateIntent, SendPermit
from trading.execution.service import ExecutionService
from trading.model.breaker import Actor
from trading.model.decision import TradeProposal
from trading.model.spike import Spike, SpikeDirection, SpikeType
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.risk_config import RiskConfig
from trading.storage.config import StorageConfig
from trading.storage.database import open_database
from trading.storage.spike_repository import SpikeRepository

T = TypeVar("T")
TRIPS = 40


class OrderLoopThread:
    """The order path's own thread, as in the core process."""

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


def spike(number: int) -> Spike:
    return Spike(
        id=f"spk-{number}",
        symbol="BTCUSDT",
        type=SpikeType.PRICE,
        direction=SpikeDirection.UP,
        detected_at_ms=SystemClock().now_ms(),
        magnitude_pct=4.0,
        timeframe_minutes=5,
        volume_multiple=5.0,
        z_score=6.0,
        price_from=9_600.0,
        price_to=10_000.0,
        confidence=0.9,
        detection_latency_ms=1.0,
    )


def proposal(spike_id: str, epoch: int) -> TradeProposal:
    now_ms = SystemClock().now_ms()
    return TradeProposal(
        spike_id=spike_id,
        symbol="BTCUSDT",
        notional=Decimal(100),
        limit_price=Decimal(9_900),
        stop_loss_pct=2.0,
        take_profit_pct=4.0,
        confidence=0.9,
        epoch=epoch,
        decided_at_ms=now_ms,
        deadline_ms=now_ms + 30_000,
        reasoning="",
    )


async def late_entries(served: ServedExchange, directory: Path) -> tuple[int, int]:
    """Trip while an entry is on its way, ``TRIPS`` times; (late, all) entries at the server.

    An entry is late when it reached the server's handler after ``trigger`` had returned and was
    not among the ids that ``trigger`` listed as in flight.
    """
    clock = SystemClock()
    storage = StorageConfig(path=directory / "store.sqlite3")
    create_store(storage, clock)
    config = CircuitBreakerConfig(max_trips_24h=100)
    breaker = CircuitBreaker.open(config, clock, storage)
    client = BinanceClient(served.config(), served.credentials, clock)
    orders = OrderLoopThread()
    await orders.start(client.connect())
    service = ExecutionService(
        client=client,
        breaker=breaker,
        breaker_config=config,
        clock=clock,
        bus=EventBus(),
        risk=RiskConfig(max_orders_per_minute=1_000),
        execution=ExecutionConfig(wire_barrier_timeout_ms=1_000),
        storage=storage,
        price=lambda symbol: 10_000.0 if symbol == "BTCUSDT" else PRICES.get(symbol),
        instruments=served.exchange.instruments,
        data_fresh=lambda: True,
    )
    await orders.start(service.start())
    spikes = open_database(storage, durable=False, check=False)
    late = 0
    try:
        for number in range(TRIPS):
            row = spike(number)
            SpikeRepository(spikes).insert(row)
            entry = orders.start(service.propose(proposal(row.id, breaker.snapshot.epoch)))
            # From before the journal's commit to after the answer, in steps.
            await asyncio.sleep(number % 20 * 0.0005)
            receipt = breaker.trigger("test", actor=Actor.RULE)
            returned_ns = time.monotonic_ns()
            await entry
            await orders.start(service.settle())
            late += sum(
                post["received_monotonic_ns"] > returned_ns
                and post["params"].get("side") == "BUY"
                and post["params"]["newClientOrderId"] not in receipt.in_flight
                for post in served.server.received_orders[-3:]
            )
            breaker.clear(
                actor=Actor.OPERATOR, reason="again", epoch=breaker.snapshot.epoch, force=True
            )
            await orders.start(service.settle())
    finally:
        await orders.start(service.stop())
        await orders.start(client.close())
        orders.stop()
        spikes.close()
        breaker.close()
    return late, len(served.server.received_orders)


async def test_no_entry_arrives_after_its_trip_has_returned(tmp_path: Path) -> None:
    async with served_exchange() as served:
        late, received = await late_entries(served, tmp_path)
    assert late == 0
    assert received > 0
    assert served.exchange.open_orders(served.server.keys[0].account_id) == ()


async def test_a_gate_that_neither_waits_nor_fences_lets_entries_arrive_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: check first, send later, as nearly every bot does."""
    monkeypatch.setattr(Gate, "close_and_wait", lambda *_: ())
    monkeypatch.setattr(SendPermit, "on_wire", lambda _: None)
    enter = Gate.enter

    def dawdle(gate: Gate, intent: GateIntent) -> SendPermit:
        permit = enter(gate, intent)
        time.sleep(0.02)
        return permit

    monkeypatch.setattr(Gate, "enter", dawdle)
    async with served_exchange() as served:
        late, _ = await late_entries(served, tmp_path)
    assert late > 0
