"""The order desk: sends an order once, folds in what is heard of it, resolves what is not known."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal

from trading.clock import DAY_MS, Clock
from trading.errors import (
    AuthenticationError,
    ClockSkewError,
    DecisionRejectedError,
    ExchangeConnectionError,
    ExchangeError,
    OrderNotFoundError,
    OrderRejectedError,
    RateLimitedError,
    RiskLimitError,
    StoreError,
    TradingHaltedError,
    UnknownOutcomeError,
)
from trading.events import EventBus
from trading.exchange.protocols import ExchangeClient
from trading.execution.books import Books, Effects
from trading.execution.config import ExecutionConfig
from trading.execution.fill_gaps import FillGaps
from trading.execution.gate import Gate, GateIntent, SendPermit
from trading.execution.journal import Journal
from trading.execution.ledger import fold
from trading.model.order import Fill, OrderPurpose, OrderReport, OrderRequest, OrderStatus
from trading.risk.approvals import ApprovalLedger
from trading.storage.order_repository import OrderRecord

logger = logging.getLogger(__name__)

SETTLE_EVERY_MS = 5_000  # a store that is locked makes each attempt wait
LOOK_AGAIN_AT_MOST = 20  # ended orders at one comparison: each weighs a query
ABSENT_ANSWERS = 2  # one lagging replica of the venue must not free an order's exposure

# The venue refused the request before it looked at the order.
_NOT_TAKEN = (RateLimitedError, ClockSkewError, AuthenticationError)


@dataclass(slots=True)
class _Search:
    """How long an order's outcome has been unknown, on the wait clock, and when to ask again."""

    since_ms: int
    next_ms: int
    pause_ms: int
    absent: int = 0  # "not found" answers since the grace was over


