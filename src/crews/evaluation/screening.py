"""Finds the stretches of years that the detector has to be run over.

The real detector decides everything that is reported; running it over quiet years would only take
time. A stretch is left out when no metric could come near its soft limit there, by a bound that is
never below the metric itself (a test compares a screened run with a whole one).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from crews.evaluation.archive import GAP_MS, Floats, NamedSpan, Times, column_of, times_of
from trading.clock import DAY_MS, MINUTE_MS
from trading.market.config import (
    BreadthConfig,
    CrashDetectionConfig,
    LeaderFallConfig,
    MarketIndexConfig,
)
from trading.simulator.recorded_files import LEADERS
from trading.simulator.recorded_series import BarSeries

LEAD_IN_MS = 250 * MINUTE_MS  # fills the longest window before anything can happen
LEAD_OUT_MS = 15 * MINUTE_MS  # lets a breach end, too
_HOUR = 60
_DAY_HOURS = 24
_DAY = _DAY_HOURS * _HOUR
_CHUNK = 2000  # days of minutes looked at together, for their memory's sake
# Of a soft limit: bars that open between minutes sit up to a minute off the grid, and the index's
# weights drift.
SLACK = 0.9

Minutes = npt.NDArray[np.bool_]


def stretches(
    pairs: Mapping[str, BarSeries], span: NamedSpan, config: CrashDetectionConfig
) -> list[NamedSpan]:
    """The parts of ``span`` in which any fall could reach its soft limit, with lead-in and out.

    Without BTC or ETH among the pairs all of it: the bounds rest on their weights in the index.
    """
    if any(leader not in pairs for leader in LEADERS):
        return [span] if pairs else []
    share = config.warning_share * SLACK
    falls = [_Falls(series, run) for series in pairs.values() for run in _runs(series, span)]
    minutes = (span.end_ms - span.start_ms) // MINUTE_MS
    near = np.zeros(minutes, dtype=np.bool_)
    for one in falls:
        if one.symbol in LEADERS:
            limits = config.btc if one.symbol == LEADERS[0] else config.eth
            near[one.place(span)] |= _leader_is_near(one, limits, share)
    near |= _volume_is_near([pairs[leader] for leader in LEADERS], span, config)
    near |= _index_is_near(falls, span, len(pairs), config.market_index, share)
    if len(pairs) >= config.breadth.min_pairs:
        near |= _breadth_is_near(falls, span, config.breadth, share)
    at = np.flatnonzero(near)
    if not len(at):
        return []
    breaks = np.flatnonzero(np.diff(at) * MINUTE_MS > LEAD_IN_MS + LEAD_OUT_MS) + 1
    return [
        NamedSpan(
            span.name,
            max(span.start_ms, span.start_ms + int(part[0]) * MINUTE_MS - LEAD_IN_MS),
            min(span.end_ms, span.start_ms + int(part[-1] + 1) * MINUTE_MS + LEAD_OUT_MS),
        )
        for part in np.split(at, breaks)
    ]


def rolling_max(values: Floats, count: int) -> Floats:
    """Largest of the last ``count`` values at each place (van Herk), of fewer at the beginning."""
    padding = -len(values) % count
    blocks = np.concatenate([values, np.full(padding, -np.inf)]).reshape(-1, count)
    ahead = np.maximum.accumulate(blocks, axis=1).reshape(-1)[: len(values)]
    behind = np.maximum.accumulate(blocks[:, ::-1], axis=1)[:, ::-1].reshape(-1)[: len(values)]
    result = ahead.copy()
    result[count - 1 :] = np.maximum(ahead[count - 1 :], behind[: len(values) - count + 1])
    return result


class _Falls:
    """The deepest fall of one pair in every minute of an unbroken run of its bars, in %."""

    def __init__(self, series: BarSeries, run: NamedSpan) -> None:
        self.symbol = series.symbol
        self.run = run
        times = times_of(series)
        first, last = np.searchsorted(times, (run.start_ms, run.end_ms))
        at = (times[first:last] - run.start_ms) // MINUTE_MS
        minutes = (run.end_ms - run.start_ms) // MINUTE_MS
        self._high, self._low = np.full(minutes, -np.inf), np.full(minutes, np.inf)
        self._high[at] = column_of(series, "high")[first:last]
        self._low[at] = column_of(series, "low")[first:last]

    def over(self, minutes: int) -> Floats:
        """Below the high of the last ``minutes`` whole minutes and of the one that is under way.

        Never less than what the detector finds. A minute without a trade keeps the fall of the one
        before it, which the windows can only shrink.
        """
        high = rolling_max(self._high, min(minutes + 1, len(self._high)))
        known = np.isfinite(self._low)
        low = np.where(known, self._low, high)
        with np.errstate(invalid="ignore"):  # before the first bar there is no high either
            fall = np.where(known, (high - low) / high * 100.0, 0.0)
        at = np.where(known, np.arange(len(fall)), 0)
        held: Floats = fall[np.maximum.accumulate(at)]
        return held

    def place(self, span: NamedSpan) -> slice:
        """Where the run's minutes are in the span."""
        start = (self.run.start_ms - span.start_ms) // MINUTE_MS
        return slice(start, start + len(self._high))


