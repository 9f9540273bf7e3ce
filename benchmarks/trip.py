"""How long a trip takes, from the call of ``trigger`` until no more entries are sent.

Senders on the order path's own kind of thread (an event loop, as in the core), and on 16 threads,
send datagrams through the gate as fast as they are paced; the main thread trips. Measured:

- no more sends: the flag is set and the gate's barrier has let the last sender go,
- durable: ``trigger`` has returned; the new epoch is committed with an fsync, and other processes
  on the store are quiet (there are none here, so that is two system calls).

Beside it in the same run: the least that anybody can do, a plain lock around "closed?" and the
send, closed by the same main thread; and one fsync'd SQLite transaction.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from trading.clock import DAY_MS, VirtualClock
from trading.errors import DecisionRejectedError, TradingHaltedError
from trading.execution.gate import Gate, GateIntent
from trading.model.breaker import Actor
from trading.model.order import OrderPurpose
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.config import StorageConfig

TRIPS = 1_000
SENDERS = 16
PACE_S = 0.002  # 16 senders at this pace: up to 8,000 entries a second
START_MS = 1_760_000_000_000


class Wire:
    """A datagram socket that nobody reads."""

    def __init__(self) -> None:
        self._far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._far.bind(("127.0.0.1", 0))
        self._near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._near.connect(self._far.getsockname())
        self.sent = 0

    def send(self) -> None:
        self._near.send(b"an order")
        self.sent += 1


class Guarded:
    """The real breaker and the real gate."""

    name = "breaker and gate"

    def __init__(self, folder: Path) -> None:
        self._clock = VirtualClock(START_MS)
        storage = StorageConfig(path=folder / "store.sqlite3")
        create_store(storage, self._clock)
        self.breaker = CircuitBreaker.open(
            CircuitBreakerConfig(max_trips_24h=100), self._clock, storage
        )
        self._gate = Gate(
            entries_blocked=lambda: self.breaker.entries_blocked,
            epoch=lambda: self.breaker.snapshot.epoch,
            now_ms=self._clock.now_ms,
            data_fresh=lambda: True,
            positions_trusted=lambda _: True,
        )
        self._closed_ns = 0
        self.breaker.add_trip_listener(lambda: self._gate.close_and_wait(1_000))
        self.breaker.add_trip_listener(self._all_gone)

    def send(self, wire: Wire) -> None:
        intent = GateIntent("sg", "BTCUSDT", OrderPurpose.ENTRY, self.breaker.snapshot.epoch)
        try:
            permit = self._gate.enter(intent)
        except (TradingHaltedError, DecisionRejectedError):
            return
        try:
            permit.leave()
            wire.send()
            permit.away()
        except TradingHaltedError:
            pass
        finally:
            permit.done()

    def trip(self) -> tuple[float, float]:
        """Microseconds to "no more sends" and to the return of ``trigger``; then clears."""
        called_ns = time.perf_counter_ns()
        receipt = self.breaker.trigger("measured", actor=Actor.RULE)
        returned_ns = time.perf_counter_ns()
        self._clock.advance_to(self._clock.now_ms() + DAY_MS)
        self.breaker.clear(actor=Actor.OPERATOR, reason="again", epoch=receipt.epoch, force=True)
        return (self._closed_ns - called_ns) / 1e3, (returned_ns - called_ns) / 1e3

    def _all_gone(self) -> tuple[str, ...]:
        self._closed_ns = time.perf_counter_ns()
        return ()


class PlainLock:
    """No epoch, no record, nothing durable: a flag under a lock that is held while sending."""

    name = "plain lock"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False

    def send(self, wire: Wire) -> None:
        with self._lock:
            if not self._closed:
                wire.send()

    def trip(self) -> tuple[float, float]:
        called_ns = time.perf_counter_ns()
        with self._lock:
            self._closed = True
        took = (time.perf_counter_ns() - called_ns) / 1e3
        self._closed = False
        return took, took


def on_threads(send: Callable[[Wire], None], over: threading.Event) -> list[threading.Thread]:
    def sender() -> None:
        wire = Wire()
        while not over.is_set():
            send(wire)
            time.sleep(PACE_S)

    return [threading.Thread(target=sender) for _ in range(SENDERS)]


def on_a_loop(send: Callable[[Wire], None], over: threading.Event) -> list[threading.Thread]:
    async def sender() -> None:
        wire = Wire()
        while not over.is_set():
            send(wire)
            await asyncio.sleep(PACE_S)

    async def all_senders() -> None:
        await asyncio.gather(*(sender() for _ in range(SENDERS)))

    return [threading.Thread(target=lambda: asyncio.run(all_senders()))]


def measure(
    subject: Guarded | PlainLock,
    start: Callable[[Callable[[Wire], None], threading.Event], list[threading.Thread]],
) -> tuple[list[float], list[float]]:
    over = threading.Event()
    threads = start(subject.send, over)
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    closed, returned = [], []
    for _ in range(TRIPS):
        time.sleep(PACE_S)
        at_closed, at_return = subject.trip()
        closed.append(at_closed)
        returned.append(at_return)
    over.set()
    for thread in threads:
        thread.join()
    return closed, returned


def bare_commits(folder: Path) -> list[float]:
    """What one durable transaction costs here and now, in µs."""
    connection = sqlite3.connect(folder / "bare.sqlite3", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE t (x)")
    values = []
    for _ in range(TRIPS):
        started = time.perf_counter_ns()
        connection.execute("INSERT INTO t VALUES (1)")
        values.append((time.perf_counter_ns() - started) / 1e3)
    connection.close()
    return values


def show(what: str, values: list[float]) -> None:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    print(
        f"  {what:<34} p50 {cuts[49] / 1e3:8.3f} ms   p99 {cuts[98] / 1e3:8.3f} ms   "
        f"max {max(values) / 1e3:8.3f} ms"
    )


def main() -> None:
    logging.disable(logging.CRITICAL)  # thousands of trips are not news here
    kinds = ((f"{SENDERS} tasks on one loop", on_a_loop), (f"{SENDERS} threads", on_threads))
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        for label, start in kinds:
            guarded = Guarded(Path(tempfile.mkdtemp(dir=folder)))
            print(f"{TRIPS} trips against {label}")
            closed, returned = measure(guarded, start)
            guarded.breaker.close()
            locked, _ = measure(PlainLock(), start)
            show("gate: no more sends", closed)
            show("gate: durable, trigger returns", returned)
            show("plain lock: no more sends", locked)
        show("one fsync'd commit, nobody sending", bare_commits(folder))


if __name__ == "__main__":
    sys.exit(main())
