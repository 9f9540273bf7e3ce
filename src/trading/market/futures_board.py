"""The latest of each watched pair's futures market, for those who ask; the rules listen elsewhere.

``CrashSignals`` and the spike detectors judge the same events. This keeps what they have no use
for afterwards: the newest figure of every kind, and forced orders of an hour by pair and side.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from trading.clock import Clock
from trading.market.crash_config import CrashDetectionConfig
from trading.market.liquidation_total import HOUR_MS
from trading.model.derivatives import FuturesView, LiquidationSums, LiquidationsView
from trading.model.signals import FundingRate, FuturesPrice, Liquidation, OpenInterest

NO_STREAM = "no futures stream on this venue"
NOT_HEARD = "the futures stream has told nothing of this pair lately"
_FIVE_MINUTES_MS = 300_000
# It is asked for once a minute; one answer may be lost.
OPEN_INTEREST_STALE_MS = 180_000


@dataclass(slots=True)
class _Pair:
    price: FuturesPrice | None = None
    funding: FundingRate | None = None
    interest: deque[OpenInterest] = field(default_factory=deque)
    orders: deque[Liquidation] = field(default_factory=deque)


class FuturesBoard:
    """Takes the futures stream's events and answers with views. One thread."""

    def __init__(
        self,
        symbols: Iterable[str],
        config: CrashDetectionConfig,
        clock: Clock,
        *,
        spot: Callable[[str], float | None],
        total_1h_usd: Callable[[], float | None],
    ) -> None:
        """``spot`` gives a pair's last price while it is fresh, ``total_1h_usd`` the hour's forced
        orders of all contracts as ``MarketEngine.liquidations_1h_usd`` says them."""
        self._pairs = {symbol: _Pair() for symbol in symbols}
        self._config = config
        self._clock = clock
        self._spot = spot
        self._total_1h_usd = total_1h_usd

    def on_futures_price(self, price: FuturesPrice) -> None:
        if (pair := self._pairs.get(price.symbol)) and 0.0 < price.price < math.inf:
            pair.price = price

    def on_funding(self, rate: FundingRate) -> None:
        if (pair := self._pairs.get(rate.symbol)) and math.isfinite(rate.rate):
            pair.funding = rate

    def on_open_interest(self, interest: OpenInterest) -> None:
        if not (pair := self._pairs.get(interest.symbol)) or not 0.0 <= interest.coins < math.inf:
            return
        pair.interest.append(interest)
        while pair.interest[0].time_ms <= interest.time_ms - HOUR_MS:
            pair.interest.popleft()

    def on_liquidation(self, order: Liquidation) -> None:
        if (pair := self._pairs.get(order.symbol)) and 0.0 < order.notional_usd < math.inf:
            pair.orders.append(order)

    def futures(self, symbol: str) -> FuturesView:
        """The pair's futures market as of now."""
        now_ms, pair = self._clock.now_ms(), self._pairs.get(symbol, _Pair())
        stale_ms = now_ms - self._config.futures_gap.stale_after_s * 1000
        price, funding = pair.price, pair.funding
        mark = price.price if price is not None and price.time_ms >= stale_ms else None
        if mark is None:
            heard = self._total_1h_usd() is not None
            problem = NOT_HEARD if heard else NO_STREAM
            return FuturesView(symbol=symbol, time_ms=now_ms, problem=problem)
        spot = self._spot(symbol)
        if funding is not None and funding.time_ms < stale_ms:
            funding = None
        coins, change_pct = self._interest(pair, now_ms)
        return FuturesView(
            symbol=symbol,
            time_ms=now_ms,
            mark_price=mark,
            spot_price=spot,
            divergence_pct=None if spot is None else (mark / spot - 1.0) * 100.0,
            funding_rate_pct=None if funding is None else funding.rate * 100.0,
            next_funding_ms=None if funding is None else funding.next_funding_ms,
            open_interest=coins,
            open_interest_usd=None if coins is None else coins * mark,
            open_interest_change_1h_pct=change_pct,
            liquidations=self._sums(pair, now_ms),
        )

    def liquidations(self) -> LiquidationsView:
        """Forced orders of all contracts as of now."""
        now_ms, total = self._clock.now_ms(), self._total_1h_usd()
        problem = ""
        if total is None:
            problem = NO_STREAM
        elif not math.isfinite(total):
            total, problem = None, "too little of the last hour was heard"
        sums = {symbol: self._sums(pair, now_ms) for symbol, pair in self._pairs.items()}
        return LiquidationsView(
            time_ms=now_ms,
            problem=problem,
            total_1h_usd=total,
            limit_1h_usd=self._config.liquidations.usd_1h,
            pairs={symbol: one for symbol, one in sums.items() if any(dict(one).values())},
        )

    @staticmethod
    def _interest(pair: _Pair, now_ms: int) -> tuple[float | None, float | None]:
        """Coins, and their change against the oldest figure within the hour, in %."""
        if not pair.interest or pair.interest[-1].time_ms < now_ms - OPEN_INTEREST_STALE_MS:
            return None, None
        first, last = pair.interest[0], pair.interest[-1]
        if first is last or first.coins <= 0.0:
            return last.coins, None
        return last.coins, (last.coins / first.coins - 1.0) * 100.0

    @staticmethod
    def _sums(pair: _Pair, now_ms: int) -> LiquidationSums:
        while pair.orders and pair.orders[0].time_ms <= now_ms - HOUR_MS:
            pair.orders.popleft()

        def total(is_long: bool, since_ms: int) -> float:
            return math.fsum(
                order.notional_usd
                for order in pair.orders
                if order.is_long is is_long and order.time_ms > since_ms
            )

        return LiquidationSums(
            longs_5m_usd=total(True, now_ms - _FIVE_MINUTES_MS),
            shorts_5m_usd=total(False, now_ms - _FIVE_MINUTES_MS),
            longs_1h_usd=total(True, now_ms - HOUR_MS),
            shorts_1h_usd=total(False, now_ms - HOUR_MS),
        )
