"""The spike desk: from detection to the end of a crew's run, with a row for every step."""

from __future__ import annotations

from trading.clock import Clock
from trading.events import BreakerChanged, EventBus, SpikeDetected
from trading.model.breaker import BreakerStatus
from trading.model.decision import SpikeRunReport, SpikeRunStatus
from trading.model.spike import Spike, SpikeStatus
from trading.node.board import Board
from trading.node.config import SpikeQueueSettings
from trading.node.records import Records
from trading.node.spike_queue import Discarded, SpikeQueue
from trading.risk.circuit_breaker import CircuitBreaker

_STATUS_AFTER_RUN = {
    SpikeRunStatus.TRADED: SpikeStatus.TRADED,
    SpikeRunStatus.SKIPPED: SpikeStatus.ANALYZED,
    SpikeRunStatus.ABORTED: SpikeStatus.SKIPPED,
    SpikeRunStatus.FAILED: SpikeStatus.SKIPPED,
}


class SpikeDesk:
    """Used on the core's main loop, except ``halt``, which only marks the queue for emptying.

    ``check_breaker``: while entries are halted, a new spike is recorded as skipped and the queue is
    emptied; without it spikes keep queueing, and it is the gate alone that refuses.
    """

    def __init__(
        self,
        settings: SpikeQueueSettings,
        clock: Clock,
        bus: EventBus,
        breaker: CircuitBreaker,
        records: Records,
        board: Board,
        *,
        check_breaker: bool,
        crews_expected: bool,
    ) -> None:
        self._clock = clock
        self._breaker = breaker
        self._records = records
        self._board = board
        self._check_breaker = check_breaker
        self._crews_expected = crews_expected
        self._halted_since_last_look = False
        self._run_deadline_ms = settings.run_deadline_ms
        self._claimed: dict[str, tuple[Spike, int]] = {}  # with when its run must have ended
        self._queue = SpikeQueue(
            clock,
            capacity=settings.capacity,
            max_age_ms=settings.max_age_ms,
            on_discard=self._discarded,
        )
        bus.subscribe(SpikeDetected, self._on_spike)
        records.write(
            lambda tables: tables.spikes.skip_waiting("its core ended before a crew's run")
        )

    def __len__(self) -> int:
        return len(self._queue)

    def on_breaker_change(self, change: BreakerChanged) -> None:
        """From any thread: a trip empties the queue at the next look at it."""
        if change.current.status is BreakerStatus.TRIGGERED and self._check_breaker:
            self._halted_since_last_look = True

    async def claim(self, timeout_s: float) -> Spike | None:
        self.advance()
        spike = await self._queue.claim(timeout_s)
        if spike is not None:
            self._claimed[spike.id] = (spike, spike.detected_at_ms + self._run_deadline_ms)
        return spike

    def close(self) -> None:
        """Nobody waits for a spike any longer: the core ends."""
        self._queue.close()

    def advance(self) -> None:
        """Drop what is too old, everything after a trip, and claims of crews that died."""
        if self._halted_since_last_look:
            self._halted_since_last_look = False
            self._queue.discard_all(f"halted: {self._breaker.snapshot.reason}")
        self._queue.expire()
        # Twice the deadline: the report of a run that ended just in time may still be on its way.
        latest_ms = self._clock.now_ms() - self._run_deadline_ms
        for spike, ends_at_ms in tuple(self._claimed.values()):
            if ends_at_ms < latest_ms:
                del self._claimed[spike.id]
                self._skip(spike, "its crew never reported")

    async def finish(self, report: SpikeRunReport) -> None:
        """Close the claim: the spike's status, the run's analysis, and a line on the board."""
        status = _STATUS_AFTER_RUN[report.status]
        self._claimed.pop(report.spike_id, None)
        await self._records.call(lambda tables: tables.spikes.finish(report, status))
        self._board.update_spike(report.spike_id, status, report.reason)
        level = "notice" if report.status is SpikeRunStatus.TRADED else "info"
        self._board.say("spike_crew", f"{report.status}: {report.reason}", level)

    def _on_spike(self, event: SpikeDetected) -> None:
        spike = event.spike
        self._board.count("spikes")
        self._board.show_spike(spike, SpikeStatus.DETECTED)
        self._records.write(lambda tables: tables.spikes.insert(spike))
        snapshot = self._breaker.snapshot
        if not self._crews_expected:
            self._skip(spike, "no crews are configured to run")
        elif self._check_breaker and not snapshot.allows_entries:
            self._skip(spike, f"breaker {snapshot.status}")
        else:
            self._queue.offer(spike)

    def _discarded(self, discarded: Discarded) -> None:
        self._skip(discarded.spike, discarded.reason)

    def _skip(self, spike: Spike, reason: str) -> None:
        self._board.update_spike(spike.id, SpikeStatus.SKIPPED, reason)
        self._records.write(
            lambda tables: tables.spikes.set_status(spike.id, SpikeStatus.SKIPPED, reason)
        )
