"""A guardian that hangs, is paused or hears nothing is a trip; workers notice it by themselves.

The core is the real process beside a real exchange; only its loops can be made to hang.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from live_instance import LiveInstance, eventually, live_instance, start_hanging_cores
from proofs import Held, record, rounds

from trading.api.schemas import ClearCommand
from trading.errors import SpikeguardError
from trading.model.breaker import BreakerSnapshot, BreakerStatus
from trading.node.pulse import SILENCE_LIMIT_MS

ROUNDS = rounds(1, 5)
STALE_AFTER_MS = 1_500
SLACK_S = rounds(8.0, 2.0)  # for a loop that comes round four times a second on a busy machine


@pytest.fixture(autouse=True)
def core_that_can_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    start_hanging_cores(monkeypatch)


@contextmanager
def instance_in(folder: Path, *, watched: bool = True) -> Iterator[tuple[LiveInstance, Path]]:
    folder.mkdir()
    if not watched:
        (folder / "unwatched").touch()
    with live_instance(
        folder, with_workers=False, crash_detection__stale_after_ms=STALE_AFTER_MS
    ) as running:
        yield running, folder


def read(instance: LiveInstance) -> BreakerSnapshot:
    """As a worker reads it before every action."""
    return instance.worker.breaker_snapshot()


def be_safe(instance: LiveInstance) -> None:
    """Clear until it stays clear: a loop that has only just come back has not beaten yet."""

    def cleared() -> bool:
        snapshot = read(instance)
        if snapshot.status is not BreakerStatus.SAFE:
            command = ClearCommand(reason="next", epoch=snapshot.epoch, force=True)
            try:
                instance.operator.clear(command)
            except SpikeguardError:  # another trip came between, or it still hangs
                return False
        time.sleep(0.6)
        return read(instance).status is BreakerStatus.SAFE

    eventually(cleared, 30, "the breaker is SAFE")


def workers_notice(instance: LiveInstance, since: float) -> list[str]:
    """From the time-out of the heartbeat on, every read says TRIGGERED."""
    timeout_s = instance.loaded.config.circuit_breaker.heartbeat_timeout_ms / 1000
    wrong = 0
    while (begun := time.monotonic()) < since + timeout_s + 0.5:
        snapshot = read(instance)
        wrong += begun > since + timeout_s + 0.1 and snapshot.status is not BreakerStatus.TRIGGERED
        time.sleep(0.005)
    return [f"{wrong} reads were not unsafe beside a core that does not beat"] if wrong else []


def trips(instance: LiveInstance, why: str, within_s: float) -> list[str]:
    """The core itself has tripped, for that reason."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        snapshot = read(instance)
        if snapshot.status is BreakerStatus.TRIGGERED and why in snapshot.reason:
            return []
        time.sleep(0.02)
    return [f"no trip for {why!r} within {within_s:g} s, but {read(instance).reason!r}"]


def a_paused_core(instance: LiveInstance, folder: Path) -> list[str]:
    core = instance.supervisor.process_id("core")
    os.kill(core, signal.SIGSTOP)
    begun = time.monotonic()
    wrong = workers_notice(instance, begun)
    time.sleep(max(0.0, begun + SILENCE_LIMIT_MS / 1000 + 0.2 - time.monotonic()))
    os.kill(core, signal.SIGCONT)
    return wrong + trips(instance, "stood still", SLACK_S)


def an_order_path_that_hangs(instance: LiveInstance, folder: Path) -> list[str]:
    (folder / "orders").touch()
    return trips(instance, "the order path stood still", SILENCE_LIMIT_MS / 1000 + SLACK_S)


def a_guardian_that_hangs(instance: LiveInstance, folder: Path) -> list[str]:
    (folder / "guardian").touch()
    eventually(lambda: not (folder / "guardian").exists(), 30, "the guardian hangs")
    begun = time.monotonic()
    wrong = workers_notice(instance, begun)
    return wrong + trips(instance, "the guardian stood still", SILENCE_LIMIT_MS / 1000 + SLACK_S)


def a_silent_feed(instance: LiveInstance, folder: Path) -> list[str]:
    exchange = instance.supervisor.process_id("exchange")
    os.kill(exchange, signal.SIGSTOP)
    try:
        return trips(instance, "market data is unsafe: stale", STALE_AFTER_MS / 1000 + SLACK_S)
    finally:
        os.kill(exchange, signal.SIGCONT)


Scenario = Callable[[LiveInstance, Path], list[str]]
SCENARIOS: tuple[Scenario, ...] = (
    a_paused_core,
    an_order_path_that_hangs,
    a_guardian_that_hangs,
    a_silent_feed,
)
# Without a watch each runs into its time: one is enough where time is short.
MUTANT_SCENARIOS = SCENARIOS[1 : rounds(2, 4)]


def play(scenarios: tuple[Scenario, ...], folder: Path, *, watched: bool = True) -> list[str]:
    wrong = []
    with instance_in(folder, watched=watched) as (instance, place):
        for _ in range(ROUNDS if watched else 1):
            for scenario in scenarios:
                be_safe(instance)
                wrong += [f"{scenario.__name__}: {text}" for text in scenario(instance, place)]
    return wrong


@pytest.mark.timeout(240)
def test_a_guardian_that_hangs_is_paused_or_hears_nothing_is_a_trip(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:  # they mostly wait
        one = pool.submit(play, SCENARIOS[:2], tmp_path / "one")
        other = pool.submit(play, SCENARIOS[2:], tmp_path / "other")
        blind = pool.submit(play, MUTANT_SCENARIOS, tmp_path / "blind", watched=False)
        wrong = one.result() + other.result()
        missed = blind.result()
    assert not wrong, "\n".join(wrong)
    assert len(missed) == len(MUTANT_SCENARIOS)
    record(
        Held(
            section="Heartbeat",
            guarantee="a loop without a heartbeat for 3 s, a paused core and a feed silent beyond "
            "its limit are trips; workers read a core that does not beat as TRIGGERED",
            trials=ROUNDS * len(SCENARIOS),
            unit="hung, paused or deaf cores",
            violations=len(wrong),
            mutant="nobody watches the loops and the feed",
            caught=f"{len(missed)} of {len(MUTANT_SCENARIOS)} not noticed",
        )
    )
