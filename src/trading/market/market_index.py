"""A weighted index of all watched pairs, chain-linked so that pairs may come and go."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import mul, truediv

from trading.market.config import MarketConfig, MarketIndexConfig
from trading.market.windows import RollingWindows
from trading.model.market import Bar

BASE_LEVEL = 1000.0


class MarketIndex:
    """Moves by the weighted mean of the pairs' logarithmic returns.

    BTC and ETH have fixed weights, the others share the rest equally, up to a greatest weight:
    roughly how the market's capitalisation is spread. Weights are scaled up to fill what pairs
    without a price, or too few other pairs, leave.
    """

    def __init__(self, market: MarketConfig, config: MarketIndexConfig) -> None:
        leaders = {market.btc_symbol: config.btc_weight, market.eth_symbol: config.eth_weight}
        others = max(1, len(market.symbols) - len(leaders))
        rest = min(config.max_other_weight, (1.0 - sum(leaders.values())) / others)
        self._weights = {symbol: leaders.get(symbol, rest) for symbol in market.symbols}
        self._prices: dict[str, float] = {}
        self._known_count = 0
        self._known_weight = 0.0
        self._log_level = math.log(BASE_LEVEL)
        self._windows = RollingWindows()

    @property
    def level(self) -> float:
        return math.exp(self._log_level)

    def drawdown_pct(self, window: int) -> float:
        """Fall below the window's high, as of the last ``update``; 0 before the first."""
        return self._windows.drawdown_pct(window) if len(self._windows) else 0.0

    def is_ready(self, window: int) -> bool:
        return bool(len(self._windows)) and self._windows.is_ready(window)

    def update(self, now_ms: int, prices: Mapping[str, float]) -> None:
        """Take the last prices of the pairs that traded since the last call."""
        known, weights = self._prices, self._weights
        # A pair's first price moves nothing. Mapped, because this is done for all pairs at once.
        before = map(known.get, prices, prices.values())
        returns = map(math.log, map(truediv, prices.values(), before))
        moved = math.fsum(map(mul, map(weights.__getitem__, prices), returns))
        known.update(prices)
        if len(known) != self._known_count:
            self._known_count = len(known)
            self._known_weight = math.fsum(weights[symbol] for symbol in known)
        total = self._known_weight
        if moved and total > 0:
            if len(self._windows):  # where it stood until now counts for the high, however long
                self._windows.add(now_ms, self.level, 0.0)
            self._log_level += moved / total
        if moved or not len(self._windows):
            self._windows.add(now_ms, self.level, 0.0)
        self._windows.expire(now_ms)

    def rebuild(self, bars: Mapping[str, Sequence[Bar]], now_ms: int) -> None:
        """Start again from the closes of one-minute bars; bars still open count as of now."""
        self._prices.clear()
        self._known_count, self._known_weight = 0, 0.0
        self._windows = RollingWindows()
        closes: dict[int, dict[str, float]] = {}
        for symbol, history in bars.items():
            for bar in history:
                at_ms = min(bar.close_time_ms - 1, now_ms)
                closes.setdefault(at_ms, {})[symbol] = bar.close
        for at_ms in sorted(closes):
            self.update(at_ms, closes[at_ms])
