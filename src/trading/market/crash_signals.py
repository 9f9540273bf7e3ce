"""What crash rules hear besides the trades of the watched pairs.

What cannot be true (no finite figures, a time ahead of the clock by more than ``max_future_ms``)
is ignored and logged. A source that is missing, late or has just begun makes its rule not ready;
nothing is put in its place.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

from trading.market.crash_config import CrashDetectionConfig
from trading.market.funding_watch import FundingWatch
from trading.market.held_distance import HeldDistance
from trading.market.liquidation_total import LiquidationTotal
from trading.market.windows import RollingWindows
from trading.model.market import Tick
from trading.model.signals import FundingRate, FuturesPrice, Liquidation

LIQUIDATIONS_RULE = "liquidations_1h"
FUNDING_RULE = "funding_8h"
PEG_RULE = "stablecoin_peg"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """A rule's figure as of now; ``text`` says what is beyond the limit when it is."""

    rule: str
    value: float
    limit: float
    unit: str
    ready: bool
    text: str


class CrashSignals:
    """Liquidations, funding, stablecoin prices and the leaders' futures prices."""

    def __init__(
        self, config: CrashDetectionConfig, leaders: Mapping[str, str], stablecoins: tuple[str, ...]
    ) -> None:
        """``leaders``: what to call each leader ("btc") by its pair."""
        self._config = config
        self._leaders = dict(leaders)
        self._funding = FundingWatch(config.funding, tuple(leaders))
        self._liquidations = LiquidationTotal(config.liquidations)
        peg, gap = config.peg, config.futures_gap
        self._pegs = {
            symbol: HeldDistance(peg.hold_s * 1000, peg.min_trades) for symbol in stablecoins
        }
        self._gaps = {symbol: HeldDistance(gap.hold_s * 1000) for symbol in leaders}
        self._futures = {symbol: RollingWindows() for symbol in leaders}

    def futures_connected(self, now_ms: int) -> None:
        """The futures stream is up."""
        self._liquidations.connected(now_ms)

    def futures_lost(self, now_ms: int) -> None:
        """The futures stream is down: nothing is heard until it is up again."""
        self._liquidations.lost(now_ms)
        for gap in self._gaps.values():
            gap.clear()

    def on_liquidation(self, order: Liquidation, now_ms: int) -> None:
        if self._is_possible(order, order.notional_usd, order.time_ms, now_ms):
            self._liquidations.add(order.notional_usd, order.time_ms)

    def on_funding(self, rate: FundingRate, now_ms: int) -> None:
        if math.isfinite(rate.rate) and self._is_possible(rate, 1.0, rate.time_ms, now_ms):
            self._funding.add(rate)

    def on_futures_price(self, price: FuturesPrice, spot: float | None, now_ms: int) -> None:
        """``spot`` is the pair's own last price while it is fresh."""
        windows = self._futures.get(price.symbol)
        if windows is None or not self._is_possible(price, price.price, price.time_ms, now_ms):
            return
        windows.add(price.time_ms, price.price, 0.0)
        windows.expire(price.time_ms)
        if spot is None:
            self._gaps[price.symbol].clear()
        else:
            self._gaps[price.symbol].add(price.time_ms, (price.price / spot - 1.0) * 100.0)

    def on_stablecoin(self, tick: Tick, now_ms: int) -> None:
        """A trade of one of the stablecoins; others are ignored."""
        peg = self._pegs.get(tick.symbol)
        if peg is not None and self._is_possible(tick, tick.price, tick.time_ms, now_ms):
            peg.add(tick.time_ms, (tick.price - 1.0) * 100.0)

    def futures_fall_pct(self, symbol: str, window: int, now_ms: int) -> float | None:
        """How far the leader's futures price is below its high; None where not known."""
        windows = self._futures[symbol]
        if not self._is_fresh(windows, now_ms):
            return None
        windows.expire(now_ms)
        return windows.drawdown_pct(window)

    def liquidations_1h_usd(self, now_ms: int) -> float | None:
        """None where there is no stream of them; infinite while too little of it was heard."""
        if not self._liquidations.is_expected:
            return None
        known = self._liquidations.is_known(now_ms)
        return self._liquidations.usd(now_ms) if known else math.inf

    def readings(self, now_ms: int) -> tuple[Reading, ...]:
        """All figures, ready or not."""
        return (
            self._liquidation_reading(now_ms),
            self._funding_reading(now_ms),
            self._peg_reading(now_ms),
            *(self._gap_reading(symbol, now_ms) for symbol in self._leaders),
        )

    def _liquidation_reading(self, now_ms: int) -> Reading:
        usd, limit = self._liquidations.usd(now_ms), self._config.liquidations.usd_1h
        return Reading(
            rule=LIQUIDATIONS_RULE,
            value=usd,
            limit=limit,
            unit="USD",
            ready=self._liquidations.is_connected and self._liquidations.is_known(now_ms),
            text=(
                f"futures positions of {usd / 1e6:.0f} M USD were liquidated within 1 h,"
                f" limit {limit / 1e6:.0f} M USD"
            ),
        )

    def _funding_reading(self, now_ms: int) -> Reading:
        rate, limit = self._funding.rate_8h_pct(now_ms), self._config.funding.rate_8h_pct
        return Reading(
            rule=FUNDING_RULE,
            value=rate or 0.0,
            limit=limit,
            unit="%",
            ready=rate is not None,
            text=f"funding is at {rate or 0.0:.2f} % for 8 h, limit {limit:g} %",
        )

    def _peg_reading(self, now_ms: int) -> Reading:
        config = self._config.peg
        oldest_ms = now_ms - config.stale_after_s * 1000
        heard = {
            symbol: peg.least(now_ms)
            for symbol, peg in self._pegs.items()
            if peg.last_ms is not None and peg.last_ms >= oldest_ms
        }
        worst = max(heard, key=lambda symbol: heard[symbol], default="")
        value = heard.get(worst, 0.0)
        return Reading(
            rule=PEG_RULE,
            value=value,
            limit=config.deviation_pct,
            unit="%",
            ready=bool(heard),
            text=f"{worst} is {value:.1f} % off its peg, limit {config.deviation_pct:g} %",
        )

    def _gap_reading(self, symbol: str, now_ms: int) -> Reading:
        ready = self._is_fresh(self._futures[symbol], now_ms)
        value = self._gaps[symbol].least(now_ms) if ready else 0.0
        label, limit = self._leaders[symbol], self._config.futures_gap.gap_pct
        return Reading(
            rule=f"{label}_futures_gap",
            value=value,
            limit=limit,
            unit="%",
            ready=ready,
            text=f"spot and futures of {label.upper()} are {value:.1f} % apart, limit {limit:g} %",
        )

    def _is_fresh(self, futures: RollingWindows, now_ms: int) -> bool:
        oldest_ms = now_ms - self._config.futures_gap.stale_after_s * 1000
        return len(futures) > 0 and futures.last_time_ms >= oldest_ms

    def _is_possible(self, event: object, figure: float, time_ms: int, now_ms: int) -> bool:
        possible = (
            math.isfinite(figure)
            and figure > 0.0
            and time_ms <= now_ms + self._config.max_future_ms
        )
        if not possible:
            log.warning("impossible: %s", event)
        return possible
