"""Whether our books can be trusted, and what follows when they cannot."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from decimal import Decimal

from trading.clock import Clock
from trading.errors import StoreError
from trading.execution.books import Books
from trading.execution.config import ExecutionConfig
from trading.execution.corrections import Corrections
from trading.execution.desk import OrderDesk
from trading.execution.jobs import Jobs
from trading.execution.journal import Journal
from trading.execution.quiescence import Quiescence
from trading.execution.reconcile import Comparison, Reconciler
from trading.model.breaker import Actor, BreakerSnapshot
from trading.model.order import ZERO, OrderReport
from trading.model.reconciliation import ReconciliationOutcome, ReconciliationReport
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.risk_event_repository import RiskEventRepository

logger = logging.getLogger(__name__)

RULE = "reconciliation"
SCHEDULED, AT_START = "schedule", "start"
NOT_COMPARED = "the venue's account was not compared with our books yet"


class BookTrust:
    """Runs comparisons on time; a confirmed difference is set right, or trips and latches.

    After a trip they follow one another quickly, until it has come to rest.
    """

    def __init__(
        self,
        *,
        reconciler: Reconciler,
        corrections: Corrections,
        journal: Journal,
        books: Books,
        desk: OrderDesk,
        quiescence: Quiescence,
        breaker: CircuitBreaker,
        risk_events: RiskEventRepository,
        jobs: Jobs,
        clock: Clock,
        wait_clock: Clock,
        config: ExecutionConfig,
    ) -> None:
        self._reconciler = reconciler
        self._corrections = corrections
        self._journal = journal
        self._books = books
        self._desk = desk
        self._quiescence = quiescence
        self._breaker = breaker
        self._risk_events = risk_events
        self._jobs = jobs
        self._clock = clock
        self._wait_clock = wait_clock
        self._config = config
        self._clean = False
        self._next_ms = 0
        self._too_early = False  # the last comparison began before the trip's work was done
        self._seen: dict[str, Decimal] = {}
        self._repeats = 0
        self._seen_ms = 0
        self._accepting = False
        self._cause = AT_START
        self._last_said: object = None
        self._reported_orders: set[str] = set()
        self._distrusted: frozenset[str] = frozenset()  # base assets
        self._why = NOT_COMPARED
        self._stands_apart = False

    @property
    def objection(self) -> str:
        """Why the books are not reconciled, for people; empty when they are."""
        if self.is_reconciled:
            return ""
        return self._why or f"{self._desk.unknown} orders of unknown outcome"

    @property
    def stands_apart(self) -> bool:
        """Whether the last comparison showed a difference that only an operator can accept."""
        return self._stands_apart

    @property
    def is_reconciled(self) -> bool:
        """Whether the last comparison was clean, nothing was missed since and all is known."""
        return self._clean and not self._distrusted and self._desk.unknown == 0

    def is_trusted(self, symbol: str) -> bool:
        """Whether the position in ``symbol`` is known to be what the venue has."""
        return self._books.base_asset(symbol) not in self._distrusted

    def doubt(self, reason: str) -> None:
        """Something may have been missed: not reconciled until a comparison has been clean."""
        logger.info("reconciling: %s", reason)
        self._clean, self._stands_apart = False, False
        self._why = NOT_COMPARED
        self._cause = reason
        self._jobs.start("reconcile", self.compare)

    def advance(self) -> None:
        overdue = self._too_early and self._quiescence.calm() is not None
        if overdue or self._wait_clock.now_ms() >= self._next_ms:
            self._jobs.start("reconcile", self.compare, again=False)

    def halted(self, trip: BreakerSnapshot, *, new_halt: bool) -> None:
        """A trip, or a further one: compare at once, until it has come to rest."""
        self._quiescence.begin(trip, new_halt=new_halt)
        self._next_ms = 0
        self._cause = "trip"

    def resumed(self) -> None:
        """The halt is over."""
        self._quiescence.end()

    def accept(self) -> None:
        """An operator released the latch: what the venue says now is the truth."""
        if not self._distrusted:
            return
        self._accepting = True
        self._cause = "an operator released the latch"
        self._jobs.start("reconcile", self.compare)

    async def compare(self) -> None:
        """One comparison and its consequences."""
        cause, self._cause = self._cause, SCHEDULED
        began_ms = self._wait_clock.now_ms()
        calm = self._quiescence.calm()
        self._too_early = calm is None and self._quiescence.awaited
        result = await self._reconciler.compare()
        self._quiescence.weigh(calm, result)
        settled = result.is_clean and not self._quiescence.awaited
        pause_ms = (
            self._config.reconcile_interval_ms if settled else self._config.reconcile_retry_ms
        )
        self._next_ms = self._wait_clock.now_ms() + pause_ms
        self._report_external(result.external_orders)
        outcome, fixed_value = self._conclude(result)
        self._why = _objection(outcome, result)
        self._stands_apart = outcome is ReconciliationOutcome.LATCHED
        held = {self._books.base_asset(one.symbol) for one in self._books.positions.all()}
        report = ReconciliationReport(
            time_ms=self._clock.now_ms(),
            cause=cause,
            outcome=outcome,
            problem=result.problem or _listed(result.differences),
            assets=tuple(
                one for one in result.assets if one in result.differing or one.asset in held
            ),
            external_orders=tuple(order.client_order_id for order in result.external_orders),
            fixed_value=fixed_value,
            duration_ms=self._wait_clock.now_ms() - began_ms,
        )
        self._record(report)

    def _conclude(self, result: Comparison) -> tuple[ReconciliationOutcome, Decimal]:
        """What follows of ``result``, and what was set right by rule, in the quote asset."""
        if not result.complete:
            logger.info("comparison not concluded: %s", result.problem)
            return ReconciliationOutcome.INCOMPLETE, ZERO
        outcome, fixed_value = ReconciliationOutcome.CLEAN, ZERO
        if result.differences and self._accepting:
            self._corrections.accept(result.differing)
            outcome = ReconciliationOutcome.ACCEPTED
        elif result.differences:
            if not self._is_confirmed(result):
                self._clean = False
                return ReconciliationOutcome.DIFFERS, ZERO
            if not self._corrections.may_fix(result.differing):
                self._clean = False
                self._trip(result)
                return ReconciliationOutcome.LATCHED, ZERO
            fixed_value = self._corrections.fix(result.differing)
            outcome = ReconciliationOutcome.FIXED
            logger.warning("set right: %s", _listed(result.differences))
        self._accepting = False
        self._distrusted = frozenset()
        self._clean = True
        self._seen, self._repeats = {}, 0
        return outcome, fixed_value

    def _is_confirmed(self, result: Comparison) -> bool:
        """Whether the same difference showed often enough to be real.

        Looks in quick succession count as one: the venue's account may lag behind its orders.
        """
        now_ms = self._wait_clock.now_ms()
        if result.differences != self._seen:
            self._repeats, self._seen = 0, result.differences
        elif now_ms - self._seen_ms < self._config.reconcile_retry_ms:
            return False
        self._repeats += 1
        self._seen_ms = now_ms
        return self._repeats >= self._config.difference_confirmations

    def _trip(self, result: Comparison) -> None:
        if self._distrusted >= result.differences.keys():
            return  # it stands already, and every look would raise the epoch
        self._distrusted |= result.differences.keys()
        self._breaker.trigger(
            f"the venue's balances differ from our books: {_listed(result.differences)}",
            {"differences": {asset: str(value) for asset, value in result.differences.items()}},
            actor=Actor.SYSTEM,
            rule=RULE,
            latch=True,
        )

    def _record(self, report: ReconciliationReport) -> None:
        """Store the report; of a row of failures, or of looks at a known difference, the first."""
        said = (report.outcome, report.problem, report.external_orders)
        repeated = said == self._last_said
        self._last_said = said
        if repeated and report.outcome is not ReconciliationOutcome.CLEAN:
            return
        reconciliations = self._journal.reconciliations
        try:
            self._journal.write("a reconciliation", lambda: reconciliations.record(report))
        except StoreError:
            logger.exception("a reconciliation could not be recorded")

    def _report_external(self, orders: tuple[OrderReport, ...]) -> None:
        for order in orders:
            if order.client_order_id in self._reported_orders:
                continue
            self._reported_orders.add(order.client_order_id)
            logger.warning("order %s is not ours; left alone", order.client_order_id)
            try:
                self._risk_events.record(
                    "external_order",
                    f"an open order that is not ours: {order.side} {order.quantity}",
                    self._clock.now_ms(),
                    severity="warning",
                    symbol=order.symbol,
                    client_order_id=order.client_order_id,
                )
            except StoreError:
                logger.exception("an external order could not be recorded")


def _objection(outcome: ReconciliationOutcome, result: Comparison) -> str:
    if outcome is ReconciliationOutcome.INCOMPLETE:
        return f"the venue's account could not be compared: {result.problem}"
    differs = f"the venue's account differs from our books: {_listed(result.differences)}"
    if outcome is ReconciliationOutcome.LATCHED:
        return f"{differs}; `breaker clear` accepts what it says"
    return differs if outcome is ReconciliationOutcome.DIFFERS else ""


def _listed(differences: Mapping[str, Decimal]) -> str:
    return ", ".join(
        f"{asset} {change.normalize():+f}" for asset, change in sorted(differences.items())
    )
