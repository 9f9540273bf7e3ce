"""Runs spikes on a bounded number of crews: scheduled by asyncio, worked off in threads.

A spike is only claimed once a crew is free for it: until then it stays in the core's queue, where
newer and stronger ones overtake it and it expires, on record. A run that hangs beyond its deadline
is given up, with its crew; the next spike gets a new one.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from crews.spike_trading.crew import SpikeTradingCrew
from trading.api.client import TradingClient
from trading.api.schemas import SpikeClaim
from trading.errors import ControlApiError, SpikeguardError
from trading.model.decision import SpikeRunReport, SpikeRunStatus

T = TypeVar("T")
logger = logging.getLogger(__name__)

_PAUSE_AFTER_ERROR_S = 1.0
_FINISH_ATTEMPTS = 5
_LOOK_EVERY_S = 0.5  # whether a run is past its deadline
_GRACE_S = 5.0  # wall time past its deadline after which a run counts as hung


class SpikeScheduler:
    """``run`` blocks until ``stop`` is set; runs in flight are left behind then.

    ``beat`` is called at every step, also while all crews are at work.
    """

    def __init__(
        self,
        name: str,
        client: TradingClient,
        create_crew: Callable[[], SpikeTradingCrew],
        *,
        max_concurrent_runs: int,
        claim_timeout_s: float,
        stop: threading.Event,
        show: Callable[[str], None],
        beat: Callable[[], None],
    ) -> None:
        self._name = name
        self._client = client
        self._create_crew = create_crew
        self._bound = max_concurrent_runs
        self._claim_timeout_s = claim_timeout_s
        self._stop = stop
        self._show = show
        self._beat = beat
        self._idle: list[SpikeTradingCrew] = []
        self._running: set[str] = set()
        self._finished = 0

    def warm_up(self) -> None:
        """Build all crews now. Raises ConfigurationError."""
        self._idle = [self._create_crew() for _ in range(self._bound)]
        for crew in self._idle:
            crew.warm_up()
        self._tell()

    def run(self) -> None:
        """Claim and run until stopped."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        free = asyncio.Semaphore(self._bound)
        claiming = asyncio.create_task(self._claim_all(free))
        await in_daemon_thread(self._stop.wait)
        claiming.cancel()

    async def _claim_all(self, free: asyncio.Semaphore) -> None:
        runs: set[asyncio.Task[None]] = set()
        while True:
            await free.acquire()
            self._beat()
            claim = await self._claim()
            if claim is None:
                free.release()
                continue
            self._running.add(claim.spike.id)
            self._tell()
            run = asyncio.create_task(self._serve(claim))
            runs.add(run)
            run.add_done_callback(runs.discard)
            run.add_done_callback(lambda _: free.release())

    async def _claim(self) -> SpikeClaim | None:
        try:
            return await in_daemon_thread(
                lambda: self._client.claim_spike(self._name, self._claim_timeout_s)
            )
        except SpikeguardError as error:
            logger.warning("%s: %s", self._name, error)
        except Exception:  # a scheduler that ended in silence would leave spikes unclaimed
            logger.exception("%s: claiming failed", self._name)
        await asyncio.sleep(_PAUSE_AFTER_ERROR_S)
        return None

    async def _serve(self, claim: SpikeClaim) -> None:
        crew = self._idle.pop()
        try:
            report = await self._within_deadline(crew, claim)
            if report is None:
                logger.error("%s: the run of %s hangs", self._name, claim.spike.id)
                report = _hung(claim)
                crew = self._create_crew()
            await self._finish(report)
        except SpikeguardError as error:
            logger.warning("%s: %s", self._name, error)
        except Exception:
            logger.exception("%s: a run failed", self._name)
        finally:
            self._idle.append(crew)
            self._running.discard(claim.spike.id)
            self._finished += 1
            self._tell()

    async def _within_deadline(
        self, crew: SpikeTradingCrew, claim: SpikeClaim
    ) -> SpikeRunReport | None:
        """The run's report; None when it has not come back long after its deadline."""
        run = in_daemon_thread(lambda: crew.run(claim))
        late_since: float | None = None
        while True:
            done, _ = await asyncio.wait({run}, timeout=_LOOK_EVERY_S)
            self._beat()
            if done:
                return run.result()
            if self._client.now_ms() < claim.deadline_ms:
                late_since = None
            elif late_since is None:
                late_since = time.monotonic()
            elif time.monotonic() - late_since > _GRACE_S:
                return None

    async def _finish(self, report: SpikeRunReport) -> None:
        """Close the claim. Repeating it does no harm, losing it would leave the spike open."""
        for attempt in range(1, _FINISH_ATTEMPTS + 1):
            self._beat()
            try:
                await in_daemon_thread(lambda: self._client.finish_spike_run(report))
            except ControlApiError:
                if attempt == _FINISH_ATTEMPTS:
                    raise
                await asyncio.sleep(_PAUSE_AFTER_ERROR_S)
            else:
                return

    def _tell(self) -> None:
        now = ", ".join(sorted(self._running))
        self._show(f"running {now}" if now else f"waiting, {self._finished} runs done")


def in_daemon_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Run ``work`` in a thread of its own, which does not hold up the end of the process.

    CrewAI must not see a running event loop; asyncio's own threads are waited for at the end.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def set_result(result: T) -> None:
        if not future.done():
            future.set_result(result)

    def set_error(error: Exception) -> None:
        if not future.done():
            future.set_exception(error)

    def run() -> None:
        try:
            result = work()
        except Exception as error:
            _tell_loop(loop, set_error, error)
        else:
            _tell_loop(loop, set_result, result)

    threading.Thread(target=run, daemon=True).start()
    return future


def _tell_loop(loop: asyncio.AbstractEventLoop, tell: Callable[[T], None], value: T) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(tell, value)


def _hung(claim: SpikeClaim) -> SpikeRunReport:
    spike = claim.spike
    return SpikeRunReport(
        spike_id=spike.id,
        status=SpikeRunStatus.FAILED,
        reason=f"{spike.symbol} {spike.magnitude_pct:+.2f} %: the run did not end in time",
        duration_ms=0.0,
    )
