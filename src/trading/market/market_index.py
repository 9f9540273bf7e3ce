"""A weighted index of all watched pairs, chain-linked so that pairs may come and go."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import repeat
from operator import gt, mul, sub

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
        self._weights = {symbol: leaders.get(symbol, rest) for symbol in market.symbols}
        self._prices: dict[str, float] = {}
        self._held: dict[str, float] = {}
        self._highest: dict[str, float] = {}  # prices at which the basket is bought anew
        self._level = BASE_LEVEL
        self._day = -1
        self._windows = RollingWindows()

    @property
    def level(self) -> float:
        return self._level

    def drawdown_pct(self, window: int) -> float:
        """Fall below the window's high, as of the last ``update``; 0 before the first."""
        return self._windows.drawdown_pct(window) if len(self._windows) else 0.0

    def is_ready(self, window: int) -> bool:
        return bool(len(self._windows)) and self._windows.is_ready(window)

    def update(self, now_ms: int, prices: Mapping[str, float]) -> None:
        """Take the last prices of the pairs that traded since the last call."""
        if now_ms // DAY_MS != self._day:
            self._day = now_ms // DAY_MS
            self._buy()
        known, held, highest = self._prices, self._held, self._highest
        # A pair's first price moves nothing. Mapped, because this is done for all pairs at once.
        before = map(known.get, prices, prices.values())
        steps = map(sub, prices.values(), before)
        moved = math.fsum(map(mul, map(held.get, prices, repeat(0.0)), steps))
        is_due = any(map(gt, prices.values(), map(highest.get, prices, repeat(0.0))))
        known.update(prices)
        if moved and len(self._windows):  # where it stood until now counts for the high, too
            self._windows.add(now_ms, self._level, 0.0)
        self._level += moved
        if is_due:
            self._buy()
        if moved or not len(self._windows):
            self._windows.add(now_ms, self._level, 0.0)
        self._windows.expire(now_ms)

    def rebuild(self, bars: Mapping[str, Sequence[Bar]], now_ms: int) -> None:
        """Start again from the closes of one-minute bars; bars still open count as of now."""
        self._prices.clear()
        self._held.clear()
        self._highest.clear()
        self._windows = RollingWindows()
        closes: dict[int, dict[str, float]] = {}
        for symbol, history in bars.items():
            for bar in history:
                at_ms = min(bar.close_time_ms - 1, now_ms)
                closes.setdefault(at_ms, {})[symbol] = bar.close
        for at_ms in sorted(closes):
            self.update(at_ms, closes[at_ms])

    def _buy(self) -> None:
        """Spread what the basket is worth over the known pairs, by weight."""
        total = math.fsum(self._weights[symbol] for symbol in self._prices)
        if total > 0.0:
            self._held = {
                symbol: self._level * self._weights[symbol] / total / price
                for symbol, price in self._prices.items()
            }
            self._highest = {symbol: REBUY_AT * price for symbol, price in self._prices.items()}
