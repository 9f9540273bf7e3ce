"""Whole spike runs in a worker while the core hears 2,000 trades a second, and its feed meanwhile.

The core is a whole one, with its control API; the trades come over a loopback WebSocket through the
product's own feed. A worker process, at the priority that the supervisor gives it, runs the spike
crew on the built-in rules, one run after the other without a pause, over the core's socket: every
question and every record is the core's to serve, entries included. What the market looks like to
the run is then replaced by a rising pair, so that each run goes all the way to its order.

Measured: a run, and a trade from its departure to its place in the core's market, in turns: with
nothing beside it, beside runs, and beside a process that burns the processor time of those runs and
asks nothing of the core. Ends with 1 when a run's p99 reaches 2 s, or when the feed's p99 beside
runs is more than ``MOST_TIMES`` that beside the burner and more than ``SLACK_MS`` above it, by the
median of the turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from _burner import burner
from _busy_core import PRICES, WORKER_NICE, served_core
from _feed_sender import steady_feed

from trading.exchange.binance.feed import BinanceFeed
from trading.exchange.config import ExchangeConfig
from trading.exchange.venues import VenueEndpoints
from trading.model.market import Tick
from trading.node.core import TradingCore
from trading.node.feeds import CoreFeed
from trading.node.instance import RuntimePaths
from trading.node.order_thread import OrderThread
from trading.node.pace import keep_the_feeds_pace

T = TypeVar("T")
PER_S = 2_000
TURNS = 6
QUIET_S = 3.0
RUNS = 25  # in each turn
P99_MS = 2_000.0
MOST_TIMES = 1.5
SLACK_MS = 1.0
# What a run asks of the market, and what it does to it.
_REPLACED = ("market", "symbol_stats", "bars", "order_book", "portfolio")
_REPLACED_ACTIONS = ("preview_trade", "propose_trade")


class TimedFeed(CoreFeed):
    """The core's own listener; ``taken_ns`` holds when it was done with each trade."""

    def __init__(self, core: TradingCore) -> None:
        super().__init__(core, lambda: None)
        self.taken_ns: list[int] = []
        self.lost: list[str] = []
        self.flows = asyncio.Event()  # past the first second

    def on_tick(self, tick: Tick) -> None:
        super().on_tick(tick)
        self.taken_ns.append(time.monotonic_ns())
        if len(self.taken_ns) == PER_S:
            self.flows.set()

    def on_feed_lost(self, reason: str) -> None:
        super().on_feed_lost(reason)
        self.lost.append(reason)


@asynccontextmanager
async def feeding(core: TradingCore) -> AsyncIterator[tuple[TimedFeed, Sequence[int]]]:
    with steady_feed(PRICES, PER_S) as (url, departures):
        rest = url.replace("ws://", "http://")
        endpoints = VenueEndpoints(rest_url=rest, stream_url=url, ws_api_url=f"{url}/ws-api/v3")
        listener, config = TimedFeed(core), ExchangeConfig(endpoints=endpoints)
        task = asyncio.create_task(BinanceFeed(config).run(tuple(PRICES), listener))
        try:
            await asyncio.wait_for(listener.flows.wait(), 60)
            yield listener, departures
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def worker(paths: RuntimePaths) -> AsyncIterator[Callable[[], tuple[list[float], float]]]:
    """A warm worker; calling it makes ``RUNS`` runs and gives what each took, in ms, and the
    share of a processor that they took."""
    pipe, far_end = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_work, args=(paths, far_end), daemon=True)
    process.start()
    far_end.close()  # so that a worker's end is heard
    loop = asyncio.get_running_loop()

    def runs() -> tuple[list[float], float]:
        pipe.send(RUNS)
        taken: tuple[list[float], float] = pipe.recv()
        return taken

    try:
        await loop.run_in_executor(None, pipe.recv)
        yield runs
    finally:
        process.kill()
        process.join()


