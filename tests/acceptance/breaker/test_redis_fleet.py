"""Gateways on several machines obey one halt over Redis, whatever happens to it and to them.

Each gateway is a process with a store, a breaker and a gate of its own and senders that never rest;
Redis is a real server, each line to it can be cut, and the venue at the far end takes only what was
signed within its receive window, by the kernel's stamps. In every round a fault and a trip fall
together at a random moment, and then must hold: after ``trigger`` has returned on one machine no
entry of any is taken; whoever lost Redis is TRIGGERED within two seconds; and nobody trades again
until operators have cleared.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fleet import DEFAULT_TIMING, SHORT_TIMING, Fleet, Timing, Trip, fleet, until
from fleet_gateway import real_ns
from proofs import FULL, Held, record, rounds
from redis_server import needs_redis

pytestmark = [needs_redis, pytest.mark.timeout(rounds(240, 3_600))]

SECTION = "Gateways on several machines obey one halt over Redis"
TIMING = DEFAULT_TIMING if FULL else SHORT_TIMING
TRIPS = rounds(quick=10, full=300)
FAULTS = rounds(quick=1, full=20)
MUTANT_TRIPS = 40
MUTANT_ROUNDS = 10  # at most; the first that is caught is enough
SEED = 20_240_805
NAMES = ("a", "b", "c")
HALTED_WITHIN_S = 2.0
BUSY_HALTED_WITHIN_S = rounds(quick=15.0, full=2.0)  # other tests run beside the quick form
BUSY_TRIES = rounds(quick=5, full=1)

Fault = Callable[[Fleet, random.Random], list[str]]
"""Brings about one fault amid trading and returns what went wrong; the fault is over at its end."""


@pytest.fixture(scope="module")
def trading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("fleet"), *NAMES, timing=TIMING) as made:
        yield made


# What is judged. --------------------------------------------------------------------------------


def judge(made: Fleet, trip: Trip, fault_ns: int, names: tuple[str, ...] = NAMES) -> list[str]:
    """What was taken after the trip had returned; else who was not TRIGGERED within two seconds of
    the fault. Where a trip says that it could not reach the others, they have those two seconds."""
    since_ns = trip.returned_ns
    late = 0 if trip.unconfirmed else made.taken_since(since_ns)
    problems = [f"{late} entries taken after the trip had returned"] if late else []
    problems = problems or not_halted(made, fault_ns, names)
    if trip.unconfirmed:
        since_ns = real_ns()
    late = made.taken_since(since_ns)
    return problems or ([f"{late} entries taken in the halt"] if late else [])


def not_halted(made: Fleet, fault_ns: int, names: tuple[str, ...]) -> list[str]:
    within_s = HALTED_WITHIN_S if made.mutant else BUSY_HALTED_WITHIN_S
    deadline_ns = fault_ns + int(within_s * 1e9)
    for name in names:
        while (halted_ns := made[name].halted_at_ns(fault_ns)) is None and real_ns() < deadline_ns:
            time.sleep(0.01)
        if halted_ns is None or halted_ns > deadline_ns:
            return [f"{name} not TRIGGERED within {within_s:g} s"]
    return []


def resumed_by_itself(made: Fleet) -> list[str]:
    """Who is not TRIGGERED any more once all is well again."""
    time.sleep(3 * made.timing.renew_interval_ms / 1000)
    states = {name: made[name].state()["status"] for name in NAMES}
    return [f"{name} is {status}" for name, status in states.items() if status != "TRIGGERED"]


def judged(made: Fleet, fault: Fault, times: int) -> list[str]:
    """What went wrong in ``times`` rounds, up to the first in which something did."""
    for number in range(times):
        problems = fault(made, random.Random(SEED + number))
        if problems:
            return [f"{each} (seed {SEED + number})" for each in problems]
        made.clear_all()
    return []


def with_mutant(folder: Path, mutant: str, fault: Fault) -> list[str]:
    """What goes wrong with ``mutant`` in place of every gateway."""
    with fleet(folder, *NAMES, timing=SHORT_TIMING, mutant=mutant) as mutants:
        return judged(mutants, fault, MUTANT_ROUNDS)


# Trips without a fault. --------------------------------------------------------------------------


def trip_rounds(made: Fleet, trips: int) -> tuple[int, int]:
    """(late entries, trips that were not confirmed) over ``trips`` trips, some two at a time; it
    ends with the first that is late."""
    rng = random.Random(SEED)
    late = unconfirmed = 0
    for _ in range(trips):
        if late:
            break
        first, second, third = rng.sample([made[name] for name in NAMES], 3)
        third.line.slow_down(answers_s=rng.random() * 0.03)
        time.sleep(rng.random() * 0.02)
        if rng.random() < 0.2:
            first.begin("trip", reason="crash seen by both")
            second.begin("trip", reason="crash seen by both")
            ended = [first.trip_ended(), second.trip_ended()]
            trip = min(ended, key=lambda each: each.returned_ns)
        else:
            trip = first.trip()
        late += made.taken_since(trip.returned_ns)
        unconfirmed += bool(trip.unconfirmed)
        third.line.mend()
        made.clear_all()
    return late, unconfirmed


def test_no_machine_sends_an_entry_after_a_trip_on_another_has_returned(
    trading: Fleet, tmp_path: Path
) -> None:
    assert trip_rounds(trading, TRIPS) == (0, 0), f"seed {SEED}"
    with fleet(tmp_path, *NAMES, timing=SHORT_TIMING, mutant="no wait for the others") as mutants:
        caught, _ = trip_rounds(mutants, MUTANT_TRIPS)
    assert caught, "no wait for the others: nothing went wrong"
    record(
        Held(
            section=SECTION,
            guarantee="after a trip on one machine has returned, none of three sends an entry",
            trials=TRIPS,
            unit="trips",
            violations=0,
            mutant="a trip that does not wait for the others",
            caught=f"{caught} entries after a trip",
        )
    )


# Faults. ----------------------------------------------------------------------------------------


def partition(made: Fleet, rng: random.Random) -> list[str]:
    """One gateway is cut off, silently or with its connections reset."""
    line = made["a"].line
    fault_ns = real_ns()
    line.cut() if rng.random() < 0.5 else line.break_off()
    time.sleep(rng.random() * made.timing.lease_ms / 1000)
    problems = judge(made, made["b"].trip(), fault_ns)
    line.mend()
    return problems or resumed_by_itself(made)


def stopped_gateway(made: Fleet, rng: random.Random) -> list[str]:
    """One gateway is stopped, and goes on when the others have halted."""
    made["a"].send_signal(signal.SIGSTOP)
    time.sleep(rng.random() * made.timing.lease_ms / 1000)
    trip = made["b"].trip()
    fault_ns = real_ns()
    made["a"].send_signal(signal.SIGCONT)
    return judge(made, trip, fault_ns, ("a",)) or resumed_by_itself(made)


def restarted_redis(made: Fleet, rng: random.Random) -> list[str]:
    """Redis dies and comes back empty, around the time of a trip."""
    made["a"].line.slow_down(answers_s=0.03)
    fault_ns = real_ns()
    made.redis.stop()
    is_tripped_first = rng.random() < 0.3
    if not is_tripped_first:
        made.redis.start()
        time.sleep(rng.random() * 0.03)
    trip = made["b"].trip()
    if is_tripped_first:
        made.redis.start()
    problems = judge(made, trip, fault_ns) or resumed_by_itself(made)
    made["a"].line.mend()
    return problems


def forgotten_halt(made: Fleet, rng: random.Random) -> list[str]:
    """Redis dies and comes back empty, and nobody trips by himself."""
    fault_ns = real_ns()
    made.redis.stop()
    time.sleep(rng.random() * 0.05)
    made.redis.start()
    return not_halted(made, fault_ns, NAMES) or resumed_by_itself(made)


def stopped_redis(made: Fleet, rng: random.Random) -> list[str]:
    """Redis is stopped for longer than any lease, then goes on with what it has received."""
    fault_ns = real_ns()
    made.redis.send(signal.SIGSTOP)
    time.sleep(rng.random() * made.timing.lease_ms / 1000)
    problems = judge(made, made["b"].trip(), fault_ns)
    made.redis.send(signal.SIGCONT)
    return problems or resumed_by_itself(made)


def flushed_redis(made: Fleet, rng: random.Random) -> list[str]:
    """FLUSHALL, often while one gateway is cut off with a lease that Redis forgets."""
    line = made["a"].line
    if rng.random() < 0.8:
        line.cut()
    fault_ns = real_ns()
    made.redis.client.flushall()
    time.sleep(rng.random() * 0.05)
    problems = judge(made, made["b"].trip(), fault_ns)
    line.mend()
    return problems or resumed_by_itself(made)


def stepped_clock(made: Fleet, rng: random.Random) -> list[str]:
    """One gateway's wall clock is set: that alone halts nobody, and lengthens no lease."""
    line = made["a"].line
    fault_ns = real_ns()
    line.cut()
    made["a"].do("set_wall_clock", step_s=-3_600.0)
    time.sleep(rng.random() * made.timing.lease_ms / 1000)
    problems = judge(made, made["b"].trip(), fault_ns)
    line.mend()
    problems = problems or resumed_by_itself(made)
    if problems:
        return problems
    for step_s in (3_600.0, -3_600.0, 3_600.0):  # in the end it is right again
        if reason := made.stopped_by_a_step("a", step_s, tries=BUSY_TRIES):
            return [f"a step of {step_s:+.0f} s stops trading: {reason}"]
    return []


