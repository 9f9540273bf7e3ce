"""Funding rates of perpetual futures, for eight hours whatever the contract's own interval."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from trading.market.crash_config import FundingConfig
from trading.model.signals import FundingRate

USUAL_INTERVAL_MS = 8 * 3_600_000


@dataclass(slots=True)
class _Contract:
    rate: float
    time_ms: int
    next_ms: int
    interval_ms: int = USUAL_INTERVAL_MS  # until two settlements in a row show another


class FundingWatch:
    """The rate that matters: the greatest of BTC's, ETH's and the median contract's, unsigned.

    The median, because small coins settle at extreme rates in any market.
    """

    def __init__(self, config: FundingConfig, leaders: tuple[str, ...]) -> None:
        self._config = config
        self._leaders = leaders
        self._contracts: dict[str, _Contract] = {}

    def add(self, rate: FundingRate) -> None:
        """Take a rate as published; ``next_funding_ms`` moving on tells the interval."""
        known = self._contracts.get(rate.symbol)
        if known is None:
            self._contracts[rate.symbol] = _Contract(rate.rate, rate.time_ms, rate.next_funding_ms)
            return
        if rate.time_ms < known.time_ms:
            return
        step_ms = rate.next_funding_ms - known.next_ms
        if 0 < step_ms <= USUAL_INTERVAL_MS:
            known.interval_ms = step_ms
        known.rate, known.time_ms, known.next_ms = rate.rate, rate.time_ms, rate.next_funding_ms

    def rate_8h_pct(self, now_ms: int) -> float | None:
        """None while neither leader's rate is known and fresh, nor enough contracts' are."""
        oldest_ms = now_ms - self._config.stale_after_s * 1000
        rates = {
            symbol: abs(one.rate) * USUAL_INTERVAL_MS / one.interval_ms * 100.0
            for symbol, one in self._contracts.items()
            if one.time_ms >= oldest_ms
        }
        candidates = [rates[leader] for leader in self._leaders if leader in rates]
        if len(rates) >= self._config.min_contracts:
            candidates.append(statistics.median(rates.values()))
        return max(candidates, default=None)
