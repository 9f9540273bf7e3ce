"""A weighted index of all watched pairs, chain-linked so that pairs may come and go."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from trading.clock import DAY_MS
from trading.market.config import MarketConfig, MarketIndexConfig
from trading.market.windows import RollingWindows
from trading.model.market import Bar

BASE_LEVEL = 1000.0
# A coin that has risen this far weighs too much to be left alone.
REBUY_AT = 2.0


class MarketIndex:
    """The worth of a basket of all pairs, bought anew every UTC day, for every new pair, and when
    the price of one has doubled.

    BTC and ETH have fixed weights, the others share the rest equally, up to a greatest weight:
    roughly how the market's capitalisation is spread. Weights are scaled up to fill what pairs
    without a price, or too few other pairs, leave. Between purchases nothing is bought: a coin that
    falls to nothing costs its weight and no more, however long it goes on falling.
    """

    def __init__(self, market: MarketConfig, config: MarketIndexConfig) -> None:
        leaders = {market.btc_symbol: config.btc_weight, market.eth_symbol: config.eth_weight}
        others = max(1, len(market.symbols) - len(leaders))
        rest = min(config.max_other_weight, (1.0 - sum(leaders.values())) / others)
        self._weights = np.array([leaders.get(symbol, rest) for symbol in market.symbols])
        self._level = BASE_LEVEL
        self._day = -1
        self._forget()

    def _forget(self) -> None:
        count = len(self._weights)
        self._prices = np.full(count, math.nan)
        self._held = np.zeros(count)
        self._highest = np.zeros(count)  # prices at which the basket is bought anew
        self._windows = RollingWindows()

    @property
    def level(self) -> float:
        return self._level

    def drawdown_pct(self, window: int) -> float:
        """Fall below the window's high, as of the last ``update``; 0 before the first."""
        return self._windows.drawdown_pct(window) if len(self._windows) else 0.0

    def is_ready(self, window: int) -> bool:
        return bool(len(self._windows)) and self._windows.is_ready(window)

    def update(
        self, now_ms: int, pairs: npt.NDArray[np.intp], prices: npt.NDArray[np.float64]
    ) -> None:
        """Take the last prices of the pairs that traded since the last call.

        ``pairs`` are their positions in ``market.symbols``.
        """
        if now_ms // DAY_MS != self._day:
            self._day = now_ms // DAY_MS
            self._buy()
        before = self._prices[pairs]
        steps = np.where(np.isnan(before), 0.0, prices - before)  # a first price moves nothing
        moved = math.fsum((self._held[pairs] * steps).tolist())
        is_due = bool((prices > self._highest[pairs]).any())
        self._prices[pairs] = prices
        if moved and len(self._windows):  # where it stood until now counts for the high, too
            self._windows.add(now_ms, self._level, 0.0)
        self._level += moved
        if is_due:
            self._buy()
        if moved or not len(self._windows):
            self._windows.add(now_ms, self._level, 0.0)
        self._windows.expire(now_ms)

    def rebuild(self, bars: Iterable[Sequence[Bar]], now_ms: int) -> None:
        """Start again from the closes of all pairs' one-minute bars; open ones count as of now."""
        self._forget()
        closes: dict[int, dict[int, float]] = {}
        for pair, history in enumerate(bars):
            for bar in history:
                at_ms = min(bar.close_time_ms - 1, now_ms)
                closes.setdefault(at_ms, {})[pair] = bar.close
        for at_ms, prices in sorted(closes.items()):
            self.update(at_ms, np.array(list(prices)), np.array(list(prices.values())))

    def _buy(self) -> None:
        """Spread what the basket is worth over the known pairs, by weight."""
        known = np.flatnonzero(~np.isnan(self._prices))
        weights, prices = self._weights[known], self._prices[known]
        total = math.fsum(weights.tolist())
        if total > 0.0:
            self._held[known] = self._level * weights / total / prices
            self._highest[known] = REBUY_AT * prices
