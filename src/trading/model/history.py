"""Past spikes that were like one of now, and what became of them."""

from __future__ import annotations

from pydantic import Field

from trading.model.base import SymbolName, ValueModel
from trading.model.spike import SpikeDirection, SpikeType


class SpikePattern(ValueModel):
    """What a spike is compared by. ``before_ms``: only older ones count."""

    symbol: SymbolName
    type: SpikeType
    direction: SpikeDirection
    magnitude_pct: float = Field(allow_inf_nan=False)
    timeframe_minutes: int = Field(gt=0, le=1440)
    volume_multiple: float = Field(ge=0, allow_inf_nan=False)
    before_ms: int
    limit: int = Field(default=10, ge=1, le=50)


class PastSpike(ValueModel):
    """A spike on record. ``distance`` is 0 for the same figures."""

    id: str
    symbol: str
    detected_at_ms: int
    magnitude_pct: float
    timeframe_minutes: int
    volume_multiple: float
    pump_likelihood: float | None
    status: str
    outcome: str  # profitable, unprofitable or pending
    pnl: str | None  # quote asset
    distance: float


class PastSpikes(ValueModel):
    """The nearest ones, nearest first, out of ``compared`` of the same kind and direction."""

    compared: int
    spikes: tuple[PastSpike, ...]
