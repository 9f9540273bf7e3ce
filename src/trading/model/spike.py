"""A detected spike and its life."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from trading.model.base import Fraction, SymbolName, ValueModel


class SpikeType(StrEnum):
    """What was seen. ``Spike.trigger_value`` and its limit are in the type's own unit."""

    PRICE = "price"  # move from the window's low or high, in %
    VOLUME = "volume"  # a minute's volume, in standard deviations of the day's minutes
    DIVERGENCE = "divergence"  # futures price against spot, in %
    IMBALANCE = "imbalance"  # heavier side of the book over the lighter, a ratio
    LIQUIDATION = "liquidation"  # forced orders of one asset within five minutes, in USD
    NEWS = "news"  # move within two minutes of a headline, in %


class SpikeSeverity(StrEnum):
    """How far beyond its limit the trigger is; the classes' edges are settings."""

    MINOR = "minor"
    MODERATE = "moderate"
    MAJOR = "major"
    EXTREME = "extreme"


class CoMovement(StrEnum):
    """Whose move it is, by the share of it that BTC's own move does not explain."""

    ISOLATED = "isolated"
    PARTLY = "partly"
    MARKET = "market"
    UNKNOWN = "unknown"


class SpikeDirection(StrEnum):
    UP = "up"
    DOWN = "down"


class SpikeStatus(StrEnum):
    DETECTED = "detected"
    ANALYZED = "analyzed"
    TRADED = "traded"
    SKIPPED = "skipped"


class Spike(ValueModel):
    """A move that stands out from the pair's own recent past.

    ``magnitude_pct`` is the pair's own move over ``timeframe_minutes``, signed (negative for a
    fall), whatever the type; a book may be heavy on one side before the price has moved at all.
    ``confidence`` is 0 to 1. ``isolated_share`` is the share of the move that BTC's move does not
    explain, ``pump_likelihood`` how much a rise looks like a pump about to be dumped
    (``trading.market.pump_likelihood``); both are None where they cannot be told.
    """

    id: str
    symbol: SymbolName
    type: SpikeType
    direction: SpikeDirection
    detected_at_ms: int
    magnitude_pct: float
    timeframe_minutes: int = Field(gt=0)
    volume_multiple: float = Field(ge=0)
    z_score: float
    price_from: float = Field(gt=0)
    price_to: float = Field(gt=0)
    confidence: Fraction
    detection_latency_ms: float = Field(ge=0)
    severity: SpikeSeverity = SpikeSeverity.MINOR
    trigger_value: float = 0.0
    trigger_limit: float = 0.0
    co_movement: CoMovement = CoMovement.UNKNOWN
    isolated_share: Fraction | None = None
    btc_move_pct: float | None = None
    pump_likelihood: Fraction | None = None
    pump_features: dict[str, float] = Field(default_factory=dict)  # what it was made of
    evidence: str = ""  # for people: what was seen, with the limit beside it

    @property
    def strength(self) -> float:
        """Ranks spikes that wait for a crew: bigger and surer first."""
        return abs(self.magnitude_pct) * self.confidence
