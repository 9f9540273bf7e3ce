"""Finds moves of one pair that stand out from its own recent past.

A price spike is a move from a window's low (or high) that reaches the pair's threshold for that
window and stands out by ``min_z_score``. A volume spike is a multiple of the usual volume with a
move that gives it a direction. Of several windows the one whose threshold is exceeded most counts.

Confidence, 0 to 1, is ``0.4 × size + 0.3 × rarity + 0.3 × volume``: size is the move in thresholds,
rarity the z-score in minimum z-scores, volume the volume multiple in minimum multiples, each one
halved and capped at 1. A move of just the threshold with usual volume has about 0.4; one of twice
the threshold, twice the z-score and twice the volume multiple has 1.

A pair and direction that was reported stays quiet for the cool-down, and after that only a new move
counts: lows and highs from before the cool-down's end do not.
"""

from __future__ import annotations

from collections.abc import Iterable

from trading.market.config import SpikeDetectionConfig
from trading.market.symbol_state import SymbolState
from trading.market.windows import (
    FIFTEEN_MINUTES,
    FIVE_MINUTES,
    ONE_MINUTE,
    WINDOW_MINUTES,
)
from trading.model.spike import Spike, SpikeDirection, SpikeType

PRICE_WINDOWS = (ONE_MINUTE, FIVE_MINUTES, FIFTEEN_MINUTES)
VOLUME_WINDOWS = (ONE_MINUTE, FIVE_MINUTES)
_SIZE_WEIGHT, _RARITY_WEIGHT, _VOLUME_WEIGHT = 0.4, 0.3, 0.3
_NEVER_MS = -(10**18)
FAR_FUTURE_MS = 10**18


