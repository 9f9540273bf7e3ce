"""Trips against gateways in other processes on the same store, judged by the kernel's stamps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proofs import Held, record, rounds, until_late
from wire_recorder import Halts, WireRecorder

from trading.clock import DAY_MS, VirtualClock
from trading.model.breaker import Actor
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.config import StorageConfig

SECTION = "A trip stops every process on its store"
START_MS = 1_760_000_000_000
SUPPORT = Path(__file__).parents[2] / "support"
GATEWAYS = 4
TRIPS = rounds(quick=120, full=10_000)
MUTANT_TRIPS = 60
HELD_S = 0.002
REOPENED_S = 0.012  # the gateways look every 5 ms whether they may send again


@contextmanager
def gateways(
    storage: StorageConfig, recorder: WireRecorder, modes: list[str]
) -> Iterator[list[subprocess.Popen[str]]]:
    host, port = recorder.address
    children = [
        subprocess.Popen(
            [
                sys.executable,
                str(SUPPORT / "gateway_process.py"),
                *(str(storage.path), host, str(port), str(number), mode),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for number, mode in enumerate(modes)
    ]
    try:
        for child in children:
            assert line_of(child) == "ready"
        for child in children:
            say(child, "go")
        yield children
    finally:
        for child in children:
            assert child.stdin is not None
            assert child.stdout is not None
            child.send_signal(signal.SIGCONT)
            child.stdin.close()
        for child in children:
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            child.stdout.close()  # type: ignore[union-attr]  # asked above


def line_of(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def say(child: subprocess.Popen[str], line: str) -> None:
    assert child.stdin is not None
    child.stdin.write(line + "\n")
    child.stdin.flush()


@contextmanager
def open_breaker(
    directory: Path, **settings: int
) -> Iterator[tuple[CircuitBreaker, VirtualClock, StorageConfig]]:
    clock = VirtualClock(START_MS)
    storage = StorageConfig(path=directory / "store.sqlite3")
    create_store(storage, clock)
    config = CircuitBreakerConfig(max_trips_24h=100, **settings)
    breaker = CircuitBreaker.open(config, clock, storage)
    try:
        yield breaker, clock, storage
    finally:
        breaker.close()


def race(directory: Path, mode: str, trips: int) -> tuple[int, int]:
    """(late orders, all orders) of four gateway processes against trips of this one."""
    recorder = WireRecorder()
    halts = Halts()
    with open_breaker(directory) as (breaker, clock, storage):
        with gateways(storage, recorder, [mode] * GATEWAYS):
            for _ in range(trips):
                time.sleep(REOPENED_S)
                receipt = breaker.trigger("race", actor=Actor.RULE)
                halts.returned(receipt.in_flight)
                assert receipt.unconfirmed == ()
                time.sleep(HELD_S)
                halts.clearing()
                clock.advance_to(clock.now_ms() + DAY_MS)
                breaker.clear(actor=Actor.OPERATOR, reason="again", epoch=receipt.epoch, force=True)
        recorder.close()
    return len(halts.late(recorder.arrivals)), len(recorder.arrivals)


def test_no_order_of_another_process_leaves_after_a_trip_has_returned(tmp_path: Path) -> None:
    late, sent = race(tmp_path / "sound", "sound", TRIPS)
    mutant, raced = until_late(
        tmp_path, MUTANT_TRIPS, lambda at: race(at, "unfenced", MUTANT_TRIPS)
    )
    assert sent > TRIPS / 10, "the gateways got their chance"
    assert mutant > 0, "the gateway without the fence wins this race: it is too slow to judge"
    record(
        Held(
            section=SECTION,
            guarantee=f"no order of {GATEWAYS} other gateway processes leaves after `trigger()` "
            "has returned in this one",
            trials=TRIPS,
            unit="trips",
            violations=late,
            mutant="only the journal's transaction obeys the others",
            caught=f"{mutant} late orders in {raced} trips",
        )
    )


def test_a_process_stopped_before_the_fence_sends_nothing_when_it_goes_on(tmp_path: Path) -> None:
    recorder = WireRecorder()
    with (
        open_breaker(tmp_path, foreign_fence_timeout_ms=30_000) as (breaker, _, storage),
        gateways(storage, recorder, ["held-before-fence"]) as (child,),
    ):
        assert line_of(child).startswith("held")
        os.kill(child.pid, signal.SIGSTOP)
        began = time.monotonic()
        receipt = breaker.trigger("crash", actor=Actor.RULE)
        assert time.monotonic() - began < 15, "a sender that is not at the wire is not waited for"
        assert receipt.unconfirmed == ()
        os.kill(child.pid, signal.SIGCONT)
        say(child, "go on")
        assert line_of(child).startswith("refused too late at the wire")
    recorder.close()
    assert recorder.arrivals == []


def test_a_process_stopped_at_the_wire_is_waited_for_and_then_named(tmp_path: Path) -> None:
    recorder = WireRecorder()
    with (
        open_breaker(tmp_path, foreign_fence_timeout_ms=200) as (breaker, _, storage),
        gateways(storage, recorder, ["held-in-fence"]) as (child,),
    ):
        order_id = line_of(child).removeprefix("held ")
        os.kill(child.pid, signal.SIGSTOP)
        began = time.monotonic()
        receipt = breaker.trigger("crash", actor=Actor.RULE)
        assert 0.2 <= time.monotonic() - began < 15
        assert receipt.unconfirmed == (order_id,)
    recorder.close()


def test_a_process_killed_at_the_wire_is_not_waited_for(tmp_path: Path) -> None:
    recorder = WireRecorder()
    with (
        open_breaker(tmp_path, foreign_fence_timeout_ms=30_000) as (breaker, _, storage),
        gateways(storage, recorder, ["held-in-fence"]) as (child,),
    ):
        assert line_of(child).startswith("held")
        child.kill()
        child.wait()
        began = time.monotonic()
        assert breaker.trigger("crash", actor=Actor.RULE).unconfirmed == ()
        assert time.monotonic() - began < 15
    recorder.close()
