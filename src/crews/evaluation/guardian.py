"""Measures the crash detector on recorded years: what it catches, how soon, at what price."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import numpy as np

from crews.evaluation.archive import MONTH_MS, Archive, NamedSpan, within, year_of
from crews.evaluation.guardian_events import is_required, judge
from crews.evaluation.guardian_report import (
    Ablation,
    GuardianReport,
    Rate,
    Trip,
    WindowResult,
)
from crews.evaluation.outcome import Outcomes
from crews.evaluation.runner import Listened, Signal, listen
from crews.evaluation.screening import LEAD_IN_MS, stretches
from trading.clock import MINUTE_MS
from trading.market.config import CrashDetectionConfig
from trading.market.crash_detector import BREADTH_RULE, INDEX_RULES, LEADER_RULES, VOLUME_RULE

# Least time from a trip to full size again: 15 min of cool-down and four stages of 10 min.
TRIP_GAP_MS = 55 * MINUTE_MS
# The rules that minute bars of spot pairs can breach; the others listen to futures and stablecoins.
RECORDED_RULES = (*LEADER_RULES, *INDEX_RULES.values(), BREADTH_RULE, VOLUME_RULE)
Progress = Callable[[str], None]


def evaluate_guardian(
    archive: Archive,
    config: CrashDetectionConfig,
    outcomes: Outcomes,
    *,
    progress: Progress | None = None,
) -> GuardianReport:
    """Run the detector over everything recorded; see ``screening`` for what is left out."""
    say = progress or (lambda text: None)
    heard = hear(archive, config, say)
    signals = sorted((one for part in heard for one in part.signals), key=_signal_time)
    say("looking at what came after each trip")
    trips = trips_of(signals, outcomes)
    events = tuple(
        result for event in archive.events if (result := judge(archive, event, heard, outcomes))
    )
    return GuardianReport(
        data=str(archive.directory),
        pairs=len(archive.pairs),
        rows_left_out=dict(archive.left_out),
        rules_without_data=rules_without_data(archive),
        months=sum(span.end_ms - span.start_ms for span in archive.spans) / MONTH_MS,
        heard_hours=sum(one.span.end_ms - one.span.start_ms for one in heard) / 3_600_000,
        fee_pct=outcomes.fee_pct,
        events=events,
        events_without_data=len(archive.events) - len(events),
        windows=(
            *(_window(archive, window, signals, outcomes) for window in archive.windows),
            *_hourly_windows(archive, config, outcomes, say),
        ),
        trips=trips,
        rates=rates(archive, trips),
        ablation=_ablation(archive, heard, signals, outcomes),
    )


def rules_without_data(archive: Archive) -> tuple[str, ...]:
    """Rules that nothing is recorded for, because BTC or ETH is absent."""
    labels = tuple(f"{leader.removesuffix('USDT').lower()}_" for leader in archive.absent_leaders)
    if not labels:
        return ()
    return (*(rule for rule in LEADER_RULES if rule.startswith(labels)), VOLUME_RULE)


def hear(archive: Archive, config: CrashDetectionConfig, say: Progress) -> list[Listened]:
    """The detector's words over all stretches that matter."""
    parts = []
    for span in archive.spans:
        say(f"screening {_date(span.start_ms)} to {_date(span.end_ms)}")
        parts += stretches(archive.cut(span.start_ms, span.end_ms), span, config)
    heard = []
    for number, part in enumerate(parts, 1):
        say(f"stretch {number} of {len(parts)}, from {_date(part.start_ms)}")
        minutes = archive.cut(part.start_ms, part.end_ms)
        heard.append(listen(minutes, part, config, history=archive.past(part.start_ms)))
    return heard


def trips_of(signals: Iterable[Signal], outcomes: Outcomes) -> tuple[Trip, ...]:
    """Signals that lie closer together than TRIP_GAP_MS are one trip. In time order."""
    groups: list[list[Signal]] = []
    for signal in signals:
        if groups and signal.time_ms - groups[-1][-1].time_ms <= TRIP_GAP_MS:
            groups[-1].append(signal)
        else:
            groups.append([signal])
    return tuple(
        Trip(
            time_ms=group[0].time_ms,
            rules=tuple(dict.fromkeys(one.rule for one in group)),
            reason=group[0].reason,
            after=outcomes.of(group[0].time_ms),
        )
        for group in groups
    )


