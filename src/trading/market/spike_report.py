"""From a sighting to a reported spike: deduplication, severity, whose move it is, pump likelihood.

A pair and direction that was reported stays quiet for the cool-down whatever else is seen, and
after that only a new move counts: lows and highs from before the cool-down's end do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from trading.market.co_movement import measure_co_movement
from trading.market.config import SeverityConfig, SpikeDetectionConfig
from trading.market.pump_likelihood import measure_pump, pump_likelihood
from trading.market.symbol_state import SymbolState
from trading.market.windows import FIFTEEN_MINUTES, ONE_MINUTE, WINDOW_MINUTES
from trading.model.metrics import PumpView
from trading.model.spike import CoMovement, Spike, SpikeDirection, SpikeSeverity, SpikeType

_NEVER_MS = -(10**18)
FAR_FUTURE_MS = 10**18


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a detector saw. ``value`` and ``limit`` are in the type's unit (``SpikeType``)."""

    type: SpikeType
    direction: SpikeDirection
    value: float
    limit: float
    move_pct: float
    minutes: int
    confidence: float
    time_ms: int
    evidence: str
    window: int = ONE_MINUTE  # of the figures on returns and volume


class SpikeReporter:
    """Reports sightings as spikes, one per pair, direction and cool-down."""

    def __init__(
        self,
        config: SpikeDetectionConfig,
        states: Mapping[str, SymbolState],
        btc_symbol: str,
    ) -> None:
        self._config = config
        self._btc = states.get(btc_symbol)
        self._cooldown_ms = config.cooldown_s * 1000
        # From when on trades count, which is when the pair's last cool-down ended.
        self._up_since = dict.fromkeys(states, _NEVER_MS)
        self._down_since = dict.fromkeys(states, _NEVER_MS)

    def watches(self, kind: SpikeType) -> bool:
        return self._config.enabled and kind in self._config.types

    def since_ms(self, symbol: str, direction: SpikeDirection) -> int:
        """From when on trades count for the pair and direction; in the future while quiet."""
        ends = self._up_since if direction is SpikeDirection.UP else self._down_since
        return ends[symbol]

    def quiet_until(self, symbol: str, now_ms: int) -> int:
        """When the next cool-down of the pair ends; far in the future when it has none."""
        ends = (self._up_since[symbol], self._down_since[symbol])
        return min((end for end in ends if end > now_ms), default=FAR_FUTURE_MS)

    def report(self, state: SymbolState, sighting: Sighting, now_ms: int) -> Spike | None:
        """The spike, or None while the pair is quiet or when it is too unsure.

        The pair's windows must be current.
        """
        symbol, direction = state.symbol, sighting.direction
        if (
            sighting.time_ms < self.since_ms(symbol, direction)
            or sighting.confidence < self._config.min_confidence
        ):
            return None
        ends = self._up_since if direction is SpikeDirection.UP else self._down_since
        ends[symbol] = sighting.time_ms + self._cooldown_ms
        return self._spike(state, sighting, now_ms)

    def pump_now(self, state: SymbolState, now_ms: int) -> PumpView:
        """How much the pair's last 15 minutes look like a pump. Its windows must be current."""
        config, window = self._config, FIFTEEN_MINUTES
        rise_pct = (state.windows.last_price / state.windows.low(window) - 1.0) * 100.0
        shared = measure_co_movement(
            config.co_movement, state, self._btc, rise_pct, WINDOW_MINUTES[window], now_ms
        )
        features = measure_pump(state, shared.isolated_share, now_ms)
        return PumpView(
            symbol=state.symbol,
            time_ms=now_ms,
            rise_15m_pct=rise_pct,
            likelihood=None if features is None else pump_likelihood(features),
            features={} if features is None else asdict(features),
        )

    def _spike(self, state: SymbolState, sighting: Sighting, now_ms: int) -> Spike:
        config, symbol, move_pct = self._config, state.symbol, sighting.move_pct
        shared = measure_co_movement(
            config.co_movement, state, self._btc, move_pct, sighting.minutes, now_ms
        )
        features = None
        if sighting.direction is SpikeDirection.UP and shared.kind is not CoMovement.UNKNOWN:
            features = measure_pump(state, shared.isolated_share, now_ms)
        last, window = state.windows.last_price, sighting.window
        return Spike(
            id=f"spk-{symbol}-{sighting.time_ms}-{sighting.direction.value}-{sighting.type.value}",
            symbol=symbol,
            type=sighting.type,
            direction=sighting.direction,
            detected_at_ms=now_ms,
            magnitude_pct=move_pct,
            timeframe_minutes=sighting.minutes,
            volume_multiple=state.volume_multiple(window),
            z_score=state.bars.z_score(window, move_pct / 100.0),
            price_from=last / (1.0 + move_pct / 100.0),
            price_to=last,
            confidence=min(1.0, sighting.confidence),
            detection_latency_ms=max(0, now_ms - sighting.time_ms),
            severity=severity_of(config.severity, sighting.value / sighting.limit),
            trigger_value=sighting.value,
            trigger_limit=sighting.limit,
            co_movement=shared.kind,
            isolated_share=shared.isolated_share,
            btc_move_pct=shared.btc_move_pct,
            pump_likelihood=None if features is None else pump_likelihood(features),
            pump_features={} if features is None else asdict(features),
            evidence=sighting.evidence,
        )


def severity_of(config: SeverityConfig, share_of_limit: float) -> SpikeSeverity:
    """The class of a trigger that has used its limit this many times."""
    if share_of_limit >= config.extreme:
        return SpikeSeverity.EXTREME
    if share_of_limit >= config.major:
        return SpikeSeverity.MAJOR
    if share_of_limit >= config.moderate:
        return SpikeSeverity.MODERATE
    return SpikeSeverity.MINOR


def confidence_of(share_of_limit: float, support: float) -> float:
    """Confidence of the types whose trigger is no move: 0.6 at the limit, 1 at twice with support.

    ``0.6 + 0.2 × (share - 1) + 0.2 × support``, both parts within 0 and 1. ``support`` says how far
    the price went the same way.
    """
    return 0.6 + 0.2 * min(1.0, max(0.0, share_of_limit - 1.0)) + 0.2 * min(1.0, max(0.0, support))


def move_over(state: SymbolState, window: int) -> float:
    """The pair's return over the window, in %, as of the windows' last expiry."""
    return (state.windows.last_price / state.windows.first_price(window) - 1.0) * 100.0


def support_of(state: SymbolState, direction: SpikeDirection, window: int) -> float:
    """How far the price moved in ``direction``, as a share of three usual deviations, 0 to 1."""
    move = move_over(state, window) / 100.0
    signed = state.bars.z_score(window, move) * (1 if direction is SpikeDirection.UP else -1)
    return min(1.0, max(0.0, signed / 3.0))
