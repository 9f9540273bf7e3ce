"""``OrderGateway``: the only way from a proposal to the venue."""

from __future__ import annotations

import logging
from collections.abc import Callable

from trading.clock import Clock, iso
from trading.errors import (
    DecisionRejectedError,
    MarketDataError,
    RiskLimitError,
    SpikeguardError,
    StoreError,
    TradingHaltedError,
)
from trading.events import EntryRefused, EventBus
from trading.execution.account import AccountBook
from trading.execution.compliance import ComplianceDesk
from trading.execution.desk import OrderDesk
from trading.execution.entry_sizing import EntrySizer, SizedProposal
from trading.execution.journal import Journal, client_order_id, entry_identity, intent_hash
from trading.model.breaker import BreakerSnapshot
from trading.model.decision import ProposalOutcome, ProposalResult, RiskPreview, TradeProposal
from trading.model.operations import Approval
from trading.model.order import (
    ZERO,
    OrderPurpose,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from trading.risk.limits import RiskLimits
from trading.risk.reservations import ReservationBook
from trading.risk.sizing import SizedEntry
from trading.storage.order_repository import OrderRecord
from trading.storage.risk_event_repository import RiskEventRepository

logger = logging.getLogger(__name__)

HALTED_RULE = "breaker_halted"


class OrderGateway:
    """Validation → market → size → reservation → journal → gate → venue → outcome. On the order
    loop.

    ``snapshot`` reads the breaker.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        desk: OrderDesk,
        account: AccountBook,
        limits: RiskLimits,
        reservations: ReservationBook,
        sizer: EntrySizer,
        risk_events: RiskEventRepository,
        bus: EventBus,
        clock: Clock,
        snapshot: Callable[[], BreakerSnapshot],
        compliance: ComplianceDesk,
    ) -> None:
        self._journal = journal
        self._desk = desk
        self._account = account
        self._limits = limits
        self._reservations = reservations
        self._risk_events = risk_events
        self._bus = bus
        self._clock = clock
        self._sizer = sizer
        self._snapshot = snapshot
        self._compliance = compliance
        self.refused = 0
        self.sent = 0

    async def submit_entry(
        self, proposal: TradeProposal, consent: Approval | None = None
    ) -> ProposalResult:
        """One entry, sent at most once, however often it is proposed.

        Refusals come back as a result and are recorded in risk_events. ``consent`` is a person's;
        without one the entry may have to wait for it.
        """
        digest = intent_hash(
            entry_identity(self._journal.venue, proposal.spike_id, proposal.symbol)
        )
        known = self._journal.orders.by_intent(digest)
        if known is not None:
            return self._known(known)
        try:
            self._limits.note_proposal(self._clock.now_ms())
            market = await self._sizer.market(proposal)
            known = self._journal.orders.by_intent(digest)  # it may have come twice at once
            if known is not None:
                return self._known(known)
            sized = self._sizer.size(proposal, market)
            record = self._record(proposal, digest, sized)
            self._reserve(record, sized)
            try:
                waiting = self._compliance.admit(proposal, record, consent)
                if waiting is not None:
                    self._limits.release(record.id)
                    return _awaiting(waiting)
                self._journal.open_entry(record)
                sent = await self._desk.send(record)
            except BaseException:
                if not self._desk.is_live(record.id):
                    self._limits.release(record.id)
                raise
        except SpikeguardError as error:
            return self._refuse(proposal, error)
        self.sent += 1
        return self.result(sent)

    async def preview(self, proposal: TradeProposal) -> RiskPreview:
        """What ``submit_entry`` would say now; reserves nothing.

        Raises MarketDataError before the first account snapshot.
        """
        self._account.view()  # nothing can be said without one
        rule, reason, size = None, "", SizedEntry(ZERO, ZERO, ZERO)
        try:
            sized = self._sizer.size(proposal, await self._sizer.market(proposal))
            size = sized.size
            view = self._account.view()
            now_ms = self._clock.now_ms()
            self._limits.check(sized.order, view, sized.market, sized.history, now_ms)
            self._compliance.check(proposal.symbol, size.notional)
        except SpikeguardError as error:
            rule, reason = rule_of(error), str(error)
            self._record_refusal(proposal, error)  # a crew that asked first proposes nothing
        view = self._account.view()
        return RiskPreview(
            approved=rule is None,
            rule=rule,
            reason=reason,
            notional=size.notional,
            quantity=size.quantity,
            size_multiplier=self._sizer.multiplier(),
            risk_amount=size.risk_amount,
            equity=view.equity,
            exposure=sum(view.open_notional.values(), ZERO) + self._reservations.total,
            max_exposure=self._limits.max_exposure(view.equity),
        )

    def _record(self, proposal: TradeProposal, digest: str, sized: SizedProposal) -> OrderRecord:
        now_ms = self._clock.now_ms()
        kind, time_in_force = {
            OrderType.MARKET: (OrderType.LIMIT, TimeInForce.IOC),
            OrderType.LIMIT: (OrderType.LIMIT, TimeInForce.GTC),
            OrderType.LIMIT_MAKER: (OrderType.LIMIT_MAKER, None),
        }[proposal.entry_type]
        return OrderRecord(
            request=OrderRequest(
                client_order_id=client_order_id(digest),
                symbol=proposal.symbol,
                side=Side.BUY,
                type=kind,
                quantity=sized.order.quantity,
                limit_price=sized.order.limit_price,
                time_in_force=time_in_force,
                purpose=OrderPurpose.ENTRY,
            ),
            intent_hash=digest,
            epoch=proposal.epoch,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
            spike_id=proposal.spike_id,
            reserved_notional=sized.order.notional,
            stop_loss_pct=proposal.stop_loss_pct,
            take_profit_pct=proposal.take_profit_pct,
            deadline_ms=proposal.deadline_ms,
            decision_price=sized.order.last_price,
        )

    def _reserve(self, record: OrderRecord, sized: SizedProposal) -> None:
        self._limits.reserve(
            record.id,
            sized.order,
            account=self._account.view,
            market=sized.market,
            history=sized.history,
            now_ms=self._clock.now_ms(),
        )

    def _refuse(self, proposal: TradeProposal, error: SpikeguardError) -> ProposalResult:
        self.refused += 1
        rule = rule_of(error)
        self._record_refusal(proposal, error)
        self._bus.publish(EntryRefused(symbol=proposal.symbol, rule=rule, reason=str(error)))
        return ProposalResult(outcome=ProposalOutcome.REFUSED, rule=rule, reason=str(error))

    def _record_refusal(self, proposal: TradeProposal, error: SpikeguardError) -> None:
        snapshot = self._snapshot()
        limit, value = getattr(error, "limit", None), getattr(error, "value", None)
        if isinstance(error, TradingHaltedError):
            limit, value = "entries allowed", str(snapshot.status)
        try:
            self._risk_events.record(
                rule_of(error),
                str(error),
                self._clock.now_ms(),
                severity="warning" if isinstance(error, StoreError) else "notice",
                symbol=proposal.symbol,
                limit=limit,
                value=value,
                spike_event_id=proposal.spike_id,
                breaker_epoch=snapshot.epoch,
            )
        except StoreError:
            logger.exception("a refusal could not be recorded")

    def _known(self, record: OrderRecord) -> ProposalResult:
        """The same intent again: its one order's outcome, and nothing is sent."""
        result = self.result(self._desk.find(record.id) or record)
        return result.model_copy(
            update={"reason": f"proposed before: {result.reason or result.outcome}"}
        )

    def result(self, record: OrderRecord) -> ProposalResult:
        """What an order's record means to whoever asked for it."""
        rule, reason = None, record.reason
        if record.status in (OrderStatus.PENDING, OrderStatus.UNKNOWN):
            outcome = ProposalOutcome.UNKNOWN
        elif record.status is OrderStatus.REJECTED:
            outcome = ProposalOutcome.REFUSED
            rule = "venue_rejected" if record.sent_at_ms is not None else "not_sent"
        elif record.status.is_final and record.filled_quantity == 0:
            outcome, rule = ProposalOutcome.REFUSED, "not_filled"
            reason = reason or f"the order is {record.status} without a fill"
        else:
            outcome = ProposalOutcome.ACCEPTED
        return ProposalResult(
            outcome=outcome,
            client_order_id=record.id,
            rule=rule,
            reason=reason,
            filled_quantity=record.filled_quantity,
            average_price=record.average_price,
            notional_approved=record.reserved_notional,
        )


def _awaiting(approval: Approval) -> ProposalResult:
    return ProposalResult(
        outcome=ProposalOutcome.AWAITING_APPROVAL,
        rule="approval_mode",
        reason=f"approval {approval.id} waits for a person until {iso(approval.expires_at_ms)}",
        notional_approved=approval.notional,
    )


def rule_of(error: SpikeguardError) -> str:
    """The short name under which a refusal is recorded."""
    if isinstance(error, (DecisionRejectedError, RiskLimitError)):
        return error.rule
    if isinstance(error, TradingHaltedError):
        return HALTED_RULE
    if isinstance(error, StoreError):
        return "store"
    if isinstance(error, MarketDataError):
        return "market_data"
    return type(error).__name__
