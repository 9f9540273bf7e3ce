"""Many threads, listeners that call back, and the order of a trip's steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from trading.clock import VirtualClock
from trading.errors import BreakerError
from trading.model.breaker import Actor, BreakerSnapshot, BreakerStatus
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_listeners import ChangeNotifier, EntryBlock
from trading.risk.breaker_store import BreakerStore
from trading.risk.circuit_breaker import (
    CircuitBreaker,
    get_circuit_breaker_state,
    install_circuit_breaker,
)
from trading.storage.config import StorageConfig

TIMEOUT_S = 10.0


def within(seconds: float, work: Callable[[], object]) -> bool:
    """Whether ``work`` ends in time; a deadlock leaves its daemon thread behind."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


@pytest.mark.timeout(60)
def test_sixteen_threads_that_trip_warn_ease_and_read_all_come_to_an_end(
    breaker: CircuitBreaker,
) -> None:
    trips: list[int] = []
    seen: list[BreakerSnapshot] = []

    def work(number: int) -> None:
        for turn in range(25):
            kind = (number + turn) % 4
            if kind == 0:
                trips.append(breaker.trigger(f"cause {number}", actor=Actor.SYSTEM).epoch)
                continue
            try:
                if kind == 1:
                    breaker.set_warning("early sign", actor=Actor.LLM)
                elif kind == 2:
                    breaker.clear(
                        actor=Actor.OPERATOR,
                        reason="next",
                        epoch=breaker.snapshot.epoch,
                        force=True,
                    )
            except BreakerError:
                continue
            for _ in range(50):
                seen.append(breaker.snapshot)
            breaker.get_full_state()
            breaker.get_trigger_info()

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(16)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 40
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads)
    assert sorted(trips) == list(range(1, len(trips) + 1))  # every trip its own epoch
    assert breaker.snapshot.epoch == len(trips)
    for snapshot in seen:
        assert (snapshot.status is BreakerStatus.TRIGGERED) == (snapshot.size_multiplier == 0)


def calls_back(breaker: CircuitBreaker) -> Callable[..., None]:
    """A listener that does everything a careless one may do."""

    def listener(previous: BreakerSnapshot, current: BreakerSnapshot) -> None:
        breaker.get_status()
        breaker.get_stats()
        breaker.get_trigger_info()
        if current.epoch == 1:
            breaker.trigger("from within the listener")
            with ThreadPoolExecutor(1) as pool:  # and waits for another thread that does the same
                pool.submit(breaker.trigger, "from a thread the listener waits for").result()

    return listener


def test_a_listener_may_call_back_and_wait_for_a_thread_that_does(
    breaker: CircuitBreaker,
) -> None:
    breaker.subscribe(calls_back(breaker))
    assert within(TIMEOUT_S, lambda: breaker.trigger("fall"))
    assert breaker.snapshot.epoch == 3


class _TellsUnderTheLock(CircuitBreaker):
    """Delivers changes while it holds the lock, as public bots do."""

    def _commit_trip_locked(self, make: Any, seen: Any) -> Any:
        transition = super()._commit_trip_locked(make, seen)
        self._notifier.deliver()
        return transition


def test_a_breaker_that_tells_listeners_under_its_lock_deadlocks_in_this_test(
    storage: StorageConfig, clock: VirtualClock, open_breaker: Callable[..., CircuitBreaker]
) -> None:
    breaker = _TellsUnderTheLock(CircuitBreakerConfig(), clock, BreakerStore.open(storage))
    breaker.subscribe(calls_back(breaker))
    assert not within(0.5, lambda: breaker.trigger("fall"))


def test_changes_arrive_in_order_even_when_a_listener_makes_new_ones() -> None:
    def snapshot(epoch: int) -> BreakerSnapshot:
        return BreakerSnapshot(
            status=BreakerStatus.TRIGGERED, epoch=epoch, changed_at_ms=0, size_multiplier=0
        )

    notifier = ChangeNotifier()
    seen: list[tuple[str, int]] = []

    def first(previous: BreakerSnapshot, current: BreakerSnapshot) -> None:
        seen.append(("first", current.epoch))
        if current.epoch == 1:
            notifier.enqueue(current, snapshot(2))
            notifier.deliver()
        raise RuntimeError("and then it fails")

    notifier.subscribe(first)
    notifier.subscribe(lambda previous, current: seen.append(("second", current.epoch)))
    notifier.enqueue(snapshot(0), snapshot(1))
    notifier.deliver()
    assert seen == [("first", 1), ("second", 1), ("first", 2), ("second", 2)]


def test_entries_are_blocked_before_the_barrier_runs_and_the_barrier_before_the_commit(
    breaker: CircuitBreaker,
) -> None:
    steps: list[tuple[bool, BreakerStatus]] = []

    def barrier() -> tuple[str, ...]:
        steps.append((breaker.entries_blocked, breaker.get_status()))
        return ("sg-1", "sg-2")

    breaker.add_trip_listener(barrier)
    receipt = breaker.trigger("fall")
    assert steps == [(True, BreakerStatus.SAFE)]
    assert receipt.in_flight == ("sg-1", "sg-2")
    info = breaker.get_trigger_info()
    assert info is not None
    assert info["details"] == {"in_flight": ["sg-1", "sg-2"]}


def test_a_barrier_that_fails_or_trips_does_not_stop_the_trip(breaker: CircuitBreaker) -> None:
    def failing() -> tuple[str, ...]:
        breaker.trigger("from within the barrier")
        raise RuntimeError("no answer")

    breaker.add_trip_listener(failing)
    breaker.add_trip_listener(lambda: ("sg-1",))
    assert breaker.trigger("fall").in_flight == ("sg-1",)
    info = breaker.get_trigger_info()
    assert info is not None
    assert info["details"]["barrier_errors"] == ["RuntimeError: no answer"]


def test_an_easing_that_is_published_during_a_trip_does_not_lift_the_block() -> None:
    block = EntryBlock()
    block.begin_trip()
    block.publish(by_state=False)
    assert block.blocked
    block.publish(by_state=True)
    block.end_trip()
    assert block.blocked
    block.publish(by_state=False)
    assert not block.blocked


def test_the_installed_breaker_is_the_process_wide_one(breaker: CircuitBreaker) -> None:
    install_circuit_breaker(None)
    with pytest.raises(BreakerError):
        get_circuit_breaker_state()
    install_circuit_breaker(breaker)
    try:
        assert get_circuit_breaker_state() is breaker
    finally:
        install_circuit_breaker(None)
