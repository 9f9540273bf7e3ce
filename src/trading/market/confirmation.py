"""Tells a wick from a crash: a fall beyond a limit must hold, or have a witness.

Four of the fourteen falls of 15 % that BTC has had on Binance were single prices in one bar.
"""

from __future__ import annotations

from trading.market.crash_config import CrashDetectionConfig
from trading.market.windows import RollingWindows


class TradeHold:
    """How long the trades of one pair have been beyond one limit.

    A bounce that stays beyond ``rearm_share`` of the limit does not begin the hold anew, or a
    falling market would be believed later the wilder it is.
    """

    __slots__ = ("_config", "_count", "_since_ms")

    def __init__(self, config: CrashDetectionConfig) -> None:
        self._config = config
        self._since_ms: int | None = None
        self._count = 0

    def confirms(
        self, windows: RollingWindows, window: int, limit_pct: float, time_ms: int
    ) -> bool:
        """Take a trade beyond the limit, at which the windows are; say whether it has held."""
        over_pct = limit_pct * self._config.rearm_share
        bounce = windows.high(window) * (1.0 - over_pct / 100.0)
        if self._since_ms is None or windows.highs_since((window,), self._since_ms)[0] > bounce:
            self._since_ms, self._count = time_ms, 1
        else:
            self._count += 1
        return (
            self._count >= self._config.confirmation_ticks
            and time_ms - self._since_ms >= self._config.confirmation_hold_ms
        )

    def clear(self) -> None:
        self._since_ms, self._count = None, 0


class ValueHold:
    """How long a figure that is looked at once a second has been beyond its limit."""

    __slots__ = ("_config", "_since_ms")

    def __init__(self, config: CrashDetectionConfig) -> None:
        self._config = config
        self._since_ms: int | None = None

    def confirms(self, share_of_limit: float, now_ms: int) -> bool:
        """Take the figure; say whether it is beyond the limit and has held there."""
        if share_of_limit < self._config.rearm_share:
            self._since_ms = None
        elif share_of_limit >= 1.0:
            if self._since_ms is None:
                self._since_ms = now_ms
            return now_ms - self._since_ms >= self._config.confirmation_hold_ms
        return False
