"""Spikes to trade."""

from __future__ import annotations

from trading.model.spike import Spike, SpikeDirection, SpikeType


def rising_spike(
    spike_id: str, symbol: str, detected_at_ms: int, price: float, magnitude_pct: float = 4.0
) -> Spike:
    """A strong rise of ``symbol`` to ``price`` within five minutes."""
    return Spike(
        id=spike_id,
        symbol=symbol,
        type=SpikeType.PRICE,
        direction=SpikeDirection.UP,
        detected_at_ms=detected_at_ms,
        magnitude_pct=magnitude_pct,
        timeframe_minutes=5,
        volume_multiple=5.0,
        z_score=6.0,
        price_from=price / (1 + magnitude_pct / 100),
        price_to=price,
        confidence=0.9,
        detection_latency_ms=1.0,
    )
