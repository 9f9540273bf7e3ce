"""Portfolio limits, checked and reserved in one step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from trading.clock import MINUTE_MS
from trading.errors import RiskLimitError
from trading.model.order import ZERO
from trading.risk.reservations import Reservation, ReservationBook
from trading.risk.risk_config import RiskConfig
from trading.risk.sizing import HUNDRED, percent


@dataclass(frozen=True, slots=True)
class AccountView:
    """The account at one moment, in the quote asset.

    ``cash`` is what is held of the quote asset, locked or not; ``open_notional`` is the positions'
    value by symbol.
    """

    equity: Decimal
    cash: Decimal
    day_start_equity: Decimal
    open_notional: Mapping[str, Decimal]

    @property
    def daily_loss_pct(self) -> Decimal:
        """Loss since the start of the UTC day in % of the equity then; negative for a gain."""
        if self.day_start_equity <= 0:
            return ZERO
        return (self.day_start_equity - self.equity) / self.day_start_equity * HUNDRED


class RiskLimits:
    """Checks an entry against every limit and reserves its exposure atomically. Thread-safe."""

    def __init__(self, config: RiskConfig, reservations: ReservationBook) -> None:
        self._config = config
        self._reservations = reservations
        self._sent_at_ms: deque[int] = deque()  # guarded by the reservation book's lock

    def reserve(
        self,
        order_id: str,
        symbol: str,
        notional: Decimal,
        *,
        account: Callable[[], AccountView],
        now_ms: int,
    ) -> None:
        """Reserve ``notional`` for one entry.

        ``account`` is read under the lock, so that no other reservation comes between.

        Raises:
            RiskLimitError: names the rule, its limit and the value.
        """

        def check(reserved: Mapping[str, Decimal]) -> None:
            self._check(symbol, notional, account(), reserved, now_ms)
            self._sent_at_ms.append(now_ms)

        self._reservations.reserve(order_id, Reservation(symbol, notional), check)

    def check(self, symbol: str, notional: Decimal, account: AccountView, now_ms: int) -> None:
        """The same checks without reserving.

        Raises:
            RiskLimitError: as ``reserve`` would.
        """
        self._check(symbol, notional, account, self._reservations.by_symbol(), now_ms)

    def restore_sent(self, times_ms: list[int]) -> None:
        """Entries of the last minute from before a restart count too."""
        self._sent_at_ms.extend(sorted(times_ms))

    def max_exposure(self, equity: Decimal) -> Decimal:
        return equity * percent(self._config.max_portfolio_exposure_pct)

    def _check(
        self,
        symbol: str,
        notional: Decimal,
        account: AccountView,
        reserved: Mapping[str, Decimal],
        now_ms: int,
    ) -> None:
        config = self._config
        if account.daily_loss_pct >= Decimal(str(config.max_daily_loss_pct)):
            raise RiskLimitError(
                "max_daily_loss_pct",
                limit=str(config.max_daily_loss_pct),
                value=f"{account.daily_loss_pct:.2f}",
            )
        busy = {*account.open_notional, *reserved}
        if symbol in busy:
            raise RiskLimitError(
                "one_position_per_symbol", limit="1", value="2", message=f"{symbol} is under way"
            )
        if len(busy) >= config.max_concurrent_positions:
            raise RiskLimitError(
                "max_concurrent_positions",
                limit=str(config.max_concurrent_positions),
                value=str(len(busy) + 1),
            )
        max_position = account.equity * percent(config.max_position_pct)
        if notional > max_position:
            raise RiskLimitError(
                "max_position_pct", limit=f"{max_position:.2f}", value=f"{notional:.2f}"
            )
        promised = sum(reserved.values(), ZERO)
        exposure = sum(account.open_notional.values(), ZERO) + promised + notional
        max_exposure = self.max_exposure(account.equity)
        if exposure > max_exposure:
            raise RiskLimitError(
                "max_portfolio_exposure_pct", limit=f"{max_exposure:.2f}", value=f"{exposure:.2f}"
            )
        if promised + notional > account.cash:
            raise RiskLimitError(
                "cash", limit=f"{account.cash:.2f}", value=f"{promised + notional:.2f}"
            )
        self._forget_before(now_ms - MINUTE_MS)
        if len(self._sent_at_ms) >= config.max_orders_per_minute:
            raise RiskLimitError(
                "max_orders_per_minute",
                limit=str(config.max_orders_per_minute),
                value=str(len(self._sent_at_ms) + 1),
            )

    def _forget_before(self, time_ms: int) -> None:
        while self._sent_at_ms and self._sent_at_ms[0] <= time_ms:
            self._sent_at_ms.popleft()
