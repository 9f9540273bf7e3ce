"""Compliance on the order path: the operator's rules, and consent to single entries.

Only entries come here. A sell that closes or protects a position never does.
"""

from __future__ import annotations

from decimal import Decimal

from trading.clock import DAY_MS, Clock
from trading.errors import DecisionRejectedError, OrderNotFoundError, RiskLimitError
from trading.events import ApprovalEnded, ApprovalRequested, EventBus
from trading.execution.account import AccountBook
from trading.execution.controls import OperatingControls
from trading.execution.journal import Journal
from trading.model.breaker import Actor
from trading.model.decision import ProposalResult, TradeProposal
from trading.model.operations import Approval, ApprovalStatus
from trading.risk.compliance import DayActivity, check_compliance
from trading.risk.compliance_config import ApprovalMode, ComplianceConfig
from trading.risk.entry_facts import HUNDRED
from trading.risk.risk_config import RiskConfig
from trading.storage.order_repository import OrderRecord
from trading.storage.risk_event_repository import RiskEventRepository

EXPIRED = "nobody decided in time"
RULE, CONSENT = "approval", "a person's consent"


class ComplianceDesk:
    """Checks entries, and keeps those that wait for a person. On the order loop."""

    def __init__(
        self,
        *,
        config: ComplianceConfig,
        risk: RiskConfig,
        journal: Journal,
        controls: OperatingControls,
        account: AccountBook,
        risk_events: RiskEventRepository,
        clock: Clock,
        bus: EventBus,
    ) -> None:
        self._config = config
        self._risk = risk
        self._journal = journal
        self._controls = controls
        self._account = account
        self._risk_events = risk_events
        self._clock = clock
        self._bus = bus
        self._pending = {one.id: one for one in journal.approvals.pending()}

    def check(self, symbol: str, notional: Decimal) -> None:
        """Raise RiskLimitError when the operator's rules are against this entry now."""
        self._controls.check_entry()
        now_ms = self._clock.now_ms()
        view = self._account.view()
        check_compliance(
            self._config,
            symbol,
            notional,
            now_ms=now_ms,
            day=self.day(now_ms),
            day_start_equity=view.day_start_equity,
        )

    def day(self, now_ms: int) -> DayActivity:
        """The day's entries so far, as the journal has them."""
        entries, notional = self._journal.orders.entered_since(now_ms - now_ms % DAY_MS)
        return DayActivity(entries, notional)

    def admit(
        self, proposal: TradeProposal, record: OrderRecord, consent: Approval | None
    ) -> Approval | None:
        """Let ``record`` pass, by returning None, or return the approval that it waits for.

        Raises:
            RiskLimitError: a rule refuses it, or nobody may approve it any more.
        """
        self.check(record.symbol, record.reserved_notional)
        mode = self._config.approval_mode
        if mode is ApprovalMode.AUTO or consent is not None:
            return None
        if mode is ApprovalMode.ALERT_ONLY:
            raise RiskLimitError(
                "approval_mode",
                limit=mode.value,
                value=f"an entry of {record.reserved_notional:.2f}",
                message="it would have been sent",
            )
        asked = self._journal.approvals.of_intent(record.intent_hash)
        if asked is None:
            return self._ask(proposal, record)
        if asked.status is ApprovalStatus.PENDING and self._clock.now_ms() < asked.expires_at_ms:
            return asked
        raise RiskLimitError(RULE, limit=CONSENT, value=asked.status.value, message=asked.reason)

    def _ask(self, proposal: TradeProposal, record: OrderRecord) -> Approval:
        last_price = self._account.price_of(record.symbol)
        spike = self._journal.spikes.find(proposal.spike_id)
        assert last_price is not None  # the validation has seen both
        assert spike is not None
        now_ms = self._clock.now_ms()
        expires_at_ms = min(
            now_ms + int(self._config.approval_timeout_s * 1000),
            spike[1] + self._risk.max_spike_age_ms,
            now_ms + self._risk.max_decision_horizon_ms,
        )
        approval = self._journal.approvals.ask(proposal, record, last_price, expires_at_ms, now_ms)
        self._pending[approval.id] = approval
        self._bus.publish(ApprovalRequested(approval))
        return approval

    def consent(
        self, approval_id: int, reason: str, size_multiplier: float
    ) -> tuple[Approval, TradeProposal]:
        """A person approves: the approval, and the proposal to submit anew.

        It asks for no more than was approved, until the approval ends. One that was approved
        before comes back with its result.

        Raises:
            OrderNotFoundError: there is no such approval.
            DecisionRejectedError: it was refused, it has expired, or the price has moved away.
        """
        approval = self._require(approval_id)
        if approval.status is ApprovalStatus.PENDING:
            self._check_still_good(approval)
            approval = self._decide(approval_id, ApprovalStatus.APPROVED, reason)
        elif approval.status is not ApprovalStatus.APPROVED:
            raise DecisionRejectedError(
                "approval", f"approval {approval_id} is {approval.status}: {approval.reason}"
            )
        multiplier = Decimal(str(size_multiplier))
        # The engine applies the breaker's multiplier to whatever is asked of it.
        most = approval.notional / multiplier if multiplier > 0 else approval.notional
        proposal = approval.proposal.model_copy(
            update={
                "notional": min(approval.proposal.notional, most),
                "deadline_ms": approval.expires_at_ms,
            }
        )
        return approval, proposal

    def refuse(self, approval_id: int, reason: str) -> Approval:
        """A person refuses. Refusing twice is one refusal.

        Raises:
            OrderNotFoundError: there is no such approval.
            DecisionRejectedError: it was approved before, or has expired.
        """
        approval = self._require(approval_id)
        if approval.status is ApprovalStatus.REFUSED:
            return approval
        if approval.status is not ApprovalStatus.PENDING:
            raise DecisionRejectedError("approval", f"approval {approval_id} is {approval.status}")
        return self._decide(approval_id, ApprovalStatus.REFUSED, reason)

    def note_result(self, approval_id: int, result: ProposalResult) -> Approval:
        """What became of an approved entry."""
        approval = self._journal.approvals.note_result(approval_id, result, self._clock.now_ms())
        self._bus.publish(ApprovalEnded(approval))
        return approval

    @property
    def waiting(self) -> tuple[Approval, ...]:
        """Those that wait for a person, oldest first. From any thread."""
        return tuple(self._pending.values())

    def latest(self, limit: int) -> tuple[Approval, ...]:
        """Newest first."""
        return self._journal.approvals.latest(limit)

    def expire(self, now_ms: int) -> None:
        """Close what nobody decided in time."""
        for approval in tuple(self._pending.values()):
            if now_ms >= approval.expires_at_ms:
                self._decide(approval.id, ApprovalStatus.EXPIRED, EXPIRED, actor=Actor.SYSTEM)

    def _check_still_good(self, approval: Approval) -> None:
        if self._clock.now_ms() >= approval.expires_at_ms:
            self._decide(approval.id, ApprovalStatus.EXPIRED, EXPIRED, actor=Actor.SYSTEM)
            raise DecisionRejectedError("approval", f"approval {approval.id} has expired")
        price = self._account.price_of(approval.symbol)
        if price is None:
            self._note(approval, "no_price", "a price", "none", f"no price of {approval.symbol}")
            raise DecisionRejectedError("no_price", f"no price of {approval.symbol}")
        moved_pct = abs(price - approval.last_price) / approval.last_price * HUNDRED
        most_pct = self._risk.price_collar_pct
        if moved_pct > Decimal(str(most_pct)):
            rule, limit, value = "approval_price_moved", f"{most_pct} %", f"{moved_pct:.2f} %"
            why = f"{approval.symbol} moved {value} since it was asked, {limit} allowed"
            self._note(approval, rule, limit, value, why)
            raise DecisionRejectedError(rule, why, limit=limit, value=value)

    def _decide(
        self,
        approval_id: int,
        status: ApprovalStatus,
        reason: str,
        *,
        actor: Actor = Actor.OPERATOR,
    ) -> Approval:
        decided = self._journal.approvals.decide(
            approval_id, status, reason, self._clock.now_ms(), actor=actor.value
        )
        self._pending.pop(approval_id, None)
        if status is not ApprovalStatus.APPROVED:  # that one ends with its result
            self._note(decided, RULE, CONSENT, status.value, f"approval {approval_id}: {reason}")
            self._bus.publish(ApprovalEnded(decided))
        return decided

    def _note(self, approval: Approval, rule: str, limit: str, value: str, message: str) -> None:
        """An entry that a person, or the time that has passed, has kept in."""
        self._risk_events.record(
            rule,
            message,
            self._clock.now_ms(),
            symbol=approval.symbol,
            limit=limit,
            value=value,
            spike_event_id=approval.proposal.spike_id,
        )

    def _require(self, approval_id: int) -> Approval:
        approval = self._journal.approvals.get(approval_id)
        if approval is None:
            raise OrderNotFoundError(f"there is no approval {approval_id}")
        return approval
