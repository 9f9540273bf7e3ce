"""Crash to halt: from a crash tick's departure to the breaker's block and its durable commit.

A sender process plays the market over a loopback WebSocket; the core's own feed, market engine and
breaker (over a real store, synchronous=FULL) take it in this process. Each trial is a fresh breaker
and engine and a crash. Measured from the departure of the frame that proves the crash (crosses a
limit, or confirms the crossing) to

- arrived: the decoded trade is handed to the core; what a bare socket loop would take,
- blocked: ``entries_blocked`` is set and stays so; the gate lets no entry in any more,
- proven: the trade is known to be a crash, and ``trigger`` is called,
- shown to workers: the shared record says TRIGGERED,
- durable: ``trigger`` has returned, the new epoch committed to disk.

Quiet first; then with two crew workers burning every core and the control API answering 500
requests a second on the same loop; then with the same crews on threads of this process, which is
why the product does not place them there. Then nautilus_trader, set to HALTED by the same limit
over the same socket, quiet and beside the same crews. An fsync'd SQLite transaction is what no
durable halt can go below: one row, in the same rests as the trials.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from _busy_core import api_load, crew_processes, crew_threads, served_core
from _crash_sender import ETH_PRICE, FALL_STEPS, START_PRICE, STEP, CrashSender, crash_sender
from _drawdown import BREACH_PCT
from _environment import ROOT, rivals

from trading.clock import SystemClock
from trading.events import CrashDetected, EventBus
from trading.exchange.binance.feed import BinanceFeed
from trading.exchange.config import ExchangeConfig
from trading.exchange.venues import VenueEndpoints
from trading.market.config import CrashDetectionConfig, MarketConfig, SpikeDetectionConfig
from trading.market.engine import MarketEngine
from trading.model.breaker import BreakerSnapshot
from trading.model.market import Bar, Tick
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.shared_record import SharedRecordWriter
from trading.storage.config import StorageConfig

TRIALS = 200
REST_S = 0.02
STAGES = ("blocked", "proven", "shown to workers", "durable")


class Trial:
    """One fresh core in front of the feed, and when it did what."""

    def __init__(self, folder: Path, number: int) -> None:
        clock, bus = SystemClock(), EventBus()
        storage = StorageConfig(path=folder / f"{number}.sqlite3")
        create_store(storage, clock)
        self.record = SharedRecordWriter(folder / f"{number}.record")
        self.breaker = CircuitBreaker.open(
            CircuitBreakerConfig(),
            clock,
            storage,
            record=self.record,
            check=False,
        )
        self._time_block_and_record()
        market = MarketConfig(symbols=("BTCUSDT", "ETHUSDT"))
        self.engine = MarketEngine(
            market,
            SpikeDetectionConfig(enabled=False),
            CrashDetectionConfig(),
            clock,
            bus,
            hold=self.breaker.entry_hold,
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
        self.blocked_ns = self.proven_ns = self.shown_ns = self.durable_ns = 0

    def on_tick(self, tick: Tick) -> None:
        if tick.symbol == "BTCUSDT" and tick.price < START_PRICE:
            self.arrived_ns.append(time.monotonic_ns())
            if self.proving_frame is None:
                self.blocked_ns = self.shown_ns = 0  # a frame that proved nothing blocks no more
        self.engine.on_tick(tick)
        if len(self.arrived_ns) == FALL_STEPS:
            self.complete.set()

    def stages_ns(self) -> tuple[int, ...]:
        """When each of ``STAGES`` was reached."""
        return self.blocked_ns, self.proven_ns, self.shown_ns, self.durable_ns

    def _on_crash(self, event: CrashDetected) -> None:
        if self.proving_frame is not None:
            return
        self.proving_frame = len(self.arrived_ns) - 1
        self.proven_ns = time.monotonic_ns()
        self.breaker.trigger(event.reason, rule=event.rule, evidence=lambda: ({}, event.market()))
        self.durable_ns = time.monotonic_ns()

    def _time_block_and_record(self) -> None:
        """Note when ``entries_blocked`` has become true, and when workers can see TRIGGERED."""
        block = self.breaker._block
        begin_trip, write = block.begin_trip, self.record.write

        def timed_begin() -> None:
            begin_trip()
            self.blocked_ns = self.blocked_ns or time.monotonic_ns()

        def timed_write(snapshot: BreakerSnapshot) -> None:
            write(snapshot)
            self.shown_ns = self.shown_ns or time.monotonic_ns()

        block.begin_trip = timed_begin  # type: ignore[method-assign]  # they have no hooks there
        self.record.write = timed_write  # type: ignore[method-assign]


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


async def measure(folder: Path, label: str, note: Callable[[], str] = str) -> None:
    """``TRIALS`` crashes, and the bare cost of a commit in the same minute."""
    loop, folder = asyncio.get_running_loop(), Path(tempfile.mkdtemp(dir=folder))
    arrived_us: list[float] = []
    reached_us: dict[str, list[float]] = {stage: [] for stage in STAGES}
    bare = BareCommits(folder)
    async with connected() as (sender, listener):
        for number in range(TRIALS):
            trial = listener.trial = Trial(folder, number)
            await asyncio.sleep(REST_S)  # so that nobody's disk is busy, or warm, with what was
            bare.commit()
            await asyncio.sleep(REST_S)
            departures = await loop.run_in_executor(None, sender.crash)
            await trial.complete.wait()
            listener.trial = None
            trial.breaker.close()
            if trial.proving_frame is None:
                raise RuntimeError("a crash was not detected")
            departure = departures[trial.proving_frame]
            # Frames behind the proving one wait for the commit.
            until = trial.proving_frame + 1
            pairs = zip(trial.arrived_ns[:until], departures[:until], strict=True)
            arrived_us += [(arrival - departed) / 1e3 for arrival, departed in pairs]
            for stage, at_ns in zip(STAGES, trial.stages_ns(), strict=True):
                reached_us[stage].append((at_ns - departure) / 1e3)
    bare.close()
    print(f"{label}: {TRIALS} crashes{note()}")
    floor = statistics.median(arrived_us)
    show("arrived (bare socket loop)", arrived_us, floor)
    for stage, values in reached_us.items():
        show(stage, values, floor)
    show("an fsync'd commit alone", bare.took_us, floor)


def show(name: str, values: list[float], floor_us: float) -> None:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    print(
        f"  {name:<28} p50 {cuts[49]:9.0f} us   p99 {cuts[98]:9.0f} us   "
        f"max {max(values):9.0f} us   p50 / bare socket {cuts[49] / floor_us:6.1f}",
        flush=True,
    )


class BareCommits:
    """What one durable transaction costs here and now, after the same rest as a crash, in µs."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "bare.sqlite3", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE t (x)")
        self.took_us: list[float] = []

    def commit(self) -> None:
        started = time.monotonic_ns()
        self._connection.execute("INSERT INTO t VALUES (1)")
        self.took_us.append((time.monotonic_ns() - started) / 1e3)

    def close(self) -> None:
        self._connection.close()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[CrashSender, Listener]]:
    """The product's own feed, connected to a sender."""
    with crash_sender() as sender:
        url = sender.url
        endpoints = VenueEndpoints(
            rest_url=url.replace("ws://", "http://"),
            stream_url=url,
            ws_api_url=f"{url}/ws-api/v3",
        )
        listener, config = Listener(), ExchangeConfig(endpoints=endpoints)
        feed = asyncio.create_task(BinanceFeed(config).run(("BTCUSDT", "ETHUSDT"), listener))
        try:
            await asyncio.wait_for(listener.connected.wait(), 10)
            yield sender, listener
        finally:
            feed.cancel()
            await asyncio.gather(feed, return_exceptions=True)


