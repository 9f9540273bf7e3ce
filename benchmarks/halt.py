"""Crash to halt: from a crash tick's departure to the breaker's block and its durable commit.

A sender process plays the market over a loopback WebSocket, in Binance's combined-stream frames;
the core's own feed, market engine, guard and breaker (over a real store, synchronous=FULL) take
them in this process. Each trial is a fresh breaker and engine and a fall of 18 % in BTC in steps
of 2 %, each departure stamped by the monotonic clock, which processes of one machine share.
Measured from the departure of the frame that proves the crash (crosses a limit, or confirms the
crossing) to

- blocked: ``entries_blocked`` is set, so that the gate lets nothing through any more,
- durable: ``trigger`` has returned, the new epoch committed to disk.

Quiet first, then with two processes burning the processor at the workers' nice level, then at the
core's own. Beside them in the same minute: the bare socket (frame departure to its arrival in an
empty handler) and one fsync'd SQLite transaction, which no design can go below.
"""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from trading.clock import SystemClock
from trading.events import CrashDetected, EventBus
from trading.exchange.binance.feed import BinanceFeed
from trading.exchange.config import ExchangeConfig, VenueEndpoints
from trading.market.config import CrashDetectionConfig, MarketConfig, SpikeDetectionConfig
from trading.market.engine import MarketEngine
from trading.model.market import Bar, Tick
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.config import StorageConfig

TRIALS = 200
CALM_TICKS = 20
CALM_INTERVAL_S = 0.005
START_PRICE = 60_000.0
ETH_PRICE = 3_000.0
FALL_STEPS = 10
STEP = 0.98
WORKER_NICE = 10


def sender(pipe: Connection) -> None:
    """Serves the stream; each word from the pipe plays one calm stretch and one crash.

    Answers with the departure of every frame of the crash, in monotonic nanoseconds.
    """
    import websockets

    async def serve() -> None:
        stop = asyncio.Event()

        async def session(socket: websockets.ServerConnection) -> None:
            loop = asyncio.get_running_loop()
            while await loop.run_in_executor(None, pipe.recv):
                pipe.send(await play(socket))
            stop.set()

        async def play(socket: websockets.ServerConnection) -> list[int]:
            for _ in range(CALM_TICKS):
                await socket.send(frame("BTCUSDT", START_PRICE))
                await socket.send(frame("ETHUSDT", ETH_PRICE))
                await asyncio.sleep(CALM_INTERVAL_S)
            for share in (0.96, 0.92):  # ETH falls too: a witness, so that no hold is waited for
                await socket.send(frame("ETHUSDT", ETH_PRICE * share))
            departures = []
            for step in range(1, FALL_STEPS + 1):
                text = frame("BTCUSDT", START_PRICE * STEP**step)
                departures.append(time.monotonic_ns())
                await socket.send(text)
                await asyncio.sleep(CALM_INTERVAL_S)
            return departures

        async with websockets.serve(session, "127.0.0.1", 0, compression=None) as server:
            pipe.send(next(iter(server.sockets)).getsockname()[1])
            await stop.wait()

    asyncio.run(serve())


def frame(symbol: str, price: float) -> str:
    """An aggTrade as the combined stream carries it."""
    now_ms = time.time_ns() // 1_000_000
    data = {"e": "aggTrade", "E": now_ms, "s": symbol, "a": 1, "p": f"{price:.2f}", "q": "0.01"}
    data |= {"f": 1, "l": 1, "T": now_ms, "m": True, "M": True}
    return json.dumps({"stream": f"{symbol.lower()}@aggTrade", "data": data})


class Trial:
    """One fresh core in front of the feed, and when it did what."""

    def __init__(self, folder: Path, number: int) -> None:
        clock, bus = SystemClock(), EventBus()
        storage = StorageConfig(path=folder / f"{number}.sqlite3")
        create_store(storage, clock)
        self.breaker = CircuitBreaker.open(CircuitBreakerConfig(), clock, storage, check=False)
        self.breaker.add_trip_listener(self._blocked)
        market = MarketConfig(symbols=("BTCUSDT", "ETHUSDT"))
        self.engine = MarketEngine(
            market, SpikeDetectionConfig(enabled=False), CrashDetectionConfig(), clock, bus
        )
        minute_ms = clock.now_ms() // 60_000 * 60_000
        for symbol, price in (("BTCUSDT", START_PRICE), ("ETHUSDT", ETH_PRICE)):
            self.engine.on_bar_history(
                symbol,
                [
                    Bar(symbol, minute_ms - n * 60_000, 60_000, price, price, price, price, 10.0)
                    for n in range(300, 0, -1)
                ],
            )
        bus.subscribe(CrashDetected, self._on_crash)
        self.complete = asyncio.Event()
        self.arrived_ns: list[int] = []
        self.proving_frame: int | None = None
        self.blocked_ns = 0
        self.durable_ns = 0

    def on_tick(self, tick: Tick) -> None:
        if tick.symbol == "BTCUSDT" and tick.price < START_PRICE:
            self.arrived_ns.append(time.monotonic_ns())
        self.engine.on_tick(tick)
        if len(self.arrived_ns) == FALL_STEPS:
            self.complete.set()

    def _on_crash(self, event: CrashDetected) -> None:
        if self.proving_frame is not None:
            return
        self.proving_frame = len(self.arrived_ns) - 1
        self.breaker.trigger(event.reason, market_snapshot=event.market, rule=event.rule)
        self.durable_ns = time.monotonic_ns()

    def _blocked(self) -> tuple[str, ...]:
        self.blocked_ns = time.monotonic_ns()
        return ()