FAULTS_AND_MUTANTS = [
    ("a gateway that is cut off obeys, by its lease", partition, "goes on without Redis"),
    ("a gateway that was stopped sends nothing when it goes on", stopped_gateway, "no lease"),
    ("Redis restarts empty around a trip", restarted_redis, "no wait for the others"),
    ("Redis restarts empty", forgotten_halt, "takes an emptied Redis at its word"),
    ("Redis is stopped beyond the lease", stopped_redis, "goes on without Redis"),
    ("FLUSHALL", flushed_redis, "the list trusted after data loss"),
    ("a wall clock is set by an hour, both ways", stepped_clock, "lease on the wall clock"),
]


@pytest.mark.parametrize(("guarantee", "fault", "mutant"), FAULTS_AND_MUTANTS)
def test_all_halt_and_no_entry_is_taken_after_a_trip_amid_a_fault(
    trading: Fleet, tmp_path: Path, guarantee: str, fault: Fault, mutant: str
) -> None:
    with ThreadPoolExecutor(1) as beside:  # both wait most of the time
        broken = beside.submit(with_mutant, tmp_path, mutant, fault)
        assert judged(trading, fault, FAULTS) == []
        caught = broken.result()
    assert caught, f"{mutant}: nothing went wrong"
    record(
        Held(
            section=SECTION,
            guarantee=f"{guarantee}: all halt within 2 s, no entry after a trip has returned",
            trials=FAULTS,
            unit="faults",
            violations=0,
            mutant=mutant,
            caught=caught[0],
        )
    )


