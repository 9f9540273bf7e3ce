"""The gate against trips from other threads: nothing enters after a trip has returned."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from proofs import rounds

from trading.errors import DecisionRejectedError, TradingHaltedError
from trading.execution.gate import Gate, GateIntent, SendPermit
from trading.model.order import OrderPurpose

TRIPS = rounds(500, 2_000)
SENDERS = 4


class Halt:
    """A breaker reduced to its flag and epoch."""

    def __init__(self) -> None:
        self.blocked = False
        self.epoch = 0
        self.fresh = True
        self.trusted = True
        self.now_ms = 0

    def gate(self) -> Gate:
        return Gate(
            entries_blocked=lambda: self.blocked,
            epoch=lambda: self.epoch,
            now_ms=lambda: self.now_ms,
            data_fresh=lambda: self.fresh,
            positions_trusted=lambda _: self.trusted,
        )


def entry(epoch: int, name: str = "sg-1") -> GateIntent:
    return GateIntent(name, "BTCUSDT", OrderPurpose.ENTRY, epoch)


class Wire:
    """The recorder at the far end: the epoch that was current when the bytes arrived."""

    def __init__(self, halt: Halt) -> None:
        self._halt = halt
        self.late = 0
        self.arrived = 0

    def receive(self, decided_epoch: int) -> None:
        self.arrived += 1
        # The trip that ends an epoch has returned once the epoch reads higher.
        self.late += self._halt.epoch != decided_epoch


def race(send: Callable[[Halt, Wire, int], None], close: Callable[[], Any], halt: Halt) -> Wire:
    """Senders on several threads against ``TRIPS`` trips."""
    wire = Wire(halt)
    over = threading.Event()

    def sender() -> None:
        while not over.is_set():
            send(halt, wire, halt.epoch)

    threads = [threading.Thread(target=sender) for _ in range(SENDERS)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # more interleavings in less time
    try:
        for thread in threads:
            thread.start()
        for _ in range(TRIPS):
            halt.blocked = True
            close()
            halt.epoch += 1  # the commit: from here on the trip has returned
            halt.blocked = False
            time.sleep(0)
        over.set()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    return wire


def test_no_entry_reaches_the_wire_after_its_trip_in_hundreds_of_trips() -> None:
    halt = Halt()
    gate = halt.gate()

    def send(_: Halt, wire: Wire, epoch: int) -> None:
        try:
            permit = gate.enter(entry(epoch))
        except (TradingHaltedError, DecisionRejectedError):
            return
        try:
            time.sleep(0)  # gives the trip its chance between check and send
            permit.leave()
            wire.receive(epoch)
            permit.away()
        except TradingHaltedError:
            pass
        finally:
            permit.done()

    wire = race(send, lambda: gate.close_and_wait(60_000), halt)
    assert wire.late == 0
    assert wire.arrived > TRIPS / 20


def test_the_naive_check_then_send_loses_the_same_race() -> None:
    halt = Halt()

    def send(halt: Halt, wire: Wire, epoch: int) -> None:
        if halt.blocked or halt.epoch != epoch:
            return
        time.sleep(0)
        wire.receive(epoch)

    assert race(send, lambda: (), halt).late > 0


def test_a_sender_that_does_not_move_is_fenced_when_the_time_is_over() -> None:
    halt = Halt()
    gate = halt.gate()
    permits: list[SendPermit] = []
    thread = threading.Thread(target=lambda: permits.append(gate.enter(entry(0))))
    thread.start()
    thread.join()
    halt.blocked = True
    began = time.monotonic()
    assert gate.close_and_wait(25) == ("sg-1",)
    assert 0.02 < time.monotonic() - began < 10
    with pytest.raises(TradingHaltedError):
        permits[0].on_wire()
    assert permits[0].refused
    assert not permits[0].left


def test_a_trip_waits_for_a_sender_to_reach_the_wire_and_lists_it() -> None:
    halt = Halt()
    gate = halt.gate()
    inside = threading.Event()

    def send() -> None:
        permit = gate.enter(entry(0))
        inside.set()
        time.sleep(0.02)
        permit.leave()
        permit.away()

    thread = threading.Thread(target=send)
    thread.start()
    inside.wait()
    halt.blocked = True
    assert gate.close_and_wait(60_000) == ("sg-1",)
    assert gate.fenced == 0
    thread.join()


def test_a_trip_does_not_wait_for_the_answer() -> None:
    halt = Halt()
    gate = halt.gate()
    permit = gate.enter(entry(0))
    permit.leave()
    permit.away()
    halt.blocked = True
    began = time.monotonic()
    assert gate.close_and_wait(60_000) == ("sg-1",)
    assert time.monotonic() - began < 30
    permit.done()
    assert gate.close_and_wait(60_000) == ()


def test_a_trip_on_the_senders_own_thread_fences_at_once() -> None:
    halt = Halt()
    gate = halt.gate()
    permit = gate.enter(entry(0))
    halt.blocked = True
    began = time.monotonic()
    gate.close_and_wait(60_000)
    assert time.monotonic() - began < 30
    with pytest.raises(TradingHaltedError):
        permit.leave()


async def test_on_a_loop_a_send_is_away_once_the_write_is_behind_it() -> None:
    halt = Halt()
    gate = halt.gate()
    permit = gate.enter(entry(0))
    permit.on_wire()
    halt.blocked = True
    results: list[tuple[str, ...]] = []
    trip = threading.Thread(target=lambda: results.append(gate.close_and_wait(60_000)))
    trip.start()
    time.sleep(0.05)  # noqa: ASYNC251 - the loop is held on purpose: the write is not done yet
    assert not results
    await asyncio.to_thread(trip.join)
    assert results == [("sg-1",)]


@pytest.mark.parametrize("purpose", [p for p in OrderPurpose if p is not OrderPurpose.ENTRY])
def test_reductions_pass_while_entries_are_blocked(purpose: OrderPurpose) -> None:
    halt = Halt()
    gate = halt.gate()
    halt.blocked = True
    gate.enter(GateIntent("sg-2", "BTCUSDT", purpose, 0)).done()


@pytest.mark.parametrize("purpose", [p for p in OrderPurpose if p is not OrderPurpose.ENTRY])
def test_reductions_do_not_pass_on_positions_that_cannot_be_trusted(purpose: OrderPurpose) -> None:
    halt = Halt()
    gate = halt.gate()
    halt.blocked, halt.trusted = True, False
    with pytest.raises(TradingHaltedError):
        gate.enter(GateIntent("sg-2", "BTCUSDT", purpose, 0))


def test_a_stop_needs_no_fresh_data_and_a_sale_does_while_halted() -> None:
    halt = Halt()
    gate = halt.gate()
    halt.blocked, halt.fresh = True, False
    gate.enter(GateIntent("sg-2", "BTCUSDT", OrderPurpose.PROTECTIVE_STOP, 0)).done()
    with pytest.raises(TradingHaltedError):
        gate.enter(GateIntent("sg-3", "BTCUSDT", OrderPurpose.EXIT, 0))


@pytest.mark.parametrize(
    ("change", "rule"),
    [({"epoch": 1}, "epoch"), ({"fresh": False}, "data_stale")],
)
def test_entries_are_refused_by_name(change: dict[str, Any], rule: str) -> None:
    halt = Halt()
    gate = halt.gate()
    for name, value in change.items():
        setattr(halt, name, value)
    with pytest.raises(DecisionRejectedError) as refusal:
        gate.enter(entry(0))
    assert refusal.value.rule == rule


def test_an_expired_decision_does_not_enter() -> None:
    gate = Halt().gate()
    with pytest.raises(DecisionRejectedError):
        gate.enter(GateIntent("sg-1", "BTCUSDT", OrderPurpose.ENTRY, 0, deadline_ms=0))


@pytest.mark.parametrize("aged", ["deadline", "data", "epoch"])
def test_an_entry_that_aged_between_admission_and_wire_is_not_sent(aged: str) -> None:
    halt = Halt()
    gate = halt.gate()
    permit = gate.enter(GateIntent("sg-1", "BTCUSDT", OrderPurpose.ENTRY, 0, deadline_ms=1))
    if aged == "deadline":
        halt.now_ms = 1
    elif aged == "data":
        halt.fresh = False
    else:
        halt.epoch = 1
    with pytest.raises(TradingHaltedError):
        permit.leave()
    assert permit.refused
    assert not permit.left
    halt.now_ms, halt.fresh, halt.epoch = 0, True, 0
    with pytest.raises(TradingHaltedError):  # void for good
        permit.leave()
