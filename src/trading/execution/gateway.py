"""``OrderGateway``: the only way from a proposal to the venue."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from decimal import Decimal

from trading.clock import Clock
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
from trading.execution.desk import OrderDesk
from trading.execution.journal import Journal, client_order_id, entry_identity, intent_hash
from trading.execution.shared_halt import Clearance
from trading.model.breaker import BreakerSnapshot
from trading.model.decision import ProposalOutcome, ProposalResult, RiskPreview, TradeProposal
from trading.model.market import Instrument
from trading.model.order import (
    ZERO,
    OrderPurpose,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from trading.risk.decision_validation import ProposalFacts, SpikeFacts, validate_proposal
from trading.risk.limits import RiskLimits
from trading.risk.reservations import ReservationBook
from trading.risk.risk_config import RiskConfig
from trading.risk.sizing import SizedEntry, percent, size_entry
from trading.storage.order_repository import OrderRecord
from trading.storage.risk_event_repository import RiskEventRepository

logger = logging.getLogger(__name__)

HALTED_RULE = "breaker_halted"


class OrderGateway:
    """Validation → size → reservation → journal → gate → venue → outcome. On the order loop.

    ``snapshot`` and ``entries_blocked`` read the breaker.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        desk: OrderDesk,
        account: AccountBook,
        limits: RiskLimits,
        reservations: ReservationBook,
        risk_events: RiskEventRepository,
        bus: EventBus,
        clock: Clock,
        config: RiskConfig,
        instruments: Mapping[str, Instrument],
        price: Callable[[str], float | None],
        data_fresh: Callable[[], bool],
        snapshot: Callable[[], BreakerSnapshot],
        entries_blocked: Callable[[], bool],
        clearance: Clearance,
    ) -> None:
        self._journal = journal
        self._desk = desk
        self._account = account
        self._limits = limits
        self._reservations = reservations
        self._risk_events = risk_events
        self._bus = bus
        self._clock = clock
        self._config = config
        self._instruments = instruments
        self._price = price
        self._data_fresh = data_fresh
        self._snapshot = snapshot
        self._entries_blocked = entries_blocked
        self._clearance = clearance
        self.refused = 0
        self.sent = 0

    async def submit_entry(self, proposal: TradeProposal) -> ProposalResult:
        """One entry, sent at most once, however often it is proposed.

        Refusals come back as a result and are recorded in risk_events.
        """
        digest = intent_hash(
            entry_identity(self._journal.venue, proposal.spike_id, proposal.symbol)
        )
        known = self._journal.orders.by_intent(digest)
        if known is not None:
            return self._known(known)
        try:
            size, limit_price = self._size(proposal)
            record = self._record(proposal, digest, size, limit_price)
            self._reserve(record)
            try:
                self._journal.open_entry(record)
                sent = await self._desk.send(record)
            except BaseException:
                if not self._desk.is_live(record.id):
                    self._reservations.release(record.id)
                raise
        except SpikeguardError as error:
            return self._refuse(proposal, error)
        self.sent += 1
        return self.result(sent)

    def preview(self, proposal: TradeProposal) -> RiskPreview:
        """What ``submit_entry`` would say now; reserves nothing.

        Raises MarketDataError before the first account snapshot.
        """
        view = self._account.view()
        multiplier = self._snapshot().size_multiplier
        rule, reason, size = None, "", SizedEntry(ZERO, ZERO, ZERO)
        try:
            size, _ = self._size(proposal)
            self._limits.check(proposal.symbol, size.notional, view, self._clock.now_ms())
        except SpikeguardError as error:
            rule, reason = rule_of(error), str(error)
        return RiskPreview(
            approved=rule is None,
            rule=rule,
            reason=reason,
            notional=size.notional,
            quantity=size.quantity,
            size_multiplier=multiplier,
            risk_amount=size.risk_amount,
            equity=view.equity,
            exposure=sum(view.open_notional.values(), ZERO) + self._reservations.total,
            max_exposure=self._limits.max_exposure(view.equity),
        )

    def _size(self, proposal: TradeProposal) -> tuple[SizedEntry, Decimal]:
        """Validated size and limit price. Raises what refuses the proposal."""
        snapshot = self._snapshot()
        if self._entries_blocked():
            raise TradingHaltedError(f"the breaker is {snapshot.status}: {snapshot.reason}")
        objection = self._clearance()
        if objection is not None:
            raise TradingHaltedError(objection)
        instrument = self._instruments.get(proposal.symbol)
        validate_proposal(proposal, self._facts(proposal, instrument, snapshot), self._config)
        assert instrument is not None  # the validation refuses unknown symbols
        limit_price = self._limit_price(proposal, instrument)
        size = size_entry(
            equity=self._account.equity,
            stop_loss_pct=proposal.stop_loss_pct,
            requested_notional=proposal.notional,
            limit_price=limit_price,
            size_multiplier=snapshot.size_multiplier,
            instrument=instrument,
            config=self._config,
        )
        return size, limit_price

    def _facts(
        self, proposal: TradeProposal, instrument: Instrument | None, snapshot: BreakerSnapshot
    ) -> ProposalFacts:
        spike = self._journal.spikes.find(proposal.spike_id)
        return ProposalFacts(
            now_ms=self._clock.now_ms(),
            epoch=snapshot.epoch,
            data_fresh=self._data_fresh(),
            last_price=self._price(proposal.symbol),
            instrument=instrument,
            spike=SpikeFacts(*spike) if spike is not None else None,
        )

    def _limit_price(self, proposal: TradeProposal, instrument: Instrument) -> Decimal:
        """The most an entry may pay.

        Every entry has a limit, a market entry, too: it goes out as an immediate-or-cancel limit
        ``max_slippage_pct`` above the last price, so that a thin book cannot run away with it.
        """
        last = self._account.price_of(proposal.symbol)
        if last is None:
            raise MarketDataError(f"no last price of {proposal.symbol}")
        price = proposal.limit_price
        if proposal.entry_type is OrderType.MARKET or price is None:
            slips = proposal.entry_type is not OrderType.LIMIT_MAKER
            price = last * (1 + percent(self._config.max_slippage_pct)) if slips else last
        return max(instrument.round_price(price, up=False), instrument.tick_size)

    def _record(
        self, proposal: TradeProposal, digest: str, size: SizedEntry, limit_price: Decimal
    ) -> OrderRecord:
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
                quantity=size.quantity,
                limit_price=limit_price,
                time_in_force=time_in_force,
                purpose=OrderPurpose.ENTRY,
            ),
            intent_hash=digest,
            epoch=proposal.epoch,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
            spike_id=proposal.spike_id,
            reserved_notional=size.notional,
            stop_loss_pct=proposal.stop_loss_pct,
            take_profit_pct=proposal.take_profit_pct,
            deadline_ms=proposal.deadline_ms,
        )

    def _reserve(self, record: OrderRecord) -> None:
        self._limits.reserve(
            record.id,
            record.symbol,
            record.reserved_notional,
            account=self._account.view,
            now_ms=self._clock.now_ms(),
        )

    def _refuse(self, proposal: TradeProposal, error: SpikeguardError) -> ProposalResult:
        self.refused += 1
        rule = rule_of(error)
        try:
            self._risk_events.record(
                rule,
                str(error),
                self._clock.now_ms(),
                severity="warning" if isinstance(error, StoreError) else "notice",
                symbol=proposal.symbol,
                limit=getattr(error, "limit", None),
                value=getattr(error, "value", None),
                spike_event_id=proposal.spike_id,
                breaker_epoch=self._snapshot().epoch,
            )
        except StoreError:
            logger.exception("a refusal could not be recorded")
        self._bus.publish(EntryRefused(symbol=proposal.symbol, rule=rule, reason=str(error)))
        return ProposalResult(outcome=ProposalOutcome.REFUSED, rule=rule, reason=str(error))

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