class Listener:
    """The feed stays connected; the trial behind it changes."""

    def __init__(self) -> None:
        self.trial: Trial | None = None
        self.connected = asyncio.Event()

    def on_tick(self, tick: Tick) -> None:
        if self.trial is not None:
            self.trial.on_tick(tick)

    def on_feed_connected(self) -> None:
        self.connected.set()

    def on_feed_lost(self, reason: str) -> None:
        raise RuntimeError(f"the benchmark's feed was lost: {reason}")


async def measure(folder: Path, label: str, pipe: Connection, listener: Listener) -> None:
    """``TRIALS`` crashes, and the bare costs in the same minute."""
    loop = asyncio.get_running_loop()
    socket_us, blocked_us, durable_us = [], [], []
    for number in range(TRIALS):
        trial = listener.trial = Trial(folder, number)
        pipe.send(True)
        departures = await loop.run_in_executor(None, pipe.recv)
        await trial.complete.wait()
        listener.trial = None
        trial.breaker.close()
        if trial.proving_frame is None:
            raise RuntimeError("a crash was not detected")
        departure = departures[trial.proving_frame]
        socket_us += [(a - d) / 1e3 for a, d in zip(trial.arrived_ns, departures, strict=True)]
        blocked_us.append((trial.blocked_ns - departure) / 1e3)
        durable_us.append((trial.durable_ns - departure) / 1e3)
    commit_us = bare_commits(folder)
    print(f"{label}: {TRIALS} crashes")
    floor = statistics.median(socket_us)
    for name, values in (
        ("bare socket", socket_us),
        ("crash to blocked", blocked_us),
        ("crash to durable", durable_us),
        ("bare fsync'd commit", commit_us),
    ):
        cuts = statistics.quantiles(values, n=100, method="inclusive")
        print(
            f"  {name:<20} p50 {cuts[49] / 1e3:8.3f} ms   p99 {cuts[98] / 1e3:8.3f} ms   "
            f"max {max(values) / 1e3:8.3f} ms   p50 / bare socket {cuts[49] / floor:6.1f}"
        )


def bare_commits(folder: Path) -> list[float]:
    """What one durable transaction costs here and now, in µs."""
    connection = sqlite3.connect(folder / "bare.sqlite3", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS t (x)")
    values = []
    for _ in range(TRIALS):
        started = time.monotonic_ns()
        connection.execute("INSERT INTO t VALUES (1)")
        values.append((time.monotonic_ns() - started) / 1e3)
    connection.close()
    return values


def burn(nice: int) -> None:
    os.nice(nice)
    while True:
        json.loads(json.dumps(list(range(200))))


@contextmanager
def burners(nice: int) -> Iterator[None]:
    """Two processes that never rest."""
    processes = [multiprocessing.Process(target=burn, args=(nice,), daemon=True) for _ in range(2)]
    for process in processes:
        process.start()
    time.sleep(0.5)
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


async def run() -> None:
    pipe, far_end = multiprocessing.Pipe()
    process = multiprocessing.Process(target=sender, args=(far_end,), daemon=True)
    process.start()
    url = f"ws://127.0.0.1:{pipe.recv()}"
    rest = url.replace("ws://", "http://")
    config = ExchangeConfig(
        endpoints=VenueEndpoints(rest_url=rest, stream_url=url, ws_api_url=f"{url}/ws-api/v3")
    )
    listener = Listener()
    feed = asyncio.create_task(BinanceFeed(config).run(("BTCUSDT", "ETHUSDT"), listener))
    await asyncio.wait_for(listener.connected.wait(), 10)
    with tempfile.TemporaryDirectory() as root:
        for name, nice in (("quiet", None), ("workers burning", WORKER_NICE), ("rivals", 0)):
            folder = Path(tempfile.mkdtemp(dir=root))
            if nice is None:
                await measure(folder, name, pipe, listener)
            else:
                with burners(nice):
                    await measure(folder, f"{name} (2 processes, nice {nice})", pipe, listener)
    pipe.send(False)
    feed.cancel()
    await asyncio.gather(feed, return_exceptions=True)
    process.join(5)


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    import uvloop

    logging.disable(logging.CRITICAL)  # 600 trips are not news here
    sys.exit(uvloop.run(run()))
