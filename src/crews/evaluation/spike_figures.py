"""The figures of ``evaluate spikes``: recall, precision, delay, alerts in quiet times."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from crews.evaluation.pump_score import Rise, judge_likelihood, rise_of
from crews.evaluation.spike_outcome import PumpOutcome
from crews.evaluation.spike_report import (
    CrashTape,
    EarlyAlert,
    NaturalFigures,
    PumpEvent,
    PumpFigures,
    QuietFigures,
    SpikeReport,
    Spread,
)
from crews.evaluation.spike_tape import PLAYS, TapeResult
from crews.evaluation.spikes import SpikeResults
from trading.model.spike import Spike, SpikeDirection, SpikeType


def spikes_report(results: SpikeResults) -> SpikeReport:
    """The figures, ready for JSON."""
    archive = results.archive
    absent = {
        "labelled pump trades": not archive.pumps,
        "labelled natural moves": not archive.natural,
        "quiet times": not archive.quiet,
        "raw trades of a crash": not archive.tapes,
    }
    return {
        "directory": str(archive.archive.directory),
        "absent": [name for name, is_absent in absent.items() if is_absent],
        "rows_left_out": dict(archive.archive.left_out),
        "pumps": _pumps(results),
        "natural_moves": _natural(results),
        "quiet": _quiet(results),
        "pump_likelihood": judge_likelihood(rises_of(results)),
        "crash_tapes": [_tape(result) for result in results.tapes],
        "limits": list(_LIMITS),
    }


_LIMITS = (
    "Futures divergence, book imbalance, liquidation cascades and news cannot be scored on recorded"
    " data: none of the files holds order books of ten levels, single liquidations, or headlines"
    " beside minute prices; their behaviour is shown by tests alone.",
    "Labelled minutes whose pair has less than half a day of bars before them are left out: without"
    " a past nothing is unusual.",
    "Alerts in the half hour before a pump count as false, though insiders buy then; the minutes of"
    " the day before are unlabelled, so their alerts are counted, not judged.",
    "Alerts as large as a labelled natural move and near none are called unlabelled, not false:"
    " labels go from close to close, so that a move within a minute or across two has none.",
    "Every alert in a quiet month counts, whether or not its move was real.",
    "Labelled natural moves and quiet times are minute bars played as four trades a minute: the"
    " delay within the minute is that of the bar's assumed path.",
)


def rises_of(results: SpikeResults) -> list[Rise]:
    """The first alert of each visible pump, and all other rises, with their recorded features."""
    rises = [
        rise_of(outcome.alert, is_pump=True, source="pump")
        for outcome in results.pumps
        if outcome.visible and outcome.alert
    ]
    others = {
        "same pairs, the half hour before (trades)": _flat(results.loose_before),
        "same pairs, the day before (bars)": _flat(results.days_before),
        "labelled natural moves (bars)": [o.alert for o in results.natural if o.alert],
        "quiet times (bars)": _flat(spikes for _, spikes in results.quiet),
        "crash and rebound (trades)": _flat(tape.spikes for tape in results.tapes),
    }
    for source, spikes in others.items():
        by_trade = source.endswith("(trades)")
        rises += [
            rise_of(spike, is_pump=False, source=source, by_trade=by_trade) for spike in spikes
        ]
    return [rise for rise in rises if rise is not None]


def _flat(groups: Iterable[Sequence[Spike]]) -> list[Spike]:
    return [spike for group in groups for spike in group]


def _pumps(results: SpikeResults) -> PumpFigures:
    visible = [outcome for outcome in results.pumps if outcome.visible]
    seen = [outcome for outcome in visible if outcome.alert]
    # The live detector always knows the notional: without it, false alerts are not its own.
    priced = [outcome for outcome in results.pumps if outcome.is_priced]
    false_alerts = sum(outcome.false_alerts for outcome in priced)
    alerts = sum(outcome.is_priced for outcome in seen) + false_alerts
    day_alerts = sum(len(spikes) for spikes in results.days_before)
    return {
        "labelled": len(results.pumps),
        "visible": len(visible),
        "detected": len(seen),
        "recall": _share(len(seen), len(visible)),
        "detected_before_peak": sum(outcome.before_peak for outcome in seen),
        "false_alerts_before": false_alerts,
        "hours_before": round(sum(outcome.hours_before for outcome in priced), 1),
        "precision": _share(alerts - false_alerts, alerts),
        "false_share": _share(false_alerts, alerts),
        "false_share_95": share_interval(false_alerts, alerts),
        "early_alerts": [_early(outcome, spike) for outcome in priced for spike in outcome.early],
        "unpriced": len(results.pumps) - len(priced),
        "unpriced_false_alerts": sum(o.false_alerts for o in results.pumps if not o.is_priced),
        "delay_s": _spread([o.delay_s for o in seen if o.delay_s is not None]),
        "after_announcement_s": _spread([o.alert_s for o in seen if o.alert_s is not None]),
        "share_of_rise_gone": _spread([o.rise_gone for o in seen if o.rise_gone is not None]),
        "day_before": {
            "alerts": day_alerts,
            "pair_days": round(results.days, 1),
            "alerts_per_pair_day": _share(day_alerts, results.days),
        },
        "events": [_pump(outcome) for outcome in results.pumps],
    }


def _early(outcome: PumpOutcome, spike: Spike) -> EarlyAlert:
    likelihood = spike.pump_likelihood
    return {
        "event": outcome.name,
        "alert_s": (spike.detected_at_ms - outcome.announced_ms) / 1000,
        "type": spike.type,
        "direction": spike.direction,
        "move_pct": round(spike.magnitude_pct, 2),
        "minutes": spike.timeframe_minutes,
        "z_score": round(spike.z_score, 1),
        "volume_multiple": round(spike.volume_multiple, 1),
        "confidence": round(spike.confidence, 3),
        "pump_likelihood": None if likelihood is None else round(likelihood, 3),
    }


def _pump(outcome: PumpOutcome) -> PumpEvent:
    alert = outcome.alert
    return {
        "event": outcome.name,
        "visible": outcome.visible,
        "peak_pct": round(outcome.peak_pct, 1),
        "onset_s": outcome.onset_s,
        "peak_s": outcome.peak_s,
        "alert_s": outcome.alert_s,
        "delay_s": outcome.delay_s,
        "rise_gone": None if outcome.rise_gone is None else round(outcome.rise_gone, 3),
        "false_alerts_before": outcome.false_alerts,
        "type": alert.type if alert else None,
        "severity": alert.severity if alert else None,
        "co_movement": alert.co_movement if alert else None,
        "confidence": round(alert.confidence, 3) if alert else None,
        "pump_likelihood": (
            round(alert.pump_likelihood, 3) if alert and alert.pump_likelihood is not None else None
        ),
    }


def _natural(results: SpikeResults) -> NaturalFigures:
    seen = [outcome for outcome in results.natural if outcome.alert]
    # The hours around labels that lie close together overlap: each alert counts once.
    reported = {o.alert.id for o in seen if o.alert}
    unlabelled = frozenset[str]().union(*(o.unlabelled for o in results.natural)) - reported
    return {
        "labelled": len(results.archive.natural),
        "with_enough_past": len(results.natural),
        "detected": len(seen),
        "recall": _share(len(seen), len(results.natural)),
        "unlabelled_alerts_of_the_labels_size": len(unlabelled),
        "precision_of_the_labels_size": _share(len(reported), len(reported | unlabelled)),
        "delay_s_after_the_minute_began": _spread(
            [o.delay_s for o in seen if o.delay_s is not None]
        ),
        "by_pair": {
            symbol: {
                "labelled": sum(m.symbol == symbol for m in results.archive.natural),
                "with_enough_past": sum(o.move.symbol == symbol for o in results.natural),
                "detected": sum(o.move.symbol == symbol for o in seen),
            }
            for symbol in sorted({move.symbol for move in results.archive.natural})
        },
    }


def _quiet(results: SpikeResults) -> QuietFigures:
    pair_days = sum(span.pair_days for span, _ in results.quiet)
    alerts = sum(len(spikes) for _, spikes in results.quiet)
    return {
        "pair_days": round(pair_days, 1),
        "alerts": alerts,
        "alerts_per_pair_day": _share(alerts, pair_days),
        "by_type": _by_type([s for _, spikes in results.quiet for s in spikes]),
        "times": [
            {
                "name": span.name,
                "pairs": len(span.bars),
                "pair_days": round(span.pair_days, 1),
                "alerts": len(spikes),
                "alerts_per_pair_day": _share(len(spikes), span.pair_days),
                "by_type": _by_type(spikes),
                "by_pair": dict(Counter(spike.symbol for spike in spikes).most_common()),
            }
            for span, spikes in results.quiet
        ],
    }


def _tape(result: TapeResult) -> CrashTape:
    spikes = result.spikes
    return {
        "name": result.tape.name,
        "trades": len(result.tape.ticks),
        "pairs": len({tick.symbol for tick in result.tape.ticks}),
        "alerts": len(spikes),
        "by_type": _by_type(spikes),
        "down": sum(spike.direction is SpikeDirection.DOWN for spike in spikes),
        "by_severity": dict(Counter(spike.severity.value for spike in spikes)),
        "by_co_movement": dict(Counter(spike.co_movement.value for spike in spikes)),
        "plays": PLAYS,
        "arrival_to_alert_us": _spread([alert.wall_us for alert in result.alerts]),
        "arrival_to_alert_processor_us": _spread([alert.processor_us for alert in result.alerts]),
        "arrival_to_alert_worst_play_us": _spread([alert.worst_us for alert in result.alerts]),
    }


def _by_type(spikes: Sequence[Spike]) -> dict[str, int]:
    counts = Counter(spike.type for spike in spikes)
    return {kind.value: counts[kind] for kind in SpikeType if counts[kind]}


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 3) if whole else None


def share_interval(part: int, whole: int) -> tuple[float, float] | None:
    """Wilson's 95 % interval of a share: how far so few cases can be wrong by; None without any."""
    if not whole:
        return None
    deviations = 1.959964
    share, squared = part / whole, deviations**2 / whole
    middle = share + squared / 2.0
    reach = deviations * math.sqrt(share * (1.0 - share) / whole + squared / whole / 4.0)
    low, high = ((middle + sign * reach) / (1.0 + squared) for sign in (-1, 1))
    return round(max(0.0, low), 3), round(min(1.0, high), 3)


def _spread(values: Sequence[float]) -> Spread | None:
    """Median, 90th and 99th percentile, extremes; None without values."""
    if not values:
        return None
    ordered = sorted(values)

    def rank(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    figures = {
        "count": float(len(ordered)),
        "min": ordered[0],
        "p50": statistics.median(ordered),
        "p90": rank(0.90),
        "p99": rank(0.99),
        "max": ordered[-1],
    }
    return {name: round(value, 3) for name, value in figures.items()}
