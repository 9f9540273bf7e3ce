"""``ExecutionService``: everything between a proposal and the venue, as one object.

All coroutines run on one event loop (the order thread's). A trip may come from any thread: its
barrier waits for sends in flight, and the sweep is then started on the service's loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from trading.clock import HOUR_MS, Clock
from trading.errors import (
    ExchangeError,
    MarketDataError,
    OrderNotFoundError,
    SpikeguardError,
)
from trading.events import EventBus
from trading.exchange.protocols import ExchangeClient
from trading.execution.assembly import Parts, assemble
from trading.execution.books import TradeClosedHook
from trading.execution.config import ExecutionConfig
from trading.execution.foundation import Surroundings
from trading.execution.gateway import rule_of
from trading.execution.operations import OrderOperations
from trading.execution.shared_halt import Clearance, always_clear
from trading.execution.simulation import SimulationRecord
from trading.model.breaker import BreakerSnapshot, BreakerStatus, Quiet
from trading.model.decision import ProposalOutcome, ProposalResult, RiskPreview, TradeProposal
from trading.model.market import Instrument
from trading.model.operations import Approval
from trading.model.order import OrderPurpose, OrderReport, OrderStatus
from trading.model.portfolio import Portfolio
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.compliance_config import ComplianceConfig
from trading.risk.entry_facts import ReadConditions, SentEntry
from trading.risk.risk_config import RiskConfig
from trading.storage.config import StorageConfig
from trading.storage.database import open_database
from trading.storage.order_repository import OrderRecord
from trading.storage.risk_event_repository import ACCOUNT_FORGOTTEN

logger = logging.getLogger(__name__)

T = TypeVar("T")
STOP_TIMEOUT_S = 5.0


class ExecutionService:
    """Owns gateway, journal, positions, sweep and reconciliation.

    ``price`` gives a symbol's last traded price or None, ``entry_price`` the same while it is
    recent enough to enter by (``price`` by default); ``data_fresh`` says whether market data may
    be acted on; ``conditions`` reads the market of a pair that is to be entered.
    ``clearance`` gives a reason why no entry may leave this process just now, or None.
    ``wait_clock`` measures waits for the venue (unknown outcomes, retries): real time
    on a venue whose market time runs faster; the market clock by default.
    """

    def __init__(
        self,
        *,
        client: ExchangeClient,
        breaker: CircuitBreaker,
        breaker_config: CircuitBreakerConfig,
        clock: Clock,
        bus: EventBus,
        risk: RiskConfig,
        execution: ExecutionConfig,
        storage: StorageConfig,
        compliance: ComplianceConfig | None = None,
        price: Callable[[str], float | None],
        entry_price: Callable[[str], float | None] | None = None,
        instruments: Mapping[str, Instrument],
        data_fresh: Callable[[], bool],
        conditions: ReadConditions,
        clearance: Clearance = always_clear,
        quote_asset: str = "USDT",
        wait_clock: Clock | None = None,
    ) -> None:
        self._around = Surroundings(
            client=client,
            breaker=breaker,
            breaker_config=breaker_config,
            clock=clock,
            wait_clock=wait_clock or clock,
            bus=bus,
            risk=risk,
            execution=execution,
            compliance=compliance or ComplianceConfig(),
            storage=storage,
            price=price,
            entry_price=entry_price or price,
            instruments=instruments,
            data_fresh=data_fresh,
            conditions=conditions,
            clearance=clearance,
            quote_asset=quote_asset,
        )
        self._breaker = breaker
        self._opened: Parts | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # None: not started, or stopped
        self._account_since_ms = 0
        self._ending = False
        self._simulation: SimulationRecord | None = None
        self._sends: set[asyncio.Task[Any]] = set()
        self.operations = OrderOperations(self._around, lambda: self._parts, self._propose_whole)

    # Life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the store, adopt open orders and positions, compare them with the venue's.

        A venue that cannot be asked does not stop the start: the service is then not reconciled
        and tries again. While the breaker is TRIGGERED, the sweep is taken up again.

        Raises StoreError when the store cannot be opened.
        """
        parts = self._open()
        parts.books.restore(self._account_since_ms)
        parts.sizer.trades_since_ms = self._account_since_ms
        parts.desk.restore()
        parts.desk.on_change = self._on_order_change
        now_ms = self._around.clock.now_ms()
        sent = parts.journal.orders.entries_since(now_ms - HOUR_MS)
        parts.limits.restore_sent(SentEntry(*entry) for entry in sent)
        parts.books.account.marks.restore()
        self._loop = asyncio.get_running_loop()
        self._breaker.add_trip_listener(self._barrier)
        self._breaker.subscribe(self._on_breaker_change)
        await parts.trust.compare()
        if self._breaker.snapshot.status is BreakerStatus.TRIGGERED:
            parts.halt.begin(self._breaker.snapshot, new_halt=True)
        for held in parts.books.positions.all():
            self._protect(held.symbol)
        await parts.jobs.settle()
        self.operations.resume_liquidation()

    async def stop(self, *, cancel_entries: bool = True) -> None:
        """Cancel open entries (protective stops stay), finish what runs, close the store."""
        parts = self._opened
        if parts is None:
            return
        self._ending = True
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await asyncio.gather(*self._sends, return_exceptions=True)
                if cancel_entries:
                    await self._cancel_entries(parts)
                await parts.jobs.settle()
        except TimeoutError:
            logger.warning("work was still under way at the end; it is in the journal")
        self._loop = None
        await parts.jobs.cancel()
        parts.halt.end()
        parts.equity_meter.measure(self._around.clock.now_ms())
        if self._simulation is not None:
            self._simulation.end()
        parts.journal.close()
        self._opened = None

    async def forget_account(self, reason: str) -> None:
        """Before ``start``: the venue's account is a new one, so nothing we remember exists there.

        Open orders and positions of the old account are closed in the store, without a trade.
        """
        parts = self._open()
        now_ms = self._around.clock.now_ms()
        writes: list[Callable[[], object]] = []
        for record in parts.journal.orders.not_final():
            gone = replace(record, status=OrderStatus.CANCELED, reason=reason, updated_at_ms=now_ms)
            writes.append(partial(parts.journal.orders.update, gone))
        for row in parts.journal.positions.open():
            writes.append(partial(parts.journal.positions.remove, row.entry_id))
        note = partial(parts.risk_events.record, ACCOUNT_FORGOTTEN, reason, now_ms, severity="info")
        writes.append(note)
        writes.append(parts.journal.equity_marks.forget)
        parts.journal.write("forgetting the old account", *writes)
        self._account_since_ms = now_ms

    async def record_simulation(self, market: str, *, resumed: bool) -> None:
        """After ``start``: the money is virtual; keep the run's balances and trades on record.

        ``resumed`` goes on with the session of a core before this one.
        """
        parts = self._parts
        record = SimulationRecord(parts.journal, parts.books.account, self._around.clock, market)
        try:
            record.begin(resumed=resumed)
        except MarketDataError as error:  # the venue did not answer at the start
            logger.warning("this simulation is not recorded: %s", error)
            return
        self._simulation = record
        parts.books.on_trade_closed(record.on_trade)

    # Proposals and commands ----------------------------------------------------------------

    async def propose(self, proposal: TradeProposal) -> ProposalResult:
        """Submit an entry. Refusals come back as a result, not as an exception.

        A caller that goes away does not interrupt the send.
        """
        return await self._propose_whole(proposal)

    async def preview(self, proposal: TradeProposal) -> RiskPreview:
        """What ``propose`` would say now, without reserving anything.

        Raises MarketDataError before the account's balances are known.
        """
        return await self._parts.gateway.preview(proposal)

    async def close_position(self, symbol: str, reason: str) -> ProposalResult:
        """Sell the whole position at market. Refusals come back as a result."""
        return await self._uninterrupted(self._close_position(symbol, reason))

    async def cancel(self, client_order_id: str, reason: str) -> OrderReport:
        """Cancel one of our entries; the report says what became of it.

        Raises:
            OrderNotFoundError: no such entry of ours (protective stops are not for cancelling).
            ExchangeError: the venue could not be asked.
        """
        record = self._parts.desk.find(client_order_id)
        if record is None or not record.purpose.increases_risk:
            raise OrderNotFoundError(f"{client_order_id} is no entry of ours")
        cancelled = await self._uninterrupted(self._parts.desk.cancel(client_order_id, reason))
        return cancelled.report()

    async def portfolio(self) -> Portfolio:
        """Raises MarketDataError before the account's balances are known."""
        parts = self._parts
        return parts.books.account.portfolio(parts.desk.live())

    def on_trade_closed(self, hook: TradeClosedHook) -> None:
        """Have ``hook`` called on the loop after each round trip. Call it after ``start``."""
        self._parts.books.on_trade_closed(hook)

    # What comes from the venue -------------------------------------------------------------

    def on_report(self, report: OrderReport) -> None:
        """A report of the user stream; idempotent. From any thread."""
        self._on_loop(lambda: self._absorb(report))

    def on_gap(self, reason: str) -> None:
        """The user stream may have missed something: reconcile. From any thread."""
        self._on_loop(lambda: self._parts.trust.doubt(reason))

    async def advance(self, now_ms: int) -> None:
        """Start what is due: expiries, unknown outcomes, exits, the sweep, reconciliation.

        Waits for nothing; ``settle`` does.
        """
        if self._loop is None:
            return
        parts = self._parts
        parts.watch.advance(now_ms)
        parts.equity_meter.advance(now_ms)
        parts.controls.follow()
        parts.compliance.expire(now_ms)
        parts.halt.advance(now_ms)
        parts.trust.advance()

    async def settle(self) -> None:
        """Wait until all work started by reports, trips and ``advance`` is done."""
        await self._parts.jobs.settle()

    # Figures -------------------------------------------------------------------------------

    @property
    def has_pending_work(self) -> bool:
        return self._opened is not None and self._opened.jobs.busy

    @property
    def unknown_orders(self) -> int:
        """Orders of unknown outcome."""
        return self._opened.desk.unknown if self._opened else 0

    @property
    def reconciled(self) -> bool:
        """Whether our orders and positions are as the venue has them, as far as we know."""
        return self._opened is not None and self._opened.trust.is_reconciled

    @property
    def quiet(self) -> Quiet:
        """The trip that has come to rest, or what it waits for. From any thread."""
        return self._opened.quiescence.quiet if self._opened else Quiet()

    @property
    def counters(self) -> dict[str, int]:
        return self._opened.counters if self._opened else {}

    async def capital_saved(self) -> Decimal | None:
        """Actual minus shadow equity of the current or latest halt; None before the first."""
        return self._opened.halt.capital_saved if self._opened else None

    # Inside --------------------------------------------------------------------------------

    @property
    def _parts(self) -> Parts:
        if self._opened is None:
            raise MarketDataError("the order path is not running")
        return self._opened

    def _open(self) -> Parts:
        if self._opened is None:
            connection = open_database(self._around.storage, check=False)
            self._opened = assemble(self._around, connection)
        return self._opened

    async def _propose_whole(
        self, proposal: TradeProposal, consent: Approval | None = None
    ) -> ProposalResult:
        return await self._uninterrupted(self._propose(proposal, consent))

    async def _propose(self, proposal: TradeProposal, consent: Approval | None) -> ProposalResult:
        if self._ending:
            reason = "the program is ending"
            return ProposalResult(outcome=ProposalOutcome.REFUSED, rule="ending", reason=reason)
        parts = self._parts
        result = await parts.gateway.submit_entry(proposal, consent)
        if result.filled_quantity > 0:
            stop = await parts.protector.ensure(proposal.symbol)
            if stop is not None:
                result = result.model_copy(update={"stop_client_order_id": stop.id})
        return result

    async def _cancel_entries(self, parts: Parts) -> None:
        for record in parts.desk.live(purpose=OrderPurpose.ENTRY):
            try:
                await parts.desk.cancel(record.id, "the program ends")
            except ExchangeError as error:
                logger.warning("entry %s could not be cancelled: %s", record.id, error)

    async def _close_position(self, symbol: str, reason: str) -> ProposalResult:
        try:
            sold = await self._parts.protector.close(symbol, reason)
        except SpikeguardError as error:
            return ProposalResult(
                outcome=ProposalOutcome.REFUSED, rule=rule_of(error), reason=str(error)
            )
        if sold is None:
            return ProposalResult(
                outcome=ProposalOutcome.REFUSED,
                rule="no_position",
                reason=f"nothing of {symbol} is held",
            )
        return self._parts.gateway.result(sold)

    def _absorb(self, report: OrderReport) -> None:
        if self._parts.desk.absorb(report) is None:
            logger.info("a report on order %s, which is not ours", report.client_order_id)

    def _on_order_change(self, record: OrderRecord) -> None:
        """An order moved: its position's stop may have to follow."""
        if self._loop is None:
            return
        protected = not record.purpose.increases_risk
        if protected or self._parts.books.positions.get(record.symbol) is not None:
            self._protect(record.symbol)

    def _protect(self, symbol: str) -> None:
        parts = self._parts
        parts.jobs.start(f"protect {symbol}", partial(parts.protector.ensure, symbol))

    def _barrier(self) -> tuple[str, ...]:
        """The breaker's trip barrier; on the tripping thread."""
        if self._opened is None:
            return ()
        return self._opened.gate.close_and_wait(self._around.execution.wire_barrier_timeout_ms)

    def _on_breaker_change(self, previous: BreakerSnapshot, current: BreakerSnapshot) -> None:
        self._on_loop(lambda: self._parts.halt.on_change(previous, current))

    def _on_loop(self, work: Callable[[], None]) -> None:
        """Run ``work`` on the service's loop: at once when there, else soon; never when stopped."""
        loop = self._loop
        if loop is None:
            return
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is loop:
            work()
        else:
            loop.call_soon_threadsafe(lambda: work() if self._loop is loop else None)

    async def _uninterrupted(self, work: Coroutine[Any, Any, T]) -> T:
        """Finish ``work`` even when the caller is cancelled: an order half sent is worse."""
        task = asyncio.get_running_loop().create_task(work)
        self._sends.add(task)
        task.add_done_callback(self._sends.discard)
        return await asyncio.shield(task)
