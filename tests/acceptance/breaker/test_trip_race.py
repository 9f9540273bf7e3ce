"""Trips against senders on threads and tasks of one process: no order leaves after a trip.

The breaker is the real one over a real store, the gate the real one, and the judge is the kernel:
it stamps each order within the sender's own ``send``. The naive gate (check, then send) is put
through the same race and must lose it.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from proofs import Held, record, rounds, until_late
from wire_recorder import Halts, Wire, WireRecorder

from trading.clock import DAY_MS, VirtualClock
from trading.errors import DecisionRejectedError, TradingHaltedError
from trading.execution.gate import Gate, GateIntent
from trading.model.breaker import Actor
from trading.model.order import OrderPurpose
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.config import StorageConfig

SECTION = "A trip stops every sender of its process"
START_MS = 1_760_000_000_000
TRIPS = rounds(quick=150, full=10_000)
MUTANT_TRIPS = 60
HELD_S = 0.000_3  # how long a halt is held, for late orders to show

# Between the check and the wire lies what a real sender does there: it signs, connects, journals.
GAPS_S = (0.0, 0.000_5, 0.001_5, 0.003, 0.006)

Send = Callable[["Desk", Wire, int], None]


class Desk:
    """What a sender has: breaker and gate."""

    def __init__(self, breaker: CircuitBreaker, clock: VirtualClock) -> None:
        self.breaker = breaker
        self.gate = Gate(
            entries_blocked=lambda: breaker.entries_blocked,
            epoch=lambda: breaker.snapshot.epoch,
            now_ms=clock.now_ms,
            data_fresh=lambda: True,
            positions_trusted=lambda _: True,
        )

    def intent(self, order_id: str) -> GateIntent:
        return GateIntent(order_id, "BTCUSDT", OrderPurpose.ENTRY, self.breaker.snapshot.epoch)


def through_the_gate(desk: Desk, wire: Wire, number: int) -> None:
    order_id = f"sg-{number}"
    try:
        permit = desk.gate.enter(desk.intent(order_id))
    except (TradingHaltedError, DecisionRejectedError):
        return
    try:
        time.sleep(GAPS_S[number % len(GAPS_S)])
        permit.leave()
        wire.send(order_id)
        permit.away()
    except TradingHaltedError:
        pass
    finally:
        permit.done()


def check_then_send(desk: Desk, wire: Wire, number: int) -> None:
    """The mutant, and what nearly every bot does."""
    if desk.breaker.entries_blocked:
        return
    time.sleep(GAPS_S[number % len(GAPS_S)])
    wire.send(f"sg-{number}")


@contextmanager
def open_breaker(directory: Path) -> Iterator[tuple[CircuitBreaker, VirtualClock]]:
    clock = VirtualClock(START_MS)
    storage = StorageConfig(path=directory / "store.sqlite3")
    create_store(storage, clock)
    breaker = CircuitBreaker.open(CircuitBreakerConfig(max_trips_24h=100), clock, storage)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # more interleavings in less time
    try:
        yield breaker, clock
    finally:
        sys.setswitchinterval(interval)
        breaker.close()


def trip_again_and_again(breaker: CircuitBreaker, clock: VirtualClock, trips: int) -> Halts:
    """Trip, hold for a moment, clear as an operator; ``trips`` times."""
    halts = Halts()
    for _ in range(trips):
        receipt = breaker.trigger("race", actor=Actor.RULE)
        halts.returned(receipt.in_flight)
        time.sleep(HELD_S)
        halts.clearing()
        clock.advance_to(clock.now_ms() + DAY_MS)
        breaker.clear(actor=Actor.OPERATOR, reason="again", epoch=receipt.epoch, force=True)
        time.sleep(0)
    return halts


def race_threads(directory: Path, senders: int, trips: int, send: Send) -> tuple[int, int]:
    """(late orders, all orders) of ``senders`` threads against ``trips`` trips."""
    recorder = WireRecorder()
    over = threading.Event()
    numbers = itertools.count()
    with open_breaker(directory) as (breaker, clock):
        desk = Desk(breaker, clock)
        breaker.add_trip_listener(lambda: desk.gate.close_and_wait(5_000))

        def sender() -> None:
            wire = recorder.sender()
            while not over.is_set():
                send(desk, wire, next(numbers))
                time.sleep(0.000_2)
            wire.close()

        threads = [threading.Thread(target=sender) for _ in range(senders)]
        for thread in threads:
            thread.start()
        try:
            halts = trip_again_and_again(breaker, clock, trips)
        finally:
            over.set()
            for thread in threads:
                thread.join()
            recorder.close()
    return len(halts.late(recorder.arrivals)), len(recorder.arrivals)


def race_tasks(directory: Path, senders: int, trips: int, send: Send) -> tuple[int, int]:
    """The same with asyncio tasks on one loop, tripped from outside it."""
    recorder = WireRecorder()
    over = threading.Event()
    numbers = itertools.count()
    with open_breaker(directory) as (breaker, clock):
        desk = Desk(breaker, clock)
        breaker.add_trip_listener(lambda: desk.gate.close_and_wait(5_000))

        async def sender() -> None:
            wire = recorder.sender()
            while not over.is_set():
                await send_on_loop(desk, wire, next(numbers), send)
                await asyncio.sleep(0.000_2)
            wire.close()

        async def run() -> None:
            await asyncio.gather(*(sender() for _ in range(senders)))

        thread = threading.Thread(target=lambda: asyncio.run(run()))
        thread.start()
        try:
            halts = trip_again_and_again(breaker, clock, trips)
        finally:
            over.set()
            thread.join()
            recorder.close()
    return len(halts.late(recorder.arrivals)), len(recorder.arrivals)


async def send_on_loop(desk: Desk, wire: Wire, number: int, send: Send) -> None:
    order_id, gap_s = f"sg-{number}", GAPS_S[number % len(GAPS_S)]
    if send is check_then_send:
        if not desk.breaker.entries_blocked:
            await asyncio.sleep(gap_s)
            wire.send(order_id)
        return
    try:
        permit = desk.gate.enter(desk.intent(order_id))
    except (TradingHaltedError, DecisionRejectedError):
        return
    try:
        await asyncio.sleep(gap_s)
        permit.on_wire()
        wire.send(order_id)
        await asyncio.sleep(0)  # waiting for the answer
    except TradingHaltedError:
        pass
    finally:
        permit.done()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("senders", "trips", "mutant_trips"),
    [
        (4, TRIPS, MUTANT_TRIPS),
        (16, TRIPS, MUTANT_TRIPS),
        (64, rounds(40, 10_000), rounds(15, MUTANT_TRIPS)),
    ],
    ids=["4", "16", "64"],
)
def test_no_order_of_any_thread_leaves_after_a_trip_has_returned(
    tmp_path: Path, senders: int, trips: int, mutant_trips: int
) -> None:
    late, sent = race_threads(tmp_path / "gate", senders, trips, through_the_gate)
    mutant, raced = until_late(
        tmp_path, mutant_trips, lambda at: race_threads(at, senders, mutant_trips, check_then_send)
    )
    assert sent > trips / 10, "the senders got their chance"
    assert mutant > 0, "the naive gate wins this race: it is too slow to judge"
    record(
        Held(
            section=SECTION,
            guarantee=f"no order of {senders:2d} threads leaves after `trigger()` has returned",
            trials=trips,
            unit="trips",
            violations=late,
            mutant="check, then send",
            caught=f"{mutant} late orders in {raced} trips",
        )
    )


def test_no_order_of_any_task_leaves_after_a_trip_has_returned(tmp_path: Path) -> None:
    late, sent = race_tasks(tmp_path / "gate", 64, TRIPS, through_the_gate)
    mutant, raced = until_late(
        tmp_path, MUTANT_TRIPS, lambda at: race_tasks(at, 64, MUTANT_TRIPS, check_then_send)
    )
    assert sent > TRIPS / 10, "the senders got their chance"
    assert mutant > 0, "the naive gate wins this race: it is too slow to judge"
    record(
        Held(
            section=SECTION,
            guarantee="no order of 64 asyncio tasks leaves after `trigger()` has returned",
            trials=TRIPS,
            unit="trips",
            violations=late,
            mutant="check, then send",
            caught=f"{mutant} late orders in {raced} trips",
        )
    )
