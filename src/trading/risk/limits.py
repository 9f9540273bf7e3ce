"""The risk engine's second half: rules for sized entries, checked and reserved in one step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from trading.clock import HOUR_MS, MINUTE_MS
from trading.errors import RiskLimitError
from trading.risk.approvals import ApprovalLedger
from trading.risk.entry_facts import (
    AccountView,
    EntryFacts,
    EntryOrder,
    MarketConditions,
    SentEntry,
    TradeHistory,
)
from trading.risk.entry_rules import ENTRY_RULES
from trading.risk.reservations import Reservation, ReservationBook
from trading.risk.risk_config import RiskConfig
from trading.risk.rule import Rule, first_breach
from trading.risk.sizing import percent


class RiskLimits:
    """Asks every rule about an entry, and reserves its exposure atomically. Thread-safe.

    ``approvals`` learns what passed; an entry that is not in there cannot be sent.
    """

    def __init__(
        self,
        config: RiskConfig,
        reservations: ReservationBook,
        *,
        approvals: ApprovalLedger | None = None,
        rules: Iterable[Rule[EntryFacts]] = ENTRY_RULES,
    ) -> None:
        self._config = config
        self._reservations = reservations
        self.approvals = approvals or ApprovalLedger()
        self._rules = tuple(rules)
        self._sent: deque[SentEntry] = deque()  # guarded by the reservation book's lock
        self._proposed_at_ms: deque[int] = deque()

    def note_proposal(self, now_ms: int) -> None:
        """Count a proposal, whatever becomes of it. On the order loop.

        Raises:
            RiskLimitError: there were too many; this one is not to be looked at.
        """
        while self._proposed_at_ms and self._proposed_at_ms[0] <= now_ms - MINUTE_MS:
            self._proposed_at_ms.popleft()
        limit = self._config.max_proposals_per_minute
        if len(self._proposed_at_ms) >= limit:
            raise RiskLimitError("max_proposals_per_minute", limit=str(limit), value=str(limit + 1))
        self._proposed_at_ms.append(now_ms)

    def reserve(
        self,
        order_id: str,
        order: EntryOrder,
        *,
        account: Callable[[], AccountView],
        market: MarketConditions,
        history: TradeHistory,
        now_ms: int,
    ) -> None:
        """Approve one entry and reserve what it costs.

        ``account`` is read under the lock, so that no other reservation comes between.

        Raises:
            RiskLimitError: names the rule, its limit and the value.
        """

        def check(reserved: Mapping[str, Decimal]) -> None:
            self._check(self._facts(order, account(), reserved, market, history, now_ms))
            self._sent.append(SentEntry(now_ms, order.symbol))
            self.approvals.approve(order_id, order.notional)

        self._reservations.reserve(order_id, Reservation(order.symbol, order.notional), check)

    def release(self, order_id: str) -> None:
        """The entry was not sent, and will not be: its room and its approval are free again."""
        self.approvals.withdraw(order_id)
        self._reservations.release(order_id)

    def check(
        self,
        order: EntryOrder,
        account: AccountView,
        market: MarketConditions,
        history: TradeHistory,
        now_ms: int,
    ) -> None:
        """The same checks without reserving.

        Raises:
            RiskLimitError: as ``reserve`` would.
        """
        reserved = self._reservations.by_symbol()
        self._check(self._facts(order, account, reserved, market, history, now_ms))

    def restore_sent(self, entries: Iterable[SentEntry]) -> None:
        """Entries of the last hour from before a restart count too."""
        self._sent.extend(sorted(entries, key=lambda entry: entry.time_ms))

    def max_exposure(self, equity: Decimal) -> Decimal:
        return equity * percent(self._config.max_portfolio_exposure_pct)

    def _facts(
        self,
        order: EntryOrder,
        account: AccountView,
        reserved: Mapping[str, Decimal],
        market: MarketConditions,
        history: TradeHistory,
        now_ms: int,
    ) -> EntryFacts:
        while self._sent and self._sent[0].time_ms <= now_ms - HOUR_MS:
            self._sent.popleft()
        return EntryFacts(
            now_ms=now_ms,
            order=order,
            account=account,
            reserved=reserved,
            history=history,
            market=market,
            sent=tuple(self._sent),
        )

    def _check(self, facts: EntryFacts) -> None:
        found = first_breach(self._rules, facts, self._config)
        if found is not None:
            rule, breach = found
            raise RiskLimitError(
                rule, limit=breach.limit, value=breach.value, message=breach.message
            )
