"""Finds moves of one pair that stand out from its own recent past.

A price spike is a move from a window's low (or high) that reaches the pair's threshold for that
window, stands out by ``min_z_score``, and comes on real trading: ``price_min_volume_multiple`` of
the usual volume and ``min_notional_usd``. A volume spike is a minute whose volume lies
``volume_sigma`` standard deviations above the day's minutes, with a move that gives it a direction.
Of several windows the one whose threshold is exceeded most counts. Both are looked for at every
trade that can make one, so an alert never waits for a clock.

Confidence, 0 to 1, is ``0.4 × size + 0.3 × rarity + 0.3 × volume``: size is the move in thresholds,
rarity the z-score in minimum z-scores, volume the volume multiple in minimum multiples, each one
halved and capped at 1. A move of just the threshold that is just as rare and as busy as it must be
has 0.5, one of twice all three has 1. A pair without a past has at most 0.4, for its size alone:
less than ``min_confidence`` asks by default, because nobody knows what is usual for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from trading.market.config import SpikeDetectionConfig
from trading.market.guards import ROUNDING
from trading.market.spike_report import Sighting, SpikeReporter
from trading.market.symbol_state import SymbolState
from trading.market.windows import (
    FIFTEEN_MINUTES,
    FIVE_MINUTES,
    ONE_MINUTE,
    WINDOW_MINUTES,
    WINDOW_NAMES,
)
from trading.model.spike import Spike, SpikeDirection, SpikeType

PRICE_WINDOWS = (ONE_MINUTE, FIVE_MINUTES, FIFTEEN_MINUTES)
VOLUME_WINDOWS = (ONE_MINUTE, FIVE_MINUTES)
_SIZE_WEIGHT, _RARITY_WEIGHT, _VOLUME_WEIGHT = 0.4, 0.3, 0.3
_INFINITY = float("inf")
_MOST_SIGMAS = 1000.0  # a pair whose minutes are all alike has no deviation


class SpikeDetector:
    """Price and volume spikes of all pairs, reported through ``reporter``."""

    def __init__(
        self, config: SpikeDetectionConfig, symbols: Iterable[str], reporter: SpikeReporter
    ) -> None:
        self._config = config
        self._reporter = reporter
        self._watches_price = reporter.watches(SpikeType.PRICE)
        self.watches_volume = reporter.watches(SpikeType.VOLUME)
        self._thresholds: dict[str, tuple[float, float, float]] = {}
        for symbol in symbols:
            of_pair = config.thresholds_of(symbol)
            self._thresholds[symbol] = (
                of_pair.one_minute_pct,
                of_pair.five_minutes_pct,
                of_pair.fifteen_minutes_pct,
            )

    def quiet_until(self, state: SymbolState, now_ms: int) -> int:
        """When the next cool-down of the pair ends; far in the future when it has none."""
        return self._reporter.quiet_until(state.symbol, now_ms)

    def trigger_prices(self, state: SymbolState, now_ms: int) -> tuple[float, float]:
        """Prices at or below and at or above which a price spike may exist (0 and ∞ for none)."""
        if not self._watches_price:
            return 0.0, _INFINITY
        return self._triggers(state, now_ms, PRICE_WINDOWS, 1.0)

    def volume_trigger_prices(self, state: SymbolState, now_ms: int) -> tuple[float, float]:
        """The same for a volume spike, as long as the volume is unusual enough."""
        if not self.watches_volume:
            return 0.0, _INFINITY
        return self._triggers(state, now_ms, VOLUME_WINDOWS, self._config.volume_min_move_share)

    def missing_volume(self, state: SymbolState, price: float) -> float:
        """What must trade in the minute, at no more than ``price``, for a volume spike to exist.

        Zero or less when a move alone is wanting; infinite for a pair without a past.
        """
        config, bars = self._config, state.bars
        usual = bars.usual_volume
        if not self.watches_volume or usual <= 0.0:
            return _INFINITY
        needed = max(
            config.volume_multiple * usual,
            bars.volume_at(config.volume_sigma),
            config.min_notional_usd / price,
        )
        return needed * (1.0 - ROUNDING) - state.windows.volume(ONE_MINUTE) * (1.0 + ROUNDING)

    def on_price(self, state: SymbolState, time_ms: int, now_ms: int) -> Spike | None:
        """A price spike at the pair's last trade; its windows must be current."""
        if not self._watches_price:
            return None
        for direction in (SpikeDirection.UP, SpikeDirection.DOWN):
            if time_ms < self._reporter.since_ms(state.symbol, direction):
                continue
            window, move_pct, share = self._largest(state, direction, PRICE_WINDOWS)
            if share < 1.0 or not self._is_traded(state, window, move_pct):
                continue
            threshold = self._thresholds[state.symbol][window]
            sighting = Sighting(
                type=SpikeType.PRICE,
                direction=direction,
                value=abs(move_pct),
                limit=threshold,
                move_pct=move_pct,
                minutes=WINDOW_MINUTES[window],
                confidence=self._confidence(state, window, move_pct, share),
                time_ms=time_ms,
                evidence=f"{move_pct:+.2f} % in {WINDOW_NAMES[window]}, threshold {threshold:g} %",
                window=window,
            )
            spike = self._reporter.report(state, sighting, now_ms)
            if spike:
                return spike
        return None

    def on_volume(self, state: SymbolState, time_ms: int, now_ms: int) -> Spike | None:
        """A volume spike as of the pair's last trade; its windows must be current."""
        config = self._config
        if not self.watches_volume or state.volume_multiple(ONE_MINUTE) < config.volume_multiple:
            return None
        volume = state.windows.volume(ONE_MINUTE)
        sigmas = min(_MOST_SIGMAS, state.bars.volume_z_score(volume))
        if sigmas < config.volume_sigma:
            return None
        if volume * state.windows.last_price < config.min_notional_usd:
            return None
        moves = [
            (share, direction, window, move_pct)
            for direction in (SpikeDirection.UP, SpikeDirection.DOWN)
            for window, move_pct, share in [self._largest(state, direction, VOLUME_WINDOWS)]
        ]
        share, direction, window, move_pct = max(moves, key=lambda move: move[0])
        if share < config.volume_min_move_share:
            return None
        sighting = Sighting(
            type=SpikeType.VOLUME,
            direction=direction,
            value=sigmas,
            limit=config.volume_sigma,
            move_pct=move_pct,
            minutes=WINDOW_MINUTES[window],
            confidence=self._confidence(state, window, move_pct, share),
            time_ms=time_ms,
            evidence=f"a minute's volume {sigmas:.1f} deviations above the day's, limit"
            f" {config.volume_sigma:g}",
            window=window,
        )
        return self._reporter.report(state, sighting, now_ms)

    def confidence(
        self, share_of_threshold: float, z_score: float, volume_multiple: float
    ) -> float:
        """The formula of this module's description."""
        config = self._config
        rarity = abs(z_score) / config.min_z_score if config.min_z_score else 2.0
        volume = volume_multiple / config.volume_multiple
        return (
            _SIZE_WEIGHT * min(1.0, share_of_threshold / 2.0)
            + _RARITY_WEIGHT * min(1.0, rarity / 2.0)
            + _VOLUME_WEIGHT * min(1.0, volume / 2.0)
        )

    def _triggers(
        self, state: SymbolState, now_ms: int, candidates: tuple[int, ...], share: float
    ) -> tuple[float, float]:
        """Prices that lie ``share`` of a threshold off the extreme of any of the windows."""
        down, up = 0.0, _INFINITY
        windows, symbol = state.windows, state.symbol
        thresholds = self._thresholds[symbol]
        since_ms = self._reporter.since_ms(symbol, SpikeDirection.DOWN)
        if since_ms <= now_ms:
            high = windows.high_since
            for window in candidates:
                left = 1.0 - thresholds[window] * share / 100.0
                down = max(down, high(window, since_ms) * left)
        since_ms = self._reporter.since_ms(symbol, SpikeDirection.UP)
        if since_ms <= now_ms:
            low = windows.low_since
            for window in candidates:
                more = 1.0 + thresholds[window] * share / 100.0
                up = min(up, low(window, since_ms) * more)
        return down, up

    def _is_traded(self, state: SymbolState, window: int, move_pct: float) -> bool:
        """Whether the move is rare for the pair and stands on real trading."""
        config, windows, bars = self._config, state.windows, state.bars
        volume = windows.volume(window)
        if volume * windows.last_price < config.min_notional_usd:
            return False
        if not bars.has_baseline(window):
            return True
        if bars.volume_multiple(window, volume) < config.price_min_volume_multiple:
            return False
        return abs(bars.z_score(window, move_pct / 100.0)) >= config.min_z_score

    def _confidence(self, state: SymbolState, window: int, move_pct: float, share: float) -> float:
        z_score = state.bars.z_score(window, move_pct / 100.0)
        return self.confidence(share, z_score, state.volume_multiple(window))

    def _largest(
        self, state: SymbolState, direction: SpikeDirection, candidates: tuple[int, ...]
    ) -> tuple[int, float, float]:
        """The window whose threshold is used up most: window, signed move in %, share."""
        windows = state.windows
        extreme_of = windows.low_since if direction is SpikeDirection.UP else windows.high_since
        since_ms = self._reporter.since_ms(state.symbol, direction)
        last = windows.last_price
        best = (candidates[0], 0.0, -1.0)
        for window in candidates:
            extreme = extreme_of(window, since_ms)
            move_pct = (last / extreme - 1.0) * 100.0
            share = abs(move_pct) / self._thresholds[state.symbol][window]
            if share > best[2]:
                best = (window, move_pct, share)
        return best
