"""A process that is killed right after a trip was acknowledged has not forgotten it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from trading.clock import SystemClock
from trading.model.breaker import BreakerStatus
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.config import StorageConfig

CHILD = """
import sys, time
from pathlib import Path
from trading.clock import SystemClock
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.config import StorageConfig

storage = StorageConfig(path=Path(sys.argv[1]))
breaker = CircuitBreaker.open(CircuitBreakerConfig(), SystemClock(), storage)
sys.stdin.readline()
{act}
time.sleep(60)
"""

TRIP = "print(breaker.trigger('fall').epoch, flush=True)"
# Acknowledges from a barrier, which runs before the commit; the commit then waits for the kill.
ACKNOWLEDGE_BEFORE_COMMIT = """
def early():
    print(breaker.snapshot.epoch + 1, flush=True)
    time.sleep(60)
breaker.add_trip_listener(early)
breaker.trigger('fall')
"""


def trip_and_kill(storage: StorageConfig, act: str) -> int:
    """Let a child trip, kill it as soon as it says so; the epoch it acknowledged."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(act=act), str(storage.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write("go\n")
        child.stdin.flush()
        return int(child.stdout.readline())
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdin.close()
        child.stdout.close()


def status_after(tmp_path: Path, act: str, times: int) -> tuple[BreakerStatus, int, int]:
    storage = StorageConfig(path=tmp_path / "store.sqlite3")
    create_store(storage, SystemClock())
    acknowledged = 0
    for _ in range(times):
        acknowledged = trip_and_kill(storage, act)
    breaker = CircuitBreaker.open(CircuitBreakerConfig(), SystemClock(), storage)
    try:
        return breaker.get_status(), breaker.snapshot.epoch, acknowledged
    finally:
        breaker.close()


@pytest.mark.timeout(60)
def test_an_acknowledged_trip_survives_kill_9_every_time(tmp_path: Path) -> None:
    status, epoch, acknowledged = status_after(tmp_path, TRIP, times=4)
    assert (status, epoch, acknowledged) == (BreakerStatus.TRIGGERED, 4, 4)


@pytest.mark.timeout(60)
def test_a_breaker_that_acknowledges_before_the_commit_is_caught(tmp_path: Path) -> None:
    status, epoch, acknowledged = status_after(tmp_path, ACKNOWLEDGE_BEFORE_COMMIT, times=1)
    assert (status, epoch, acknowledged) == (BreakerStatus.SAFE, 0, 1)
