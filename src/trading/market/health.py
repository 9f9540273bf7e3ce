"""Whether the market data can be trusted at all: what BTC and ETH show stands for all pairs."""

from __future__ import annotations

from trading.market.config import CrashDetectionConfig
from trading.market.symbol_state import SymbolState


class MarketHealth:
    """``tick_gap_ms``, the pause that is normal for the source, is added to the allowed silence."""

    def __init__(
        self,
        config: CrashDetectionConfig,
        leaders: tuple[SymbolState, ...],
        started_ms: int,
        tick_gap_ms: int,
    ) -> None:
        self._leaders = leaders
        self._started_ms = started_ms
        self._stale_after_ms = config.stale_after_ms + tick_gap_ms
        self._max_future_ms = config.max_future_ms

    def problem(self, now_ms: int) -> str:
        """Why the market data cannot be trusted; empty when it can."""
        for state in self._leaders:
            since_ms = state.windows.last_time_ms if state.has_price else self._started_ms
            age_ms = now_ms - since_ms
            if age_ms > self._stale_after_ms:
                return (
                    f"stale: no trade of {state.symbol} for {age_ms / 1000:.0f} s,"
                    f" limit {self._stale_after_ms / 1000:g} s"
                )
            if -age_ms > self._max_future_ms:
                # Until it has caught up, silence could not be told from trading.
                return f"the clock went back by {-age_ms / 1000:.0f} s, or the venue's is ahead"
            if state.filter.is_insane(now_ms):
                return f"insane: too many impossible trades of {state.symbol} within a minute"
        return ""