async def nautilus(label: str) -> None:
    """Crash to HALTED in nautilus_trader, in a process of its own."""
    python = rivals()
    if python is None:
        return
    # The step of the fall at which its 1 h drawdown is beyond the limit; it asks for no witness.
    proving = next(n for n in range(1, FALL_STEPS + 1) if (1 - STEP**n) * 100 >= BREACH_PCT) - 1
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "benchmarks")}
    loop = asyncio.get_running_loop()
    with crash_sender() as sender:
        process = await asyncio.create_subprocess_exec(
            *(str(python), str(ROOT / "benchmarks" / "_nautilus_halt.py"), sender.url),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        try:
            while (line := await process.stdout.readline()) != b"connected\n":
                if not line:
                    print(f"{label}: nautilus_trader did not start")
                    return
            halted_us = []
            for _ in range(TRIALS):
                departures = await loop.run_in_executor(None, sender.crash)
                halted_us.append((int(await process.stdout.readline()) - departures[proving]) / 1e3)
        finally:
            process.kill()
            await process.wait()
    print(f"{label}: {TRIALS} crashes")
    cuts = statistics.quantiles(halted_us, n=100, method="inclusive")
    print(
        f"  {'HALTED, nothing durable':<28} p50 {cuts[49]:9.0f} us   p99 {cuts[98]:9.0f} us   "
        f"max {max(halted_us):9.0f} us",
        flush=True,
    )


async def run() -> None:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        await measure(folder, "quiet")
        await nautilus("nautilus_trader, quiet")
        async with served_core(folder) as (_, paths):
            async with crew_processes(paths) as assessed:
                async with api_load(paths) as rate:
                    before = assessed()
                    await measure(
                        folder,
                        "crew workers on every core, and the control API",
                        lambda: f", {rate():.0f} requests/s, {assessed() - before} assessments",
                    )
                await nautilus("nautilus_trader, crew workers on every core")
            async with crew_threads(paths) as assessed:
                before = assessed()
                await measure(
                    folder,
                    "the same crews on threads of the core's process",
                    lambda: f", {assessed() - before} assessments",
                )


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    import uvloop

    logging.disable(logging.CRITICAL)  # a thousand trips are not news here
    sys.exit(uvloop.run(run()))
