"""Everything the engine keeps about one pair."""

from __future__ import annotations

from trading.market.config import CrashDetectionConfig
from trading.market.minute_bars import MinuteBars
from trading.market.tick_filter import TickFilter
from trading.market.windows import WINDOW_NAMES, RollingWindows
from trading.model.metrics import SymbolStats, WindowStats


class SymbolState:
    """Windows, bars and sanity of one pair.

    ``guard_low`` and ``guard_high`` bound the prices at which nothing can have happened: no new
    extreme of the shortest window and no threshold of any detector. A trade inside needs no
    further look. The bounds are set from the windows as they were; windows only shrink until the
    next extreme, which makes the bounds too narrow, never too wide. From ``guard_until_ms`` on they
    no longer hold, because a cool-down ends then.
    """

    __slots__ = (
        "bars",
        "filter",
        "guard_high",
        "guard_low",
        "guard_until_ms",
        "is_dirty",
        "is_falling",
        "symbol",
        "tick_count",
        "windows",
    )

    def __init__(self, symbol: str, crash: CrashDetectionConfig, baseline_minutes: int) -> None:
        self.symbol = symbol
        self.windows = RollingWindows()
        self.bars = MinuteBars(symbol, baseline_minutes)
        self.filter = TickFilter(crash)
        self.tick_count = 0
        self.is_dirty = False  # traded since the last advance
        self.is_falling = False  # beyond the breadth rule's fall
        self.guard_low = float("inf")
        self.guard_high = 0.0
        self.guard_until_ms = 0

    @property
    def has_price(self) -> bool:
        return self.tick_count > 0

    def volume_multiple(self, window: int) -> float:
        """The window's volume against what is usual for the pair."""
        return self.bars.volume_multiple(window, self.windows.volume(window))

    def stats(self, now_ms: int) -> SymbolStats:
        """All windows as of ``now_ms``."""
        windows, bars = self.windows, self.bars
        windows.expire(now_ms)
        last = windows.last_price
        result = {}
        for window, name in enumerate(WINDOW_NAMES):
            change = last / windows.first_price(window) - 1.0
            result[name] = WindowStats(
                window=name,
                ready=windows.is_ready(window),
                high=windows.high(window),
                low=windows.low(window),
                last=last,
                return_pct=change * 100.0,
                drawdown_pct=windows.drawdown_pct(window),
                volatility_pct=bars.volatility_pct(window),
                z_score=bars.z_score(window, change),
                volume=windows.volume(window),
                volume_multiple=self.volume_multiple(window),
            )
        return SymbolStats(symbol=self.symbol, time_ms=now_ms, last_price=last, windows=result)
