"""Threads of the core that compute do not keep the feed's loop waiting for the interpreter."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from trading.node.pace import keep_the_feeds_pace

TRIES = 60
# By default a computing thread keeps the interpreter for 5 ms, however quiet the machine.
SOON_MS = 3.0


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)
    gc.unfreeze()


def shortest_wait_ms() -> float:
    """For the interpreter, beside a thread that computes: the best of many, so that a busy machine
    takes no part in it."""
    stop = threading.Event()

    def compute() -> None:
        while not stop.is_set():
            sum(value * value for value in range(10_000))

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        waits = []
        for _ in range(TRIES):
            began = time.monotonic()
            time.sleep(0.0005)
            waits.append((time.monotonic() - began) * 1000)
        return min(waits[5:])
    finally:
        stop.set()
        thread.join()


def test_the_interpreter_is_handed_over_long_before_a_trade_would_notice() -> None:
    keep_the_feeds_pace()
    assert shortest_wait_ms() < SOON_MS


def test_what_a_core_is_built_of_takes_no_part_in_full_passes_of_the_collector() -> None:
    before = gc.get_freeze_count()
    keep_the_feeds_pace()
    assert gc.get_freeze_count() > before
    assert gc.isenabled(), "garbage that comes later is still collected"
