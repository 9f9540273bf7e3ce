"""Looks at every position and starts what its price and age call for."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from trading.clock import Clock
from trading.errors import SpikeguardError
from trading.execution.account import AccountBook
from trading.execution.exit_rules import ExitRules
from trading.execution.jobs import Jobs
from trading.execution.positions import HeldPosition, PositionBook
from trading.execution.protector import Protector

logger = logging.getLogger(__name__)


class PositionWatch:
    """Waits for nothing. ``retry_ms`` is the pause after a sale that could not be sent."""

    def __init__(
        self,
        *,
        positions: PositionBook,
        protector: Protector,
        rules: ExitRules,
        account: AccountBook,
        jobs: Jobs,
        wait_clock: Clock,
        data_fresh: Callable[[], bool],
        retry_ms: int,
    ) -> None:
        self._positions = positions
        self._protector = protector
        self._rules = rules
        self._account = account
        self._jobs = jobs
        self._wait_clock = wait_clock
        self._data_fresh = data_fresh
        self._retry_ms = retry_ms
        self._end_again_ms: dict[str, int] = {}

    def advance(self, now_ms: int) -> None:
        """Profits first, then ends, then stops."""
        self._rules.forget_closed()
        for held in self._positions.all():
            symbol = held.symbol
            if self._protector.is_profit_reached(held):
                self._start("profit", symbol, self._protector.take_profit)
            elif (reason := self._end_reason(held, now_ms)) is not None:
                self._start("end", symbol, partial(self._end, reason=reason))
            elif self._follows(held) or self._protector.needs_care(held):
                self._start("protect", symbol, self._protector.ensure)
            elif self._protector.is_overrun(held):
                self._start("check", symbol, self._protector.check_stop)

    def _end_reason(self, held: HeldPosition, now_ms: int) -> str | None:
        if not self._data_fresh() or self._protector.is_pausing(held.symbol):
            return None
        if self._wait_clock.now_ms() < self._end_again_ms.get(held.symbol, 0):
            return None
        price = self._account.price_of(held.symbol)
        if price is not None and held.stop_price is not None and price <= held.stop_price:
            return None  # the stop's own matter: two sales at once would get in each other's way
        return self._rules.end_reason(held, price, now_ms)

    async def _end(self, symbol: str, *, reason: str) -> None:
        self._end_again_ms[symbol] = self._wait_clock.now_ms() + self._retry_ms
        try:
            await self._protector.close(symbol, reason)
        except SpikeguardError as error:
            logger.warning("%s of %s: not sold yet: %s", reason, symbol, error)

    def _follows(self, held: HeldPosition) -> bool:
        """Whether a trailing or break-even stop has moved up."""
        price = self._account.price_of(held.symbol)
        if price is None or not self._data_fresh():
            return False
        wanted = self._rules.stop_price(held, price)
        return wanted is not None and self._protector.raise_stop(held, wanted)

    def _start(self, what: str, symbol: str, duty: Callable[[str], Awaitable[object]]) -> None:
        self._jobs.start(f"{what} {symbol}", partial(duty, symbol), again=False)