# Moments that chance would seldom find. ----------------------------------------------------------


def slow_answer(folder: Path, mutant: str | None) -> list[str]:
    """Redis takes 200 ms to answer, and a trip falls between an answer and its arrival."""
    timing = Timing(500, 50, 400, recv_window_ms=100, wire_ms=30, unlisted_lease_ms=500)
    with fleet(folder, "a", "b", timing=timing, mutant=mutant) as made:
        made["b"].trip()  # waits until the list of members counts
        made.clear_all()
        line = made["a"].line
        line.slow_down(answers_s=0.2)
        time.sleep(0.3)
        made.clear_all()
        asked = line.requests
        until(lambda: line.requests > asked, "a renewal")
        line.hold(lambda _: True)
        problems = judge(made, made["b"].trip(), real_ns(), ("a", "b"))
        line.mend()
        return problems


def entry_in_hand(folder: Path, mutant: str | None) -> list[str]:
    """A gateway that is cut off is stopped just before its lease ends, between its last look at the
    lease and the write of an entry that it has signed."""
    timing = Timing(500, 100, 250, recv_window_ms=1_000, wire_ms=1_200, unlisted_lease_ms=0)
    with fleet(folder, "a", "b", timing=timing, mutant=mutant) as made:
        made["b"].trip()
        made.clear_all()
        made["a"].do("stop_in_hand", before_lease_end_ms=250)
        made["a"].line.cut()
        trip = made["b"].trip()
        until(made["a"].is_stopped, "a is stopped with an entry in hand")
        continued_ns = real_ns()
        made["a"].send_signal(signal.SIGCONT)
        problems = judge(made, trip, continued_ns, ("a",))
        if not problems and not made.venue.refused:
            return ["the entry in hand never came"]
        return problems