def rates(archive: Archive, trips: Sequence[Trip]) -> tuple[Rate, ...]:
    """False trips over all, over the years without a crash, and by year.

    A year has a crash when it holds a required event or a window that is named as a crash.
    """
    months = archive.months()
    events = (event.low_minute_ms for event in archive.events if is_required(event))
    windows = (window.start_ms for window in archive.windows if window.is_crash)
    crash_years = {year_of(time_ms) for time_ms in (*events, *windows)}

    def rate(name: str, years: Iterable[int]) -> Rate:
        chosen = set(years)
        of_years = [trip for trip in trips if year_of(trip.time_ms) in chosen]
        return Rate(
            name=name,
            months=sum(months[year] for year in chosen),
            trips=len(of_years),
            false_trips=sum(trip.after.is_false for trip in of_years),
            has_crash=bool(chosen & crash_years),
        )

    return (
        rate("all years", months),
        rate("years without a crash", set(months) - crash_years),
        *(rate(str(year), (year,)) for year in sorted(months)),
    )


def _window(
    archive: Archive,
    window: NamedSpan,
    signals: Sequence[Signal],
    outcomes: Outcomes,
    hourly_pairs: int = 0,
) -> WindowResult:
    inside = [one for one in signals if window.start_ms <= one.time_ms < window.end_ms]
    trips = trips_of(inside, outcomes)
    first = trips[0] if trips else None
    return WindowResult(
        name=window.name,
        is_crash=window.is_crash,
        pairs=len(archive.cut(window.start_ms, window.end_ms)),
        hourly_pairs=hourly_pairs,
        start_ms=window.start_ms,
        trips=len(trips),
        false_trips=sum(trip.after.is_false for trip in trips),
        first_trip_ms=first.time_ms if first else None,
        rules=tuple(dict.fromkeys(one.rule for one in inside)),
        saved_at_low_pct=first.after.saved_at_low_pct if first else None,
        saved_after_24h_pct=first.after.saved_after_24h_pct if first else None,
    )


def _hourly_windows(
    archive: Archive, config: CrashDetectionConfig, outcomes: Outcomes, say: Progress
) -> list[WindowResult]:
    """Windows of which most pairs are only known by the hour: whether, not how soon."""
    results = []
    for window in archive.hourly:
        say(f"hourly window {window.span.name}")
        for span in archive.spans:
            start_ms = max(span.start_ms, window.span.start_ms - LEAD_IN_MS)
            end_ms = min(span.end_ms, window.span.end_ms)
            if start_ms >= end_ms:
                continue
            part = NamedSpan(window.span.name, start_ms, end_ms)
            minutes = archive.cut(start_ms, end_ms)
            hourly = {name: one for name, one in window.pairs.items() if name not in minutes}
            signals = [
                signal
                for stretch in stretches({**minutes, **hourly}, part, config)
                for signal in listen(
                    archive.cut(stretch.start_ms, stretch.end_ms),
                    stretch,
                    config,
                    history=archive.past(stretch.start_ms),
                    hourly={name: within(one, stretch) for name, one in hourly.items()},
                ).signals
            ]
            results.append(_window(archive, part, signals, outcomes, len(hourly)))
    return results


def _ablation(
    archive: Archive, heard: Sequence[Listened], signals: Sequence[Signal], outcomes: Outcomes
) -> tuple[Ablation, ...]:
    """Each rule alone and all without it; breaches of one rule do not depend on another's."""
    breached = sorted({one.rule for one in signals})
    rules = (*breached, *(rule for rule in RECORDED_RULES if rule not in breached))

    def row(name: str, chosen: set[str]) -> Ablation:
        parts = [_only(part, chosen) for part in heard]
        left = [one for one in signals if one.rule in chosen]
        trips = trips_of(left, outcomes)
        required = [
            result
            for event in archive.events
            if (result := judge(archive, event, parts)) is not None and result.required
        ]
        windows = [window for window in archive.windows if window.is_crash]
        everything = rates(archive, trips)[0]
        return Ablation(
            rules=name,
            required_in_time=sum(result.in_time for result in required),
            required=len(required),
            windows_tripped=sum(
                any(window.start_ms <= one.time_ms < window.end_ms for one in left)
                for window in windows
            ),
            windows=len(windows),
            trips=len(trips),
            false_a_month=everything.false_a_month,
            saved_at_low_pct=(
                float(np.mean([trip.after.saved_at_low_pct for trip in trips])) if trips else 0.0
            ),
        )

    return (
        row("all together", set(rules)),
        *(row(f"{rule} alone", {rule}) for rule in rules),
        *(row(f"all but {rule}", set(rules) - {rule}) for rule in breached),
    )


def _only(part: Listened, rules: set[str]) -> Listened:
    return Listened(
        part.span,
        [one for one in part.signals if one.rule in rules],
        [(ms, tuple(rule for rule in active if rule in rules)) for ms, active in part.active],
        part.warned_ms,
    )


def _signal_time(signal: Signal) -> int:
    return signal.time_ms


def _date(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")