def _work(paths: RuntimePaths, pipe: Connection) -> None:
    os.nice(WORKER_NICE)
    logging.disable(logging.CRITICAL)
    from memory_client import MemoryTradingClient, make_spike

    from agents.config import AgentsConfig
    from crews.crew_config import SpikeCrewConfig
    from crews.spike_trading.crew import SpikeTradingCrew
    from trading.api.http_client import HttpTradingClient
    from trading.api.schemas import SpikeClaim
    from trading.errors import SpikeguardError
    from trading.model.decision import SpikeRunStatus

    class RisingPair(HttpTradingClient):
        """The core's client, whose answers about the market are those of a pair that rises."""

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self._rising = MemoryTradingClient()

        def __getattribute__(self, name: str) -> Any:
            asked = super().__getattribute__(name)
            if name not in _REPLACED and name not in _REPLACED_ACTIONS:
                return asked

            def both(*arguments: Any) -> Any:
                # It may refuse, such as a second entry in the same pair: it had the work.
                with contextlib.suppress(SpikeguardError):
                    asked(*arguments)
                return getattr(self._rising, name)(*arguments)

            return both

    client = RisingPair(paths.worker_socket, paths.breaker_record)
    crew = SpikeTradingCrew(client, AgentsConfig(), SpikeCrewConfig(), environment={})

    def run(number: int) -> float:
        now_ms = client.now_ms()
        spike = make_spike(id=f"spk-{number}-{now_ms}", detected_at_ms=now_ms)
        epoch = client.breaker_snapshot().epoch
        claim = SpikeClaim(spike=spike, deadline_ms=now_ms + 45_000, epoch=epoch, now_ms=now_ms)
        started = time.perf_counter()
        report = crew.run(claim)
        if report.status is not SpikeRunStatus.TRADED:
            raise RuntimeError(f"a run was not complete: {report.status}, {report.reason}")
        return (time.perf_counter() - started) * 1000

    run(0)
    pipe.send("ready")
    while count := pipe.recv():
        began, burnt = time.monotonic(), time.process_time()
        taken = [run(number) for number in range(1, count + 1)]
        pipe.send((taken, (time.process_time() - burnt) / (time.monotonic() - began)))


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def show(what: str, values: list[float]) -> None:
    print(
        f"  {what:<36} p50 {statistics.median(values):9.2f} ms   p99 {p99(values):9.2f} ms   "
        f"max {max(values):9.2f} ms   ({len(values)})",
        flush=True,
    )


@dataclass
class Turns:
    """What each turn measured, in ms."""

    runs: list[float] = field(default_factory=list)
    alone: list[list[float]] = field(default_factory=list)
    beside: list[list[float]] = field(default_factory=list)
    burning: list[list[float]] = field(default_factory=list)

    def verdict(self) -> int:
        """Print it all; 1 when a bound is passed."""
        show("a run", self.runs)
        show("a trade into the core, quiet", [*chain.from_iterable(self.alone)])
        show("a trade into the core, burner", [*chain.from_iterable(self.burning)])
        show("a trade into the core, with runs", [*chain.from_iterable(self.beside)])
        pairs = [(p99(a), p99(b)) for a, b in zip(self.beside, self.burning, strict=True)]
        times = statistics.median(with_runs / burner for with_runs, burner in pairs)
        more_ms = statistics.median(with_runs - burner for with_runs, burner in pairs)
        print(f"  the feed's p99 with runs / beside the burner: {times:.2f}, {more_ms:+.2f} ms")
        slowed = times > MOST_TIMES and more_ms > SLACK_MS
        return 1 if slowed or p99(self.runs) >= P99_MS else 0


async def run() -> int:
    turns = Turns()
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        root = stack.enter_context(tempfile.TemporaryDirectory())
        orders = OrderThread(loop)
        stack.callback(orders.stop)
        core, paths = await stack.enter_async_context(served_core(Path(root), orders))
        feed, departures = await stack.enter_async_context(feeding(core))
        burn = await stack.enter_async_context(burner(WORKER_NICE))
        runs = await stack.enter_async_context(worker(paths))
        keep_the_feeds_pace()

        async def latencies_ms(during: Awaitable[T]) -> tuple[list[float], T]:
            await asyncio.sleep(0.5)
            since = len(feed.taken_ns)
            result = await during
            until = len(feed.taken_ns)
            pairs = zip(feed.taken_ns[since:until], departures[since:until], strict=True)
            return [(done - left) / 1e6 for done, left in pairs], result

        for _ in range(TURNS):
            turns.alone.append((await latencies_ms(asyncio.sleep(QUIET_S)))[0])
            began = time.monotonic()
            beside, (taken, share) = await latencies_ms(loop.run_in_executor(None, runs))
            turns.beside.append(beside)
            turns.runs += taken
            turns.burning.append((await latencies_ms(burn(share, time.monotonic() - began)))[0])
        lost = feed.lost
    print(f"{PER_S} trades/s into the core, complete runs on the built-in rules in a worker")
    failed = turns.verdict()
    if lost:
        print(f"the feed was lost: {lost}")
    return 1 if lost else failed


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    import uvloop

    logging.disable(logging.CRITICAL)
    sys.exit(uvloop.run(run()))
