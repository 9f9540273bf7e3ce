"""Keeps the record of a run on virtual money."""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from functools import partial

from trading.clock import Clock
from trading.errors import MarketDataError, StoreError
from trading.execution.account import AccountBook
from trading.execution.journal import Journal
from trading.storage.position_repository import ClosedTrade

logger = logging.getLogger(__name__)


class SimulationRecord:
    """One session, from its begin to its end. Its rows halt nothing: a failure is logged."""

    def __init__(self, journal: Journal, account: AccountBook, clock: Clock, market: str) -> None:
        self._journal = journal
        self._account = account
        self._clock = clock
        self._market = market
        self._id: int | None = None

    def begin(self, *, resumed: bool) -> None:
        """Note the balance to begin with. Raises MarketDataError before it is known."""
        if resumed:
            self._id = self._journal.simulations.running(self._journal.venue)
        if self._id is not None:
            return
        balance = self._equity()

        def insert() -> None:
            self._id = self._journal.simulations.begin(
                self._journal.venue,
                self._market,
                self._account.quote_asset,
                balance,
                self._clock.now_ms(),
            )

        self._write("the begin of the simulation", insert)

    def on_trade(self, trade: ClosedTrade) -> None:
        if self._id is not None:
            add = partial(self._journal.simulations.add_trade, self._id, trade)
            self._write("a simulated trade", add)

    def end(self) -> None:
        """Note the final balance, where it is known."""
        if self._id is None:
            return
        try:
            balance: Decimal | None = self._equity()
        except MarketDataError:
            balance = None
        end = partial(self._journal.simulations.end, self._id, balance, self._clock.now_ms())
        self._write("the end of the simulation", end)
        self._id = None

    def _equity(self) -> Decimal:
        return self._account.portfolio(()).equity

    def _write(self, what: str, write: Callable[[], object]) -> None:
        try:
            self._journal.write(what, write)
        except StoreError:
            logger.exception("%s could not be stored", what)
