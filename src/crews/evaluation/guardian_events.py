"""Holds the labelled crashes against what the detector said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crews.evaluation.archive import Archive, CrashEvent, column_of, times_of
from crews.evaluation.guardian_report import IN_TIME_S, REQUIRED_PCT, EventResult
from crews.evaluation.outcome import Outcomes
from crews.evaluation.runner import Listened, Signal
from trading.clock import MINUTE_MS
from trading.market.pseudo_ticks import bar_ticks
from trading.simulator.recorded_series import BarSeries

LOOK_BACK_MS = 60 * MINUTE_MS  # the window of crashes.csv
_ROUNDING = 1e-9


def is_required(event: CrashEvent) -> bool:
    """Whether the event must be caught: deep, and not just for the blink of a wick."""
    return event.threshold_pct >= REQUIRED_PCT and event.close_minute_ms is not None


def judge(
    archive: Archive,
    event: CrashEvent,
    heard: Sequence[Listened],
    outcomes: Outcomes | None = None,
) -> EventResult | None:
    """None where the minutes of the event are not recorded; without ``outcomes`` no savings."""
    series = archive.pairs.get(f"{event.asset}USDT")
    minute_ms = event.close_minute_ms or event.low_minute_ms
    if series is None or (crossed_ms := _crossing_ms(series, event, minute_ms)) is None:
        return None
    since_ms = crossed_ms - LOOK_BACK_MS
    parts = [one for one in heard if one.span.start_ms <= crossed_ms < one.span.end_ms]
    signals = [
        one
        for part in parts
        for one in part.signals
        if since_ms < one.time_ms <= crossed_ms + IN_TIME_S * 1000
    ]
    trip = signals[0] if signals else _still_active(parts, crossed_ms)
    warned = [ms for part in parts for ms in part.warned_ms if since_ms < ms <= crossed_ms]
    saved = outcomes.of(trip.time_ms) if outcomes and trip else None
    return EventResult(
        asset=event.asset,
        threshold_pct=event.threshold_pct,
        crossed_ms=crossed_ms,
        by_close=event.close_minute_ms is not None,
        required=is_required(event),
        tripped=trip is not None,
        rule=trip.rule if trip else None,
        seconds=(trip.time_ms - crossed_ms) / 1000 if trip else None,
        warned_seconds=(warned[0] - crossed_ms) / 1000 if warned else None,
        saved_at_low_pct=saved.saved_at_low_pct if saved else None,
        saved_after_24h_pct=saved.saved_after_24h_pct if saved else None,
    )


def _still_active(parts: Sequence[Listened], time_ms: int) -> Signal | None:
    """The last breach before then, of a rule that is not armed again."""
    still = {rule for part in parts for rule in part.active_at(time_ms)}
    before = [one for part in parts for one in part.signals if one.time_ms <= time_ms]
    return max(
        (one for one in before if one.rule in still), key=lambda one: one.time_ms, default=None
    )


def _crossing_ms(series: BarSeries, event: CrashEvent, minute_ms: int) -> int | None:
    """The first trade of the minute beyond the threshold, below the high of 60 minutes."""
    times = times_of(series)
    at = int(np.searchsorted(times, minute_ms))
    if at >= len(times) or times[at] // MINUTE_MS != minute_ms // MINUTE_MS:
        return None
    first = int(np.searchsorted(times, times[at] - LOOK_BACK_MS + MINUTE_MS))
    high = float(column_of(series, "high")[first : at + 1].max())
    line = high * (1.0 - event.threshold_pct / 100.0) * (1.0 + _ROUNDING)
    (bar,) = series.bars(at, at + 1)
    ticks = bar_ticks(bar)
    return next((tick.time_ms for tick in ticks if tick.price <= line), ticks[-1].time_ms)
