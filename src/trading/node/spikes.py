"""The spike desk: from detection to the end of a crew's run, with a row for every step."""

from __future__ import annotations

from trading.clock import Clock
from trading.events import ApprovalEnded, BreakerChanged, EventBus, SpikeDetected
from trading.model.breaker import BreakerStatus
from trading.model.decision import ProposalOutcome, SpikeRunReport, SpikeRunStatus
from trading.model.operations import Approval
from trading.model.spike import Spike, SpikeStatus
from trading.node.board import Board
from trading.node.config import SpikeQueueSettings
from trading.node.records import Records
from trading.node.spike_queue import Discarded, SpikeQueue
from trading.risk.circuit_breaker import CircuitBreaker

_STATUS_AFTER_RUN = {
    SpikeRunStatus.TRADED: SpikeStatus.TRADED,
    SpikeRunStatus.AWAITING_APPROVAL: SpikeStatus.ANALYZED,
    SpikeRunStatus.SKIPPED: SpikeStatus.ANALYZED,
    SpikeRunStatus.ABORTED: SpikeStatus.SKIPPED,
    SpikeRunStatus.FAILED: SpikeStatus.SKIPPED,
}
_NOTEWORTHY = (SpikeRunStatus.TRADED, SpikeRunStatus.AWAITING_APPROVAL)


def _outcome_of(approval: Approval) -> tuple[SpikeStatus, str]:
    """The spike's status and note after a person's decision, or none in time."""
    name, result = f"approval {approval.id}", approval.result
    if result is None:
        return SpikeStatus.ANALYZED, f"{name} {approval.status}: {approval.reason}"
    if result.outcome is ProposalOutcome.REFUSED:
        return SpikeStatus.ANALYZED, f"{name} given, but {result.rule}: {result.reason}"
    return SpikeStatus.TRADED, f"approved by the operator: order {result.client_order_id}"


class SpikeDesk:
    """Used on the core's main loop; from other threads it only hears of trips and approvals.

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
        # What became of approvals whose runs have not reported yet.
        self._ended: dict[str, tuple[SpikeStatus, str]] = {}
        bus.subscribe(SpikeDetected, self._on_spike)
        bus.subscribe(ApprovalEnded, self._on_approval_ended)
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
        ended = self._ended.pop(report.spike_id, None)
        if ended is not None and report.status is SpikeRunStatus.AWAITING_APPROVAL:
            status, note = ended  # the person was faster than the report
            report = report.model_copy(update={"reason": note})
        await self._records.call(lambda tables: tables.spikes.finish(report, status))
        self._board.update_spike(report.spike_id, status, report.reason)
        level = "notice" if report.status in _NOTEWORTHY else "info"
        self._board.say("spike_crew", f"{report.status}: {report.reason}", level)

    def _on_approval_ended(self, event: ApprovalEnded) -> None:
        """From the order loop: the row of the spike says what became of its entry."""
        spike_id = event.approval.proposal.spike_id
        status, note = _outcome_of(event.approval)
        if spike_id in self._claimed:
            self._ended[spike_id] = (status, note)
        self._board.update_spike(spike_id, status, note)
        self._records.write(lambda tables: tables.spikes.set_status(spike_id, status, note))

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
