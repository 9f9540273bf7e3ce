"""Finds moves of one pair that stand out from its own recent past.

A price spike is a move from a window's low (or high) that reaches the pair's threshold for that
window, stands out by ``min_z_score``, and comes on real trading: ``price_min_volume_multiple`` of
the usual volume and ``min_notional_usd``. A volume spike is a minute whose volume lies
``volume_sigma`` standard deviations above the day's minutes, with a move that gives it a direction.
Of several windows with such a move, the one whose threshold is exceeded most counts. Both are
looked for at every trade that can make one, so an alert never waits for a clock.

Confidence, 0 to 1, is ``0.4 × size + 0.3 × rarity + 0.3 × volume``: size is the move in thresholds,
rarity the z-score in minimum z-scores, volume the volume multiple in minimum multiples, each one
halved and capped at 1. A move of just the threshold that is just as rare and as busy as it must be
has 0.5, one of twice all three has 1. A pair without a past has at most 0.4, for its size alone:
less than ``min_confidence`` asks by default, because nobody knows what is usual for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from trading.market.config import SpikeDetectionConfig
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
SIZE_WEIGHT, RARITY_WEIGHT, VOLUME_WEIGHT = 0.4, 0.3, 0.3
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
        self._thresholds = {symbol: config.thresholds_of(symbol).by_window for symbol in symbols}

    def quiet_until(self, state: SymbolState, now_ms: int) -> int:
        """When the next cool-down of the pair ends; far in the future when it has none."""
        return self._reporter.quiet_until(state.symbol, now_ms)

    def heeds(self, state: SymbolState, direction: SpikeDirection, time_ms: int) -> bool:
        """Whether a move that way may be a spike before the pair's next cool-down ends."""
        return (self._watches_price or self.watches_volume) and self._reporter.since_ms(
            state.symbol, direction
        ) <= time_ms

    def on_price(self, state: SymbolState, time_ms: int, now_ms: int) -> Spike | None:
        """A price spike at the pair's last trade; its windows must be current."""
        if not self._watches_price:
            return None
        for direction in (SpikeDirection.UP, SpikeDirection.DOWN):
            if time_ms < self._reporter.since_ms(state.symbol, direction):
                continue
            moves = self._moves(state, direction, PRICE_WINDOWS)
            standing = [
                move for move in moves if move[0] >= 1.0 and self._is_traded(state, *move[1:])
            ]
            if not standing:
                continue
            share, window, move_pct = max(standing)
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
        share, window, move_pct = max(
            move
            for direction in (SpikeDirection.UP, SpikeDirection.DOWN)
            for move in self._moves(state, direction, VOLUME_WINDOWS)
        )
        direction = SpikeDirection.UP if move_pct > 0.0 else SpikeDirection.DOWN
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
        return confidence(self._config, share, z_score, state.volume_multiple(window))

    def _moves(
        self, state: SymbolState, direction: SpikeDirection, candidates: tuple[int, ...]
    ) -> list[tuple[float, int, float]]:
        """Of each window how many of its thresholds the move is, the window, the move in %."""
        windows = state.windows
        extremes_of = windows.lows_since if direction is SpikeDirection.UP else windows.highs_since
        since_ms = self._reporter.since_ms(state.symbol, direction)
        thresholds, last = self._thresholds[state.symbol], windows.last_price
        moves = []
        for window, extreme in zip(candidates, extremes_of(candidates, since_ms), strict=True):
            move_pct = (last / extreme - 1.0) * 100.0
            moves.append((abs(move_pct) / thresholds[window], window, move_pct))
        return moves


def confidence(
    config: SpikeDetectionConfig, share_of_threshold: float, z_score: float, volume_multiple: float
) -> float:
    """The formula of this module's description."""
    rarity = abs(z_score) / config.min_z_score if config.min_z_score else 2.0
    volume = volume_multiple / config.volume_multiple
    return (
        SIZE_WEIGHT * min(1.0, share_of_threshold / 2.0)
        + RARITY_WEIGHT * min(1.0, rarity / 2.0)
        + VOLUME_WEIGHT * min(1.0, volume / 2.0)
    )
