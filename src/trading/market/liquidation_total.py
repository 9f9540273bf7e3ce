"""Forced orders of all futures within the last hour, and how much of it was heard."""

from __future__ import annotations

from collections import deque

from trading.market.crash_config import LiquidationTotalConfig

HOUR_MS = 3_600_000


class LiquidationTotal:
    """A rolling sum in USD. The venue's stream leaves orders out, so it is a lower bound."""

    def __init__(self, config: LiquidationTotalConfig) -> None:
        self._config = config
        self._orders: deque[tuple[int, float]] = deque()
        self._total = 0.0
        self._heard: list[tuple[int, int]] = []  # from, to, of finished connections
        self._connected_ms: int | None = None

    @property
    def is_expected(self) -> bool:
        """Whether there ever was a stream to hear them on."""
        return self._connected_ms is not None or bool(self._heard)

    def connected(self, now_ms: int) -> None:
        if self._connected_ms is None:
            self._connected_ms = now_ms

    def lost(self, now_ms: int) -> None:
        if self._connected_ms is not None:
            self._heard.append((self._connected_ms, now_ms))
            self._connected_ms = None
        while self._heard[1:] and self._heard[0][1] <= now_ms - HOUR_MS:
            del self._heard[0]

    def add(self, notional_usd: float, time_ms: int) -> None:
        """Take an order; one that comes late counts from the latest time."""
        if self._orders:
            time_ms = max(time_ms, self._orders[-1][0])
        self._orders.append((time_ms, notional_usd))
        self._total += notional_usd

    def usd(self, now_ms: int) -> float:
        """The sum of the orders with ``now - 1 h < time``."""
        orders, since_ms = self._orders, now_ms - HOUR_MS
        while orders and orders[0][0] <= since_ms:
            self._total -= orders.popleft()[1]
        if not orders:
            self._total = 0.0  # and with it the sum's rounding
        return max(0.0, self._total)

    @property
    def is_connected(self) -> bool:
        return self._connected_ms is not None

    def is_known(self, now_ms: int) -> bool:
        """Whether the stream was heard for enough of the last hour, up just now or not."""
        since_ms = now_ms - HOUR_MS
        heard_ms = sum(max(0, end - max(start, since_ms)) for start, end in self._heard)
        if self._connected_ms is not None:
            heard_ms += now_ms - max(self._connected_ms, since_ms)
        return heard_ms >= self._config.ready_share * HOUR_MS