class SpikeDetector:
    """Price and volume spikes of all pairs, each pair and direction once per cool-down."""

    def __init__(self, config: SpikeDetectionConfig, symbols: Iterable[str]) -> None:
        self._config = config
        self._watches_price = config.enabled and SpikeType.PRICE in config.types
        self._watches_volume = config.enabled and SpikeType.VOLUME in config.types
        self._cooldown_ms = config.cooldown_s * 1000
        self._thresholds: dict[str, tuple[float, float, float]] = {}
        # From when on trades count, which is when the pair's last cool-down ended.
        self._up_since: dict[str, int] = {}
        self._down_since: dict[str, int] = {}
        for symbol in symbols:
            of_pair = config.thresholds_of(symbol)
            self._thresholds[symbol] = (
                of_pair.one_minute_pct,
                of_pair.five_minutes_pct,
                of_pair.fifteen_minutes_pct,
            )
            self._up_since[symbol] = self._down_since[symbol] = _NEVER_MS

    def quiet_until(self, state: SymbolState, now_ms: int) -> int:
        """When the next cool-down of the pair ends; far in the future when it has none."""
        ends = (self._up_since[state.symbol], self._down_since[state.symbol])
        return min((end for end in ends if end > now_ms), default=FAR_FUTURE_MS)

    def trigger_prices(self, state: SymbolState, now_ms: int) -> tuple[float, float]:
        """Prices at or below and at or above which a price spike may exist (0 and ∞ for none)."""
        down, up = 0.0, float("inf")
        if not self._watches_price:
            return down, up
        windows, symbol = state.windows, state.symbol
        one, five, fifteen = self._thresholds[symbol]
        since_ms = self._down_since[symbol]
        if since_ms <= now_ms:
            high = windows.high_since
            down = max(
                high(ONE_MINUTE, since_ms) * (1.0 - one / 100.0),
                high(FIVE_MINUTES, since_ms) * (1.0 - five / 100.0),
                high(FIFTEEN_MINUTES, since_ms) * (1.0 - fifteen / 100.0),
            )
        since_ms = self._up_since[symbol]
        if since_ms <= now_ms:
            low = windows.low_since
            up = min(
                low(ONE_MINUTE, since_ms) * (1.0 + one / 100.0),
                low(FIVE_MINUTES, since_ms) * (1.0 + five / 100.0),
                low(FIFTEEN_MINUTES, since_ms) * (1.0 + fifteen / 100.0),
            )
        return down, up

    def known_extremes(self, state: SymbolState, now_ms: int) -> tuple[float, float]:
        """Low and high within which a trade cannot bring ``trigger_prices`` nearer."""
        windows = state.windows
        up_since, down_since = self._up_since[state.symbol], self._down_since[state.symbol]
        return (
            windows.low_since(ONE_MINUTE, up_since if up_since <= now_ms else _NEVER_MS),
            windows.high_since(ONE_MINUTE, down_since if down_since <= now_ms else _NEVER_MS),
        )

    def on_price(self, state: SymbolState, time_ms: int, now_ms: int) -> Spike | None:
        """A price spike at the pair's last trade; its windows must be current."""
        if not self._watches_price:
            return None
        for direction in (SpikeDirection.UP, SpikeDirection.DOWN):
            if time_ms < self._since(state.symbol, direction):
                continue
            window, move_pct, share = self._largest(state, direction, PRICE_WINDOWS)
            if share < 1.0:
                continue
            z_score = state.bars.z_score(window, move_pct / 100.0)
            if state.bars.has_baseline(window) and abs(z_score) < self._config.min_z_score:
                continue
            spike = self._spike(
                state, SpikeType.PRICE, direction, window, move_pct, share, time_ms, now_ms
            )
            if spike:
                return spike
        return None

    def on_volume(self, state: SymbolState, time_ms: int, now_ms: int) -> Spike | None:
        """A volume spike as of the pair's last trade; its windows must be current."""
        if not self._watches_volume:
            return None
        if all(
            state.volume_multiple(window) < self._config.volume_multiple
            for window in VOLUME_WINDOWS
        ):
            return None
        moves = [
            (share, direction, window, move_pct)
            for direction in (SpikeDirection.UP, SpikeDirection.DOWN)
            for window, move_pct, share in [self._largest(state, direction, VOLUME_WINDOWS)]
        ]
        share, direction, window, move_pct = max(moves, key=lambda move: move[0])
        if share < self._config.volume_min_move_share:
            return None
        if time_ms < self._since(state.symbol, direction):
            return None
        return self._spike(
            state, SpikeType.VOLUME, direction, window, move_pct, share, time_ms, now_ms
        )

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

    def _since(self, symbol: str, direction: SpikeDirection) -> int:
        ends = self._up_since if direction is SpikeDirection.UP else self._down_since
        return ends[symbol]

    def _largest(
        self, state: SymbolState, direction: SpikeDirection, candidates: tuple[int, ...]
    ) -> tuple[int, float, float]:
        """The window whose threshold is used up most: window, signed move in %, share."""
        windows = state.windows
        extreme_of = windows.low_since if direction is SpikeDirection.UP else windows.high_since
        since_ms = self._since(state.symbol, direction)
        last = windows.last_price
        best = (candidates[0], 0.0, -1.0)
        for window in candidates:
            extreme = extreme_of(window, since_ms)
            move_pct = (last / extreme - 1.0) * 100.0
            share = abs(move_pct) / self._thresholds[state.symbol][window]
            if share > best[2]:
                best = (window, move_pct, share)
        return best

    def _spike(
        self,
        state: SymbolState,
        kind: SpikeType,
        direction: SpikeDirection,
        window: int,
        move_pct: float,
        share: float,
        time_ms: int,
        now_ms: int,
    ) -> Spike | None:
        z_score = state.bars.z_score(window, move_pct / 100.0)
        multiple = state.volume_multiple(window)
        confidence = self.confidence(share, z_score, multiple)
        if confidence < self._config.min_confidence:
            return None
        ends = self._up_since if direction is SpikeDirection.UP else self._down_since
        ends[state.symbol] = time_ms + self._cooldown_ms
        last = state.windows.last_price
        return Spike(
            id=f"spk-{state.symbol}-{time_ms}-{direction.value}-{kind.value}",
            symbol=state.symbol,
            type=kind,
            direction=direction,
            detected_at_ms=now_ms,
            magnitude_pct=move_pct,
            timeframe_minutes=WINDOW_MINUTES[window],
            volume_multiple=multiple,
            z_score=z_score,
            price_from=last / (1.0 + move_pct / 100.0),
            price_to=last,
            confidence=min(1.0, confidence),
            detection_latency_ms=max(0, now_ms - time_ms),
        )
