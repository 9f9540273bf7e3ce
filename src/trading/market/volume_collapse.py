"""How far trading has dried up."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from trading.market.minute_bars import MIN_BASELINE_SAMPLES, MinuteBars

# Minutes without any trade are silence, which has a rule of its own; with more of them than this
# share, there is no thin trading to measure.
_MAX_SILENT_SHARE = 1 / 3


def times_below_usual(bars: MinuteBars, minutes: int) -> float | None:
    """The pair's usual minute over the mean of its last closed ones; None if not known.

    Usual is the median of the baseline's minutes with trades.
    """
    volumes = bars.closed_volumes()
    recent = volumes[-minutes:]
    traded = [volume for volume in volumes if volume > 0.0]
    if len(traded) < MIN_BASELINE_SAMPLES or _silent_share(recent) > _MAX_SILENT_SHARE:
        return None
    return statistics.median(traded) / statistics.fmean(recent)


def _silent_share(volumes: Sequence[float]) -> float:
    return sum(volume <= 0.0 for volume in volumes) / len(volumes)
