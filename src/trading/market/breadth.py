"""Which pairs count for the breadth of a fall, and which of them are falling."""

from __future__ import annotations

from trading.market.config import CrashDetectionConfig
from trading.market.guards import set_fall_lines
from trading.market.symbol_state import SymbolState
from trading.market.windows import ONE_HOUR, SPANS_MS


class BreadthWatch:
    """Answers for one pair at a time; what it finds out spares it the next questions."""

    def __init__(self, config: CrashDetectionConfig) -> None:
        self._fall_pct = config.breadth.fall_pct
        self._max_future_ms = config.max_future_ms

    def set_lines(self, state: SymbolState, now_ms: int) -> float:
        """Say at which prices nobody needs to ask; returns the 1 h high."""
        high, high_ms = state.hour_high(now_ms)
        set_fall_lines(state, self._fall_pct, high, high_ms)
        return high

    def is_falling(self, state: SymbolState, price: float, now_ms: int) -> bool:
        """Whether the pair is as far below its 1 h high as the breadth rule asks."""
        if price > state.fall_line:
            return False
        if price <= state.sure_fall_line and now_ms < state.falling_until_ms:
            return True
        high = self.set_lines(state, now_ms)
        return (high - price) / high * 100.0 >= self._fall_pct

    def is_tracked(self, state: SymbolState, now_ms: int) -> bool:
        """Whether the pair counts for breadth: an hour is known, it trades, its data are sane."""
        if now_ms < state.tracked_until_ms:
            return True
        if now_ms < state.untracked_until_ms:
            return False
        windows = state.windows
        if not windows.is_ready(ONE_HOUR):
            state.untracked_until_ms = windows.ready_from_ms(ONE_HOUR) - self._max_future_ms
            return False
        if state.filter.is_insane(now_ms):
            return False
        state.tracked_until_ms = windows.last_time_ms + SPANS_MS[ONE_HOUR]
        return now_ms < state.tracked_until_ms
