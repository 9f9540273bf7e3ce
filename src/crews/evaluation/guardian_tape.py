"""What the crash metrics were over recorded time, kept so that many limits can be tried on them.

The real engine makes the figures, once. Which of them would have tripped is then decided here, for
any limits, the way ``CrashDetector`` decides it: a breach must still be there at the next look or
have a witness, and its rule is armed again after it has been over for long enough. Recorded minutes
have four trades each, so a look is up to 30 s after the one before; the breadth is only looked at
once a minute. ``evaluate guardian`` judges by the detector itself; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from crews.evaluation.archive import Archive, Floats, NamedSpan, Times, column_of, times_of
from crews.evaluation.runner import Signal, listen
from crews.evaluation.screening import rolling_max
from trading.clock import MINUTE_MS
from trading.market.config import CrashDetectionConfig, LeaderFallConfig
from trading.market.crash_detector import BREADTH_RULE, INDEX_RULES, LEADER_RULES
from trading.market.windows import FOUR_HOURS, ONE_HOUR
from trading.model.metrics import MarketSnapshot
from trading.simulator.recorded_series import BarSeries

# Falls at which pairs are counted for the breadth, in %.
BREADTH_LEVELS = (8.0, 10.0, 12.0, 15.0, 20.0)
_SPANS = ("5m", "1h", "4h")
_HOUR = 60

Flags = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Tape:
    """Metrics over one stretch: by look, and the pairs' falls by minute."""

    span: NamedSpan
    times: Times
    values: Mapping[str, Floats]  # by rule, in %
    minutes: Times
    falling: Mapping[float, Floats]  # by level: pairs that far below their one-hour high
    tracked: Floats


@dataclass(slots=True)
class _Looks:
    times: list[int] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)

    def take(self, snapshot: MarketSnapshot) -> None:
        self.times.append(snapshot.time_ms)
        for metric in snapshot.metrics:
            if metric.name in LEADER_RULES or metric.name in INDEX_RULES.values():
                self.values.setdefault(metric.name, []).append(metric.value)


def record(archive: Archive, span: NamedSpan, config: CrashDetectionConfig) -> Tape:
    """Play a stretch through the engine and keep what it measured. Limits do not matter."""
    minutes = archive.cut(span.start_ms, span.end_ms)
    looks = _Looks()
    listen(minutes, span, config, on_look=looks.take)
    levels = sorted({*BREADTH_LEVELS, config.breadth.fall_pct})
    at, falling, tracked = _breadth(minutes.values(), span, levels)
    return Tape(
        span,
        np.array(looks.times, np.int64),
        {rule: np.array(values) for rule, values in looks.values.items()},
        at,
        falling,
        tracked,
    )


def signals_of(tape: Tape, config: CrashDetectionConfig) -> list[Signal]:
    """When which rule would have been breached with these limits."""
    found: list[Signal] = []
    breadth = _breadth_pct(tape, config)
    limit = config.breadth.share * 100.0
    found += _signals(tape.minutes, BREADTH_RULE, breadth, limit, breadth >= limit, config)
    # As of each look, the last minute's.
    at = np.searchsorted(tape.minutes, tape.times, side="right") - 1
    breadth_now = np.where(at >= 0, breadth[np.maximum(at, 0)], 0.0)
    is_broad = breadth_now >= limit * config.confirming_share
    for name, other, falls, others in (
        ("btc", "eth", config.btc, config.eth),
        ("eth", "btc", config.eth, config.btc),
    ):
        for span, limit, other_limit in zip(_SPANS, _limits(falls), _limits(others), strict=True):
            rule = f"{name}_drawdown_{span}"
            values = tape.values[rule]
            wanted = other_limit * config.confirming_share
            witness = is_broad | (tape.values[f"{other}_drawdown_{span}"] >= wanted)
            breached = (values >= limit) & (witness | _held(values, limit, config))
            found += _signals(tape.times, rule, values, limit, breached, config)
    for window, rule in INDEX_RULES.items():
        index = config.market_index
        limit = {ONE_HOUR: index.fall_1h_pct, FOUR_HOURS: index.fall_4h_pct}[window]
        values, span = tape.values[rule], rule.rsplit("_", 1)[1]
        wanted = limit * config.confirming_share
        both = np.logical_and.reduce(
            [tape.values[f"{name}_drawdown_{span}"] >= wanted for name in ("btc", "eth")]
        )
        breached = (values >= limit) & (both | _held(values, limit, config))
        found += _signals(tape.times, rule, values, limit, breached, config)
    return sorted(found, key=lambda signal: signal.time_ms)


def _limits(falls: LeaderFallConfig) -> tuple[float, float, float]:
    return falls.fall_5m_pct, falls.fall_1h_pct, falls.fall_4h_pct


def _held(values: Floats, limit: float, config: CrashDetectionConfig) -> Flags:
    """Beyond the limit at a look before, and not back below ``rearm_share`` of it since."""
    beyond, over = values >= limit, values >= limit * config.rearm_share
    held = np.zeros(len(values), dtype=np.bool_)
    was_beyond = False
    for at in np.flatnonzero(over):
        was_beyond = was_beyond and bool(at and over[at - 1])
        held[at] = was_beyond
        was_beyond = was_beyond or bool(beyond[at])
    return held


def _signals(
    times: Times,
    rule: str,
    values: Floats,
    limit: float,
    breached: Flags,
    config: CrashDetectionConfig,
) -> Iterable[Signal]:
    """One for every time that the rule is armed and breached."""
    over = np.flatnonzero(values >= limit * config.rearm_share)
    if not len(over):
        return
    breaks = np.flatnonzero(np.diff(times[over]) > config.rearm_after_s * 1000) + 1
    for part in np.split(over, breaks):
        hits = part[breached[part]]
        if len(hits):
            at = hits[0]
            yield Signal(int(times[at]), rule, f"{values[at]:.1f} %, limit {limit:g} %")


def _breadth_pct(tape: Tape, config: CrashDetectionConfig) -> Floats:
    """Share of the tracked pairs that are falling, in %; 0 with too few of them.

    Raises KeyError for a fall that was not counted.
    """
    enough = tape.tracked >= config.breadth.min_pairs
    falling = tape.falling[config.breadth.fall_pct]
    share: Floats = np.where(enough, 100.0 * falling / np.maximum(tape.tracked, 1.0), 0.0)
    return share


def _breadth(
    pairs: Iterable[BarSeries], span: NamedSpan, levels: Iterable[float]
) -> tuple[Times, dict[float, Floats], Floats]:
    """Ends of the minutes, and of the pairs known for an hour: falling by level, tracked."""
    count = (span.end_ms - span.start_ms) // MINUTE_MS
    falling = {level: np.zeros(count) for level in levels}
    tracked = np.zeros(count)
    for series in pairs:
        at = (times_of(series) - span.start_ms) // MINUTE_MS
        high, close = np.full(count, -np.inf), np.full(count, np.nan)
        high[at], close[at] = column_of(series, "high"), column_of(series, "close")
        last = np.maximum.accumulate(np.where(np.isfinite(close), np.arange(count), -1))
        is_tracked = (last > np.arange(count) - _HOUR) & (np.arange(count) >= at[0] + _HOUR)
        held = np.where(last >= 0, close[np.maximum(last, 0)], np.nan)
        with np.errstate(invalid="ignore"):
            fall = (1.0 - held / rolling_max(high, min(_HOUR, count))) * 100.0
        tracked += is_tracked
        for level, counts in falling.items():
            counts += is_tracked & (fall >= level)
    return span.start_ms + (np.arange(count) + 1) * MINUTE_MS, falling, tracked
