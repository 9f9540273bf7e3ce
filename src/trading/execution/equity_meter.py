"""Measures once a minute of market time what the account is worth."""

from __future__ import annotations

from trading.clock import MINUTE_MS
from trading.events import EquityMeasured, EventBus
from trading.execution.account import AccountBook
from trading.execution.halt import HaltResponse
from trading.model.portfolio import EquityPoint


class EquityMeter:
    """On the order loop; listeners on ``bus`` must not hold it up."""

    def __init__(self, account: AccountBook, halt: HaltResponse, bus: EventBus) -> None:
        self._account = account
        self._halt = halt
        self._bus = bus
        self._minute: int | None = None

    def advance(self, now_ms: int) -> None:
        """Measure when a new minute has begun."""
        minute = now_ms // MINUTE_MS
        if minute != self._minute and self._account.known:
            self._minute = minute
            self.measure(now_ms)

    def measure(self, now_ms: int) -> None:
        """Measure now, where the balances are known."""
        if not self._account.known:
            return
        point = EquityPoint(
            time_ms=now_ms,
            equity=self._account.equity,
            cash=self._account.cash,
            without_breaker=self._halt.equity_without_breaker,
        )
        self._bus.publish(EquityMeasured(point))