def late_clear(folder: Path, mutant: str | None) -> list[str]:
    """The clearing of one trip reaches Redis after another gateway has tripped again."""
    with fleet(folder, "a", "b", timing=SHORT_TIMING, mutant=mutant) as made:
        made["b"].trip()
        made.clear_all()  # Redis knows the script now
        made["a"].trip()
        line = made["a"].line
        line.hold(lambda sent: b"EVALSHA" in sent and b"member:" not in sent)  # all but a clear
        made["a"].do("clear")
        until(lambda: line.held, "the clear is on its way")
        trip = made["b"].trip()
        passed = line.requests
        line.mend()
        until(lambda: line.requests > passed + 2, "the clear has arrived")
        made.add("c", mutant=mutant)
        time.sleep(0.2)
        late = made.taken_since(trip.returned_ns)
        return [f"{late} entries of a newcomer amid another gateway's halt"] if late else []


@pytest.mark.parametrize(
    ("guarantee", "scenario", "mutant"),
    [
        ("a lease counts from before the request", slow_answer, "lease counted from the reply"),
        ("a trip outlasts what the venue still takes", entry_in_hand, "no time for the wire"),
        ("a clear ends its own halt only", late_clear, "clear without compare-and-set"),
    ],
)
def test_the_worst_moment_lets_no_entry_out(
    tmp_path: Path,
    guarantee: str,
    scenario: Callable[[Path, str | None], list[str]],
    mutant: str,
) -> None:
    times = rounds(quick=1, full=20)

    def with_the_mutant() -> list[str]:
        tries = (scenario(tmp_path / f"mutant-{number}", mutant) for number in range(5))
        return next(filter(None, tries), [])

    with ThreadPoolExecutor(1) as beside:
        broken = beside.submit(with_the_mutant)
        for number in range(times):
            assert scenario(tmp_path / str(number), None) == []
        caught = broken.result()
    assert caught, f"{mutant}: nothing went wrong"
    record(
        Held(
            section=SECTION,
            guarantee=guarantee,
            trials=times,
            unit="trips at the worst moment",
            violations=0,
            mutant=mutant,
            caught=caught[0],
        )
    )


# Recovery. --------------------------------------------------------------------------------------

LONG_ENOUGH = 300.0
"""Minutes of a calm market that end any cool-down."""
DAY = 25 * 60.0
"""Minutes after which earlier trips count no more for the latch."""


def test_only_the_rules_end_a_halt_and_the_tripping_gateway_first(trading: Fleet) -> None:
    a, b = trading["a"], trading["b"]
    for gateway in (a, b):
        gateway.do("let_market_time_pass", minutes=DAY)
    a.trip("crash")
    assert b.do("let_market_time_pass", minutes=LONG_ENOUGH)["status"] == "TRIGGERED"
    assert "a halts all gateways: crash" in b.state()["halted_elsewhere"]
    assert a.do("let_market_time_pass", minutes=LONG_ENOUGH)["status"] == "RECOVERING"
    until(lambda: b.state()["halted_elsewhere"] is None, "a clears its own halt of the fleet")
    assert b.state()["status"] == "TRIGGERED"
    assert b.do("let_market_time_pass", minutes=LONG_ENOUGH)["status"] == "RECOVERING"
    trading.clear_all()


def test_no_rule_ends_a_halt_while_redis_is_out_of_reach(trading: Fleet) -> None:
    a = trading["a"]
    a.do("let_market_time_pass", minutes=DAY)
    trading.redis.send(signal.SIGSTOP)
    until(lambda: a.state()["status"] == "TRIGGERED", "a is halted")
    assert a.do("let_market_time_pass", minutes=LONG_ENOUGH)["status"] == "TRIGGERED"
    trading.redis.send(signal.SIGCONT)
    until(lambda: a.state()["halted_elsewhere"] is None, "a is in touch again")
    assert a.state()["status"] == "TRIGGERED"
    assert a.do("let_market_time_pass", minutes=LONG_ENOUGH)["status"] == "RECOVERING"
    trading.clear_all()
