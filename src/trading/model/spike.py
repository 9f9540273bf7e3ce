"""A detected spike and its life."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from trading.model.base import Fraction, SymbolName, ValueModel


class SpikeType(StrEnum):
    PRICE = "price"
    VOLUME = "volume"
    DIVERGENCE = "divergence"
    IMBALANCE = "imbalance"
    LIQUIDATION = "liquidation"
    NEWS = "news"


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

    ``magnitude_pct`` is signed (negative for a fall). ``confidence`` is 0 to 1.
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

    @property
    def strength(self) -> float:
        """Ranks spikes that wait for a crew: bigger and surer first."""
        return abs(self.magnitude_pct) * self.confidence
