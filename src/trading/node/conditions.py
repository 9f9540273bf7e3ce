"""The market of a pair just before an entry, from the engine's one-minute bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trading.errors import MarketDataError
from trading.market.engine import MarketEngine
from trading.model.market import Bar
from trading.node.order_thread import OrderLoop
from trading.risk.entry_facts import MarketConditions

HOUR_MINUTES = 60
LEAST_RETURNS = 20  # fewer say nothing


class EntryConditions:
    """Reads the engine on the engine's own loop, for a caller on the order loop."""

    def __init__(self, market: MarketEngine, orders: OrderLoop, correlation_minutes: int) -> None:
        self._market = market
        self._orders = orders
        self._correlation_minutes = correlation_minutes

    async def __call__(self, symbol: str, others: Sequence[str]) -> MarketConditions:
        return await self._orders.on_main(lambda: self._read(symbol, others))

    def _read(self, symbol: str, others: Sequence[str]) -> MarketConditions:
        bars = self._bars(symbol, max(HOUR_MINUTES, self._correlation_minutes) + 1)
        hour = bars[-HOUR_MINUTES - 1 :]
        minutes = self._correlation_minutes + 1
        return MarketConditions(
            symbol=symbol,
            volatility_pct=volatility_pct(hour),
            quote_volume_1h=sum(bar.volume * bar.close for bar in hour[1:]) if hour else None,
            correlations={
                other: correlation(bars[-minutes:], self._bars(other, minutes)) for other in others
            },
        )

    def _bars(self, symbol: str, limit: int) -> Sequence[Bar]:
        try:
            return self._market.bars(symbol, limit)
        except MarketDataError:
            return ()


def volatility_pct(bars: Sequence[Bar]) -> float | None:
    """Standard deviation of the bars' returns in %; None where they are too few."""
    returns = _returns(bars, [bar.open_time_ms for bar in bars])
    return float(np.std(returns) * 100) if len(returns) >= LEAST_RETURNS else None


def correlation(first: Sequence[Bar], second: Sequence[Bar]) -> float | None:
    """Pearson's correlation of returns over the minutes that both have; None for too few.

    A pair that did not move at all moves with nobody: 0.
    """
    common = sorted({bar.open_time_ms for bar in first} & {bar.open_time_ms for bar in second})
    one, two = _returns(first, common), _returns(second, common)
    if len(one) < LEAST_RETURNS:
        return None
    if np.std(one) == 0 or np.std(two) == 0:
        return 0.0
    return float(np.corrcoef(one, two)[0, 1])


def _returns(bars: Sequence[Bar], times_ms: Sequence[int]) -> np.ndarray:
    closes = {bar.open_time_ms: bar.close for bar in bars}
    return np.diff(np.log([closes[time_ms] for time_ms in times_ms])) if times_ms else np.array([])