def _runs(series: BarSeries, span: NamedSpan) -> list[NamedSpan]:
    """Parts of the span without pauses that would empty the windows; a few of years of bars."""
    times = times_of(series)
    inside = times[slice(*np.searchsorted(times, (span.start_ms, span.end_ms)))]
    if not len(inside):
        return []
    offset = (inside - span.start_ms) // MINUTE_MS * MINUTE_MS + span.start_ms
    parts = np.split(offset, np.flatnonzero(np.diff(offset) > GAP_MS) + 1)
    return [NamedSpan(series.symbol, int(part[0]), int(part[-1]) + MINUTE_MS) for part in parts]


def _leader_is_near(falls: _Falls, limits: LeaderFallConfig, share: float) -> Minutes:
    near: Minutes = falls.over(5) >= limits.fall_5m_pct * share
    near |= falls.over(60) >= limits.fall_1h_pct * share
    near |= falls.over(240) >= limits.fall_4h_pct * share
    return near


def _index_is_near(
    falls: list[_Falls], span: NamedSpan, pairs: int, config: MarketIndexConfig, share: float
) -> Minutes:
    """The index falls by at most what its pairs fall from highs of their own, by weight.

    Its weights drift within a day, by how differently its pairs move; SLACK leaves room for that.
    """
    leaders = dict(zip(LEADERS, (config.btc_weight, config.eth_weight), strict=True))
    known = sum(leaders.values())  # the least that the weights of known pairs can add up to
    rest = min(config.max_other_weight, (1.0 - known) / max(1, pairs - len(leaders)))
    near = np.zeros((span.end_ms - span.start_ms) // MINUTE_MS, dtype=np.bool_)
    for minutes, limit_pct in ((60, config.fall_1h_pct), (240, config.fall_4h_pct)):
        fallen = np.zeros(len(near))
        for one in falls:
            weight = leaders.get(one.symbol, rest) / known
            fallen[one.place(span)] += weight * one.over(minutes)
        near |= fallen >= limit_pct * share
    return near


def _volume_is_near(
    leaders: Sequence[BarSeries], span: NamedSpan, config: CrashDetectionConfig
) -> Minutes:
    """Both trade nearly ``times_below`` times less than their usual minute.

    That is a median over a day, slow to take for every minute; so it is only taken where a bound
    of it lets both come near: the greatest of the 60 % quantiles of the hours that the day touches
    (a part of an hour at the day's beginning moves it by less than 10 %).
    """
    limit = config.volume_collapse.times_below * config.warning_share * SLACK
    recent = config.volume_collapse.minutes
    volumes = [_volumes(series, span) for series in leaders]
    near: Minutes = np.logical_and.reduce([_bound(one, recent) >= limit for one in volumes])
    at = np.flatnonzero(near)
    for one in volumes:
        at = at[_times_below(one, at, recent) >= limit]
    near[:] = False
    near[at] = True
    return near


def _volumes(series: BarSeries, span: NamedSpan) -> Floats:
    """Volumes of the span's minutes, with a day before them."""
    times = times_of(series)
    start_ms = span.start_ms - DAY_MS
    first, last = np.searchsorted(times, (start_ms, span.end_ms))
    volumes = np.zeros((span.end_ms - start_ms) // MINUTE_MS)
    volumes[(times[first:last] - start_ms) // MINUTE_MS] = column_of(series, "volume")[first:last]
    return volumes


def _bound(volumes: Floats, recent: int) -> Floats:
    """Never below the ratio that ``_times_below`` gives, for every minute after the first day."""
    hours = np.concatenate([volumes, np.zeros(-len(volumes) % _HOUR)]).reshape(-1, _HOUR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # hours without any trade
        usual = np.nan_to_num(np.nanquantile(np.where(hours > 0.0, hours, np.nan), 0.6, axis=1))
    usual = np.repeat(rolling_max(usual, _DAY_HOURS + 1), _HOUR)[: len(volumes)]
    mean = _means(volumes, recent)
    with np.errstate(divide="ignore", invalid="ignore"):
        bound: Floats = np.where(mean > 0.0, usual[_DAY:] / mean, 0.0)
    return bound


def _times_below(volumes: Floats, at: Times, recent: int) -> Floats:
    """The usual minute over the mean of the last ones, as of the minutes ``at`` of the span."""
    result = np.zeros(len(at))
    days = np.lib.stride_tricks.sliding_window_view(volumes, _DAY)
    for first in range(0, len(at), _CHUNK):
        chunk = at[first : first + _CHUNK]
        day = days[chunk]  # the minutes that are closed then
        usual = np.nanmedian(np.where(day > 0.0, day, np.nan), axis=1)
        result[first : first + _CHUNK] = usual / day[:, -recent:].mean(axis=1)
    return result


def _means(volumes: Floats, count: int) -> Floats:
    """Mean of the ``count`` minutes before each, for every minute after the first day."""
    sums = np.concatenate([[0.0], np.cumsum(volumes)])
    means: Floats = (sums[_DAY:-1] - sums[_DAY - count : -1 - count]) / count
    return means


def _breadth_is_near(
    falls: list[_Falls], span: NamedSpan, config: BreadthConfig, share: float
) -> Minutes:
    """Enough pairs fall to be the soft share of the fewest pairs that the rule looks at."""
    falling = np.zeros((span.end_ms - span.start_ms) // MINUTE_MS, dtype=np.int32)
    for one in falls:
        falling[one.place(span)] += one.over(60) >= config.fall_pct
    near: Minutes = falling >= config.min_pairs * config.share * share
    return near
