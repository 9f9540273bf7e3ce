"""Forced orders of one asset that feed on each other."""

from __future__ import annotations

from collections import deque

from trading.market.config import LiquidationCascadeConfig
from trading.market.spike_report import Sighting, confidence_of, move_over, support_of
from trading.market.symbol_state import SymbolState
from trading.market.windows import FIVE_MINUTES, SPANS_MS, WINDOW_MINUTES
from trading.model.signals import Liquidation
from trading.model.spike import SpikeDirection, SpikeType


class RollingLiquidations:
    """Notional of longs and shorts that were closed by force within five minutes, exactly."""

    __slots__ = ("_orders", "longs_usd", "newest_ms", "shorts_usd")

    def __init__(self) -> None:
        self._orders: deque[tuple[int, float, bool]] = deque()
        self.longs_usd = 0.0
        self.shorts_usd = 0.0
        self.newest_ms = 0

    def add(self, order: Liquidation) -> None:
        """Take an order. One that arrives late counts as of the newest one's time."""
        self.newest_ms = max(self.newest_ms, order.time_ms)
        self._orders.append((self.newest_ms, order.notional_usd, order.is_long))
        if order.is_long:
            self.longs_usd += order.notional_usd
        else:
            self.shorts_usd += order.notional_usd
        self.expire(self.newest_ms)

    def expire(self, now_ms: int) -> None:
        """Drop what is five minutes old or older."""
        orders, cutoff_ms = self._orders, now_ms - SPANS_MS[FIVE_MINUTES]
        while orders and orders[0][0] <= cutoff_ms:
            _, notional_usd, is_long = orders.popleft()
            if is_long:
                self.longs_usd -= notional_usd
            else:
                self.shorts_usd -= notional_usd
        if not orders:  # running sums start afresh whenever nothing is left
            self.longs_usd = self.shorts_usd = 0.0

    @property
    def total_usd(self) -> float:
        return self.longs_usd + self.shorts_usd


class LiquidationCascade:
    """Sees ``usd_5m`` or more of one asset; the side that lost more gives the direction."""

    def __init__(self, config: LiquidationCascadeConfig) -> None:
        self._config = config
        self._sums: dict[str, RollingLiquidations] = {}

    def on_liquidation(self, state: SymbolState, order: Liquidation) -> Sighting | None:
        """The pair's windows must be current."""
        limit = self._config.usd_5m
        sums = self._sums.setdefault(state.symbol, RollingLiquidations())
        sums.add(order)
        total = sums.total_usd
        if total < limit:
            return None
        # Longs are closed by selling: the price is driven down.
        longs_lost = sums.longs_usd >= sums.shorts_usd
        direction = SpikeDirection.DOWN if longs_lost else SpikeDirection.UP
        side = "longs" if longs_lost else "shorts"
        lost = max(sums.longs_usd, sums.shorts_usd)
        return Sighting(
            type=SpikeType.LIQUIDATION,
            direction=direction,
            value=total,
            limit=limit,
            move_pct=move_over(state, FIVE_MINUTES),
            minutes=WINDOW_MINUTES[FIVE_MINUTES],
            confidence=confidence_of(total / limit, support_of(state, direction, FIVE_MINUTES)),
            time_ms=order.time_ms,
            evidence=f"{total / 1e6:.1f} M USD liquidated within 5 min, {lost / total:.0%} of it"
            f" {side}, limit {limit / 1e6:g} M USD",
            window=FIVE_MINUTES,
        )
