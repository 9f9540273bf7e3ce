"""Sets our books right by the venue's account: small differences by rule, others by an operator."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from decimal import Decimal

from trading.clock import DAY_MS, Clock
from trading.errors import StoreError
from trading.execution.books import Books
from trading.execution.desk import OrderDesk
from trading.execution.journal import Journal
from trading.execution.positions import RECONCILED, WRITTEN_OFF
from trading.execution.reconcile_config import ReconcileConfig
from trading.model.order import ZERO
from trading.model.reconciliation import AssetComparison
from trading.risk.sizing import percent

logger = logging.getLogger(__name__)


class Corrections:
    """On the order loop. What was set right counts against a limit for 24 hours."""

    def __init__(
        self,
        *,
        books: Books,
        desk: OrderDesk,
        journal: Journal,
        clock: Clock,
        config: ReconcileConfig,
    ) -> None:
        self._books = books
        self._desk = desk
        self._journal = journal
        self._clock = clock
        self._config = config

    def may_fix(self, found: Iterable[AssetComparison]) -> bool:
        """Whether all of ``found`` is small enough, and not too much in sum."""
        equity = self._books.account.equity
        total = ZERO
        for one in found:
            if one.value is None or one.value > equity * percent(self._config.tolerance_pct):
                return False
            total += one.value
        try:
            total += self._journal.reconciliations.fixed_since(self._clock.now_ms() - DAY_MS)
        except StoreError:
            logger.exception("what was set right before cannot be read")
            return False
        return total <= equity * percent(self._config.fix_limit_pct)

    def fix(self, found: Iterable[AssetComparison]) -> Decimal:
        """Set small differences right; returns what they were worth, in the quote asset."""
        total = ZERO
        for one in found:
            total += one.value or ZERO
            self._correct(one, RECONCILED)
        return total

    def accept(self, found: Iterable[AssetComparison]) -> None:
        """An operator took the venue's word: what it does not have is given up, and money that
        came or went is neither won nor lost."""
        for one in found:
            if one.asset == self._books.account.quote_asset:
                self._books.account.marks.shift(one.difference)
            self._correct(one, WRITTEN_OFF)

    def _correct(self, one: AssetComparison, reason: str) -> None:
        account = self._books.account
        if one.asset == account.quote_asset:
            account.move_cash(one.difference)
            return
        missing = max(-one.difference, ZERO)
        for held in self._books.positions.all():
            if missing > 0 and self._books.base_asset(held.symbol) == one.asset:
                gone = min(missing, held.quantity)
                missing -= gone
                effects = self._books.write_off(held, gone, reason)
                self._desk.apply(effects, f"writing off {gone} of {held.symbol}")
        # What is left of it is not of our positions: more, or less, of the account's own.
        external = account.external.get(one.asset, ZERO)
        account.external[one.asset] = external + max(one.difference, ZERO) - missing
