"""What the market says about whether a crash is over."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from trading.market.minute_bars import MIN_BASELINE_SAMPLES, MinuteBars
from trading.model.base import ValueModel
from trading.model.market import Bar

FALL_MINUTES = 240  # where the fall that is being recovered from is looked for
FURTHER_FALL_MINUTES = 30
FLAT_BAND_PCT = 3.0  # highest over lowest price that still counts as flat
SMALL_FALL_PCT = 3.0  # below this there is nothing to regain


class RecoveryFacts(ValueModel):
    """The market's side of the recovery conditions, measured on BTC unless said."""

    further_fall_30m_pct: float  # largest fall of BTC or ETH within the last 30 minutes
    btc_regained_share: float  # of the largest fall in 4 h; 1.0 when there was none to speak of
    flat_minutes: float  # how long BTC has stayed within a band of FLAT_BAND_PCT
    volume_share_of_normal: float  # last 30 minutes against the median minute of the baseline


def largest_fall(bars: Sequence[Bar]) -> tuple[float, float, float]:
    """The largest fall from a high to a later low: in %, the high, the low.

    Within one bar the high is taken to come first, so the figure is never too small.
    """
    worst = (0.0, 0.0, 0.0)
    peak = 0.0
    for bar in bars:
        peak = max(peak, bar.high)
        fall_pct = (peak - bar.low) / peak * 100.0
        if fall_pct > worst[0]:
            worst = (fall_pct, peak, bar.low)
    return worst


def flat_minutes(bars: Sequence[Bar]) -> int:
    """How many of the last bars fit into a band of FLAT_BAND_PCT."""
    high, low = 0.0, float("inf")
    for count, bar in enumerate(reversed(bars)):
        high, low = max(high, bar.high), min(low, bar.low)
        if (high / low - 1.0) * 100.0 > FLAT_BAND_PCT:
            return count
    return len(bars)


def volume_share_of_normal(bars: MinuteBars) -> float:
    """Mean of the last 30 closed minutes against the median minute; 1 without enough past.

    The median, because the crash itself would raise a mean so far that nothing after it is normal.
    """
    volumes = bars.closed_volumes()
    if len(volumes) < MIN_BASELINE_SAMPLES:
        return 1.0
    normal = statistics.median(volumes)
    recent = volumes[-FURTHER_FALL_MINUTES:]
    return statistics.fmean(recent) / normal if normal > 0 else 1.0


def measure_recovery(btc: MinuteBars, eth: MinuteBars) -> RecoveryFacts:
    """All facts as of the last bars. Before the first bar nothing counts as recovered."""
    history = btc.last(FALL_MINUTES)
    if not history:
        return RecoveryFacts(
            further_fall_30m_pct=0.0,
            btc_regained_share=0.0,
            flat_minutes=0.0,
            volume_share_of_normal=0.0,
        )
    fall_pct, high, low = largest_fall(history)
    regained = (history[-1].close - low) / (high - low) if fall_pct >= SMALL_FALL_PCT else 1.0
    further = max(largest_fall(bars.last(FURTHER_FALL_MINUTES))[0] for bars in (btc, eth))
    return RecoveryFacts(
        further_fall_30m_pct=further,
        btc_regained_share=min(1.0, max(0.0, regained)),
        flat_minutes=float(flat_minutes(history)),
        volume_share_of_normal=volume_share_of_normal(btc),
    )