class OrderDesk:
    """Owns the live orders. Everything but ``unknown`` is the order loop's own.

    ``on_store_failure`` is told when the store fails after an order was sent: the order's state
    is then kept in memory and the failure is a reason to halt.
    """

    def __init__(
        self,
        *,
        client: ExchangeClient,
        journal: Journal,
        gate: Gate,
        books: Books,
        bus: EventBus,
        clock: Clock,
        wait_clock: Clock,
        config: ExecutionConfig,
        on_store_failure: Callable[[StoreError], None],
        approvals: ApprovalLedger,
    ) -> None:
        self._client = client
        self._journal = journal
        self._gate = gate
        self._books = books
        self._bus = bus
        self._clock = clock
        self._wait_clock = wait_clock
        self._config = config
        self._on_store_failure = on_store_failure
        self._approvals = approvals
        self._live: dict[str, OrderRecord] = {}
        self._fills: dict[str, dict[str, Fill]] = {}
        self._sending: set[str] = set()
        self._searches: dict[str, _Search] = {}
        self._gaps = FillGaps(wait_clock, config)
        self._settle_at_ms = 0
        self._looked_ms = clock.now_ms() - DAY_MS
        self.refused_until_ms = 0  # the venue takes no order before that; on the wait clock
        self.changes = 0  # rises with every change of any order
        self.on_change: Callable[[OrderRecord], None] = lambda _: None
        books.is_live = self.is_live

    def restore(self) -> None:
        """Take up the journal's unfinished orders; those never answered are of unknown outcome."""
        for record in self._journal.orders.not_final():
            if not self._books.knows(record.symbol):
                continue
            self._live[record.id] = record
            if record.is_unresolved:
                self._live[record.id] = replace(record, status=OrderStatus.UNKNOWN)
                self._search(record.id)
        yesterday_ms = self._clock.now_ms() - DAY_MS
        for record in (*self.live(), *self._journal.orders.ended_since(yesterday_ms)):
            if self._books.knows(record.symbol):
                self._gaps.note(record, self._journal.fills.of_order(record.id))

    def live(
        self, *, purpose: OrderPurpose | None = None, entry_id: str | None = None
    ) -> list[OrderRecord]:
        """Orders that are not final, oldest first."""
        return [
            record
            for record in self._live.values()
            if (purpose is None or record.purpose is purpose)
            and (entry_id is None or record.entry_id == entry_id)
        ]

    def is_live(self, client_order_id: str) -> bool:
        return client_order_id in self._live

    def is_sending(self, client_order_id: str) -> bool:
        """Whether the answer to the send is still awaited."""
        return client_order_id in self._sending

    def find(self, client_order_id: str) -> OrderRecord | None:
        """One of our orders, live or done."""
        return self._live.get(client_order_id) or self._journal.orders.get(client_order_id)

    @property
    def unknown(self) -> int:
        """Orders of unknown outcome. From any thread."""
        live = tuple(self._live.values())  # one step, so that no change comes between
        return sum(record.is_unresolved and record.id not in self._sending for record in live)

    async def send(self, record: OrderRecord) -> OrderRecord:
        """Send a journalled order, once; returns its record as far as the outcome is known.

        Raises:
            RiskLimitError: an entry that the risk engine did not approve; nothing was sent.
            TradingHaltedError, DecisionRejectedError: the gate refused; nothing was sent.
        """
        self._live[record.id] = record
        self._sending.add(record.id)
        try:
            try:
                self._spend_approval(record.request)
                permit = self._gate.enter(
                    GateIntent(
                        record.id,
                        record.symbol,
                        record.purpose,
                        record.epoch,
                        record.deadline_ms,
                    )
                )
            except (TradingHaltedError, DecisionRejectedError, RiskLimitError) as error:
                self._conclude(record.id, OrderStatus.REJECTED, str(error))
                raise
            try:
                await self._submit(record, permit)
            finally:
                permit.done()
        finally:
            self._sending.discard(record.id)
        final = self.find(record.id)
        if final is None:
            raise StoreError(f"order {record.id} has vanished from the journal")
        if final.is_unresolved:
            self._search(final.id)
        return final

    def check_reduction(self, purpose: OrderPurpose, symbol: str) -> None:
        """Raise TradingHaltedError when the gate would refuse a reducing order now."""
        self._gate.check_reduction(purpose, symbol)

    def absorb(self, report: OrderReport) -> OrderRecord | None:
        """Fold a report into our record; None when the order is not ours. Idempotent."""
        before = self.find(report.client_order_id)
        if before is None or before.symbol != report.symbol:
            return None
        fills = self._fills_of(before.id)
        new = tuple(fill for fill in report.fills if fill.trade_id not in fills)
        known = [*fills.values(), *new]
        after = fold(before, report, known, self._clock.now_ms())
        if after is before and not new:
            return before
        for fill in new:
            fills[fill.trade_id] = fill
        self._commit(before, after, known, new)
        return after

    async def refresh(self, client_order_id: str) -> OrderRecord:
        """Ask the venue for one of our orders. Raises ExchangeError when it cannot be asked."""
        record = self._require(client_order_id)
        try:
            report = await self._client.query_order(record.symbol, record.id)
        except OrderNotFoundError:
            return await self._not_found(client_order_id)
        return self.absorb(report) or record

    async def cancel(self, client_order_id: str, reason: str) -> OrderRecord:
        """Cancel one of our orders; the returned record says whether that is confirmed.

        Raises ExchangeError when the venue cannot be asked.
        """
        record = self._require(client_order_id)
        if record.status.is_final:
            return record
        if record.is_unresolved:
            record = await self.refresh(client_order_id)
            if not record.status.is_open:
                return record
        try:
            report = await self._client.cancel_order(record.symbol, record.id)
        except OrderNotFoundError:
            return await self.refresh(client_order_id)
        return self.absorb(report.model_copy(update={"reason": report.reason or reason})) or record

    @property
    def uncertain_notional(self) -> Decimal:
        """What was executed at fees that are assumed; quote asset."""
        return self._gaps.uncertain_notional

    def balance_taken(self) -> None:
        """The venue's balance is ours now, whatever was assumed."""
        self._gaps.accept()

    async def look_again_at_ended(self) -> None:
        """Ask once more for orders that came to their end since the last time: the venue may
        have executed more of one than it said at first. Raises ExchangeError."""
        now_ms = self._clock.now_ms()
        for order_id in self._journal.orders.finished_since(self._looked_ms, LOOK_AGAIN_AT_MOST):
            await self.refresh(order_id)
        self._looked_ms = now_ms

    @property
    def has_questions(self) -> bool:
        """Whether ``resolve_due`` may have something to ask, or to write."""
        return bool(self._gaps) or self.unknown > 0 or self._journal.owes

    async def resolve_due(self) -> None:
        """Query every order of unknown outcome, or with unknown fills, whose pause is over; and
        write what the store has refused."""
        now_ms = self._wait_clock.now_ms()
        if self._journal.owes and now_ms >= self._settle_at_ms:
            self._settle_at_ms = now_ms + SETTLE_EVERY_MS
            with suppress(StoreError):  # it was reported when it began
                self._journal.settle()
        for record in self.live():
            if not record.is_unresolved or record.id in self._sending:
                continue
            search = self._search(record.id)
            if now_ms < search.next_ms:
                continue
            search.next_ms = now_ms + search.pause_ms
            search.pause_ms = min(search.pause_ms * 2, self._config.unknown_query_max_interval_ms)
            try:
                await self.refresh(record.id)
            except ExchangeError as error:
                logger.warning("order %s is still of unknown outcome: %s", record.id, error)
        for order_id in self._gaps.due():
            try:
                await self.refresh(order_id)
            except ExchangeError as error:
                logger.warning("the fills of %s are still missing: %s", order_id, error)

    def apply(self, effects: Effects, what: str) -> None:
        """Make effects durable and tell the bus. A failing store is reported, not raised, and
        gets them as soon as it works again."""
        try:
            self._journal.write_or_owe(what, *effects.writes)
        except StoreError as error:
            logger.exception("%s could not be stored", what)
            self._on_store_failure(error)
        for event in effects.events:
            self._bus.publish(event)
        self._books.finish(effects)

    def _spend_approval(self, request: OrderRequest) -> None:
        if request.purpose.increases_risk:
            # An entry without a limit price could cost anything, so that nothing covers it.
            price = request.limit_price or Decimal("Infinity")
            self._approvals.spend(request.client_order_id, request.quantity * price)

    async def _submit(self, record: OrderRecord, permit: SendPermit) -> None:
        self._live[record.id] = replace(record, sent_at_ms=self._clock.now_ms())
        try:
            report = await self._client.submit_order(record.request, permit.on_wire)
        except OrderRejectedError as error:
            self._conclude(record.id, OrderStatus.REJECTED, str(error))
        except _NOT_TAKEN as error:
            if isinstance(error, RateLimitedError):
                self.refused_until_ms = self._wait_clock.now_ms() + int(error.retry_after_s * 1000)
            self._never_sent(record.id, f"not taken: {error}")
        except (TradingHaltedError, ExchangeConnectionError) as error:
            if permit.left:
                self._conclude(record.id, OrderStatus.UNKNOWN, str(error))
            else:
                self._never_sent(record.id, f"not sent: {error}")
        except UnknownOutcomeError as error:
            # A client that wraps the fence's refusal still has not sent anything.
            status = OrderStatus.REJECTED if permit.refused else OrderStatus.UNKNOWN
            self._conclude(record.id, status, str(error))
        except asyncio.CancelledError:
            self._conclude(record.id, OrderStatus.UNKNOWN, "interrupted while sending")
            self._search(record.id)
            raise
        except Exception as error:
            logger.exception("sending %s failed in an unforeseen way", record.id)
            status = OrderStatus.REJECTED if permit.refused else OrderStatus.UNKNOWN
            self._conclude(record.id, status, f"{type(error).__name__}: {error}")
        else:
            if self.absorb(report) is None:
                self._conclude(record.id, OrderStatus.UNKNOWN, "the answer names another order")

    async def _not_found(self, client_order_id: str) -> OrderRecord:
        """The venue does not know the order: a rejection only once it cannot arrive any more."""
        record = self._require(client_order_id)
        if not record.is_unresolved or record.id in self._sending:
            return record
        search = self._search(record.id)
        if self._wait_clock.now_ms() - search.since_ms < self._config.not_found_grace_ms:
            return record
        search.absent += 1
        if search.absent < ABSENT_ANSWERS:
            return record
        for report in await self._client.open_orders(record.symbol):
            if report.client_order_id == record.id:
                return self.absorb(report) or record
        self._conclude(record.id, OrderStatus.REJECTED, "never reached the venue")
        return self._require(client_order_id)

    def _never_sent(self, client_order_id: str, reason: str) -> None:
        """The venue has not seen the order, so it has not refused it either."""
        record = self._live.get(client_order_id)
        if record is not None:
            self._live[client_order_id] = replace(record, sent_at_ms=None)
        self._conclude(client_order_id, OrderStatus.REJECTED, reason)

    def _conclude(self, client_order_id: str, status: OrderStatus, reason: str) -> None:
        """Our own verdict; a status that the venue reported meanwhile stands."""
        before = self._live.get(client_order_id)
        if before is None or not before.is_unresolved:
            return
        after = replace(before, status=status, reason=reason, updated_at_ms=self._clock.now_ms())
        self._commit(before, after, list(self._fills_of(before.id).values()), ())

    def _commit(
        self, before: OrderRecord, after: OrderRecord, known: list[Fill], new: tuple[Fill, ...]
    ) -> None:
        self.changes += 1
        if after.status.is_final:
            self._live.pop(after.id, None)
            self._fills.pop(after.id, None)
            self._searches.pop(after.id, None)
        else:
            self._live[after.id] = after
            if not after.is_unresolved:
                self._searches.pop(after.id, None)
        self._gaps.note(after, known)
        effects = self._books.change(before, after, known, new)
        self.apply(effects, f"order {after.id}")
        self.on_change(after)

    def _require(self, client_order_id: str) -> OrderRecord:
        record = self.find(client_order_id)
        if record is None:
            raise OrderNotFoundError(f"{client_order_id} is no order of ours")
        return record

    def _fills_of(self, client_order_id: str) -> dict[str, Fill]:
        fills = self._fills.get(client_order_id)
        if fills is None:
            fills = {f.trade_id: f for f in self._journal.fills.of_order(client_order_id)}
            if client_order_id in self._live:
                self._fills[client_order_id] = fills
        return fills

    def _search(self, client_order_id: str) -> _Search:
        search = self._searches.get(client_order_id)
        if search is None:
            now_ms = self._wait_clock.now_ms()
            pause_ms = self._config.unknown_query_interval_ms
            search = _Search(now_ms, now_ms + pause_ms, pause_ms)
            self._searches[client_order_id] = search
        return search
