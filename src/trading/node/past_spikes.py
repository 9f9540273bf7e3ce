"""Past spikes that were like one of now, by rows on record."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from trading.market.spike_likeness import distance
from trading.model.history import PastSpike, PastSpikes, SpikePattern

COMPARED = 500  # newest spikes of the kind and direction


def nearest(rows: Iterable[sqlite3.Row], pattern: SpikePattern) -> PastSpikes:
    """The ``pattern.limit`` rows nearest to the pattern."""
    found = [_past(row, pattern) for row in rows]
    found.sort(key=lambda spike: (spike.distance, -spike.detected_at_ms, spike.id))
    return PastSpikes(compared=len(found), spikes=tuple(found[: pattern.limit]))


def _past(row: sqlite3.Row, pattern: SpikePattern) -> PastSpike:
    apart = distance(
        magnitude_pct=(row["magnitude_percent"], pattern.magnitude_pct),
        minutes=(row["timeframe_minutes"], pattern.timeframe_minutes),
        volume_multiple=(row["volume_multiplier"], pattern.volume_multiple),
        same_pair=row["trading_pair"] == pattern.symbol,
    )
    return PastSpike(
        id=row["id"],
        symbol=row["trading_pair"],
        detected_at_ms=row["timestamp_ms"],
        magnitude_pct=row["magnitude_percent"],
        timeframe_minutes=row["timeframe_minutes"],
        volume_multiple=row["volume_multiplier"],
        pump_likelihood=row["pump_likelihood"],
        status=row["status"],
        outcome=row["outcome"],
        pnl=row["pnl"],
        distance=round(apart, 4),
    )
