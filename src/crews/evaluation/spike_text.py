"""The spike report as tables for the terminal and the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from crews.evaluation.guardian_text import TextTable
from crews.evaluation.spike_report import (
    FoldReport,
    LikelihoodReport,
    PumpFigures,
    SpikeReport,
    TrialFigures,
    TuningReport,
)
from crews.evaluation.spike_tuning import TARGET_FALSE_SHARE, TARGET_RECALL

_SIDES: tuple[Literal["in_fold", "out_of_fold", "configured"], ...] = (
    "in_fold",
    "out_of_fold",
    "configured",
)


def spike_tables(report: SpikeReport) -> tuple[TextTable, ...]:
    """Everything worth reading of ``spikes_report``, the most important first."""
    tables = [_summary(report), _pumps(report)]
    if report["pumps"]["early_alerts"]:
        tables.append(_early(report))
    tables.append(_quiet(report))
    if report["pump_likelihood"]:
        tables += [_likelihood(report["pump_likelihood"]), _weights(report["pump_likelihood"])]
    if report["crash_tapes"]:
        tables.append(_tapes(report))
    tables.append(
        TextTable(
            title="What this cannot say",
            note="Where the data do not support a figure.",
            header=("limit",),
            rows=tuple((text,) for text in (*_absent(report), *report["limits"])),
        )
    )
    return tuple(tables)


def tuning_tables(tuning: TuningReport) -> tuple[TextTable, ...]:
    """The search: every fold in and out, side by side."""
    best = tuning["best"]
    return (
        TextTable(
            title="Search for the thresholds",
            note=(
                f"{tuning['trials']} candidates, seed {tuning['seed']}; for every fold the best on"
                " the blocks before it, judged on the fold; conf. is what the configured settings"
                " do on the fold. Recall is the mean of pumps (before their peak) and natural"
                " moves; false share is of the alerts on pumps, few in a block;"
                " alerts are per pair and quiet day. A candidate meets the target with a"
                f" recall of {TARGET_RECALL:.0%} or more on each set and a false share below"
                f" {TARGET_FALSE_SHARE:.0%}; such go before all others."
                " The configured settings were rounded with all blocks known: what to expect of"
                " events that nobody has seen is the figure out of fold, not theirs."
            ),
            header=(
                "fold",
                *("recall in", "out", "conf."),
                *("false share in", "out", "conf."),
                *("alerts in", "out", "conf."),
                *("target in", "out", "conf."),
            ),
            rows=tuple(
                (
                    f"block {fold['tested_on_block'] + 1}",
                    *(
                        f"{fold[side][name]:.2f}"
                        for name in ("recall", "false_share", "quiet_alerts_per_pair_day")
                        for side in _SIDES
                    ),
                    *("met" if fold[side]["meets_target"] else "missed" for side in _SIDES),
                )
                for fold in tuning["folds"]
            ),
        ),
        TextTable(
            title="Chosen thresholds",
            note=(
                f"Configured: {_result(tuning['configured'])} Best on all blocks: {_result(best)}"
                " The factor multiplies every price threshold."
            ),
            header=(
                "setting",
                "configured",
                "all blocks",
                *(_fold_name(fold) for fold in tuning["folds"]),
            ),
            rows=tuple(
                (
                    name,
                    f"{tuning['configured']['settings'][name]:g}",
                    f"{value:g}",
                    *(f"{fold['settings'][name]:g}" for fold in tuning["folds"]),
                )
                for name, value in best["settings"].items()
            ),
        ),
    )


def _result(figures: TrialFigures) -> str:
    return (
        f"recall {figures['recall']:.2f}, false share {figures['false_share']:.2f},"
        f" {figures['quiet_alerts_per_pair_day']:.2f} alerts per pair and quiet day."
    )


def _fold_name(fold: FoldReport) -> str:
    return f"before block {fold['tested_on_block'] + 1}"


def _summary(report: SpikeReport) -> TextTable:
    pumps, natural, quiet = report["pumps"], report["natural_moves"], report["quiet"]
    return TextTable(
        title="Labelled sets and quiet times",
        note=(
            "Recall of what can be judged; precision counts the alerts before a pump as false, in"
            " either direction. So few alerts leave room: the range holds the share of false ones"
            " with a probability of 95 % (Wilson)."
        ),
        header=("set", "labelled", "judged", "detected", "recall", "precision"),
        rows=(
            (
                "pumps (raw trades)",
                str(pumps["labelled"]),
                str(pumps["visible"]),
                f"{pumps['detected']} ({pumps['detected_before_peak']} before the peak)",
                _number(pumps["recall"]),
                f"{_number(pumps['precision'])} ({pumps['false_alerts_before']} false in"
                f" {pumps['hours_before']:g} h{_interval(pumps['false_share_95'])})",
            ),
            (
                "natural moves (minute bars)",
                str(natural["labelled"]),
                str(natural["with_enough_past"]),
                str(natural["detected"]),
                _number(natural["recall"]),
                f"{_number(natural['precision_of_the_labels_size'])} of alerts as large as labels"
                f" ({natural['unlabelled_alerts_of_the_labels_size']} unlabelled)",
            ),
            (
                "thin pairs, the day before a pump",
                "",
                f"{pumps['day_before']['pair_days']:g} pair-days",
                f"{pumps['day_before']['alerts']} alerts",
                "",
                f"{_number(pumps['day_before']['alerts_per_pair_day'])} alerts a pair and day",
            ),
            (
                "quiet times",
                "",
                f"{quiet['pair_days']:g} pair-days",
                f"{quiet['alerts']} alerts",
                "",
                f"{_number(quiet['alerts_per_pair_day'])} alerts a pair and day",
            ),
        ),
    )


def _pumps(report: SpikeReport) -> TextTable:
    pumps = report["pumps"]
    delay = pumps["delay_s"]
    spread = (
        f" Delay after the onset: median {delay['p50']:.1f} s, 90 % within {delay['p90']:.1f} s."
        if delay
        else ""
    )
    return TextTable(
        title="Labelled pumps",
        note=(
            "Seconds from the announcement; onset is the first trade 3 % above every price of the"
            " half hour before, rise gone the share of the way to the peak at the alert, false the"
            f" alerts more than a minute before the onset.{spread}"
        ),
        header=(
            "pump (UTC)",
            "peak",
            "onset",
            "alert",
            "at peak",
            "rise gone",
            "pump score",
            "false",
        ),
        rows=tuple(
            (
                event["event"],
                f"{event['peak_pct']:+.0f} %",
                _number(event["onset_s"], ".0f") if event["visible"] else "none",
                _number(event["alert_s"], ".0f"),
                _number(event["peak_s"], ".0f"),
                _number(event["rise_gone"], ".0%"),
                _number(event["pump_likelihood"]),
                str(event["false_alerts_before"] or ""),
            )
            for event in pumps["events"]
        ),
    )


def _early(report: SpikeReport) -> TextTable:
    return TextTable(
        title="Alerts before a pump",
        note=(
            "All that count as false, with what they were: moves of this size on such trading took"
            " place, but no label says what they were. Seconds from the announcement."
        ),
        header=(
            *("pump (UTC)", "alert", "kind", "move", "minutes", "deviations"),
            *("times usual volume", "confidence", "pump score"),
        ),
        rows=tuple(
            (
                alert["event"],
                f"{alert['alert_s']:.0f}",
                alert["type"],
                f"{alert['move_pct']:+.1f} %",
                str(alert["minutes"]),
                f"{alert['z_score']:.1f}",
                f"{alert['volume_multiple']:.0f}",
                f"{alert['confidence']:.2f}",
                _number(alert["pump_likelihood"]),
            )
            for alert in report["pumps"]["early_alerts"]
        ),
    )


def _quiet(report: SpikeReport) -> TextTable:
    return TextTable(
        title="Alerts in quiet times",
        note="All of them, real moves included; kinds by trigger.",
        header=("time", "pairs", "pair-days", "alerts", "a pair and day", "kinds"),
        rows=tuple(
            (
                time["name"],
                str(time["pairs"]),
                f"{time['pair_days']:g}",
                str(time["alerts"]),
                _number(time["alerts_per_pair_day"]),
                _counts(time["by_type"]),
            )
            for time in report["quiet"]["times"]
        ),
    )


def _likelihood(likelihood: LikelihoodReport) -> TextTable:
    rows = [
        (
            "all",
            str(sum(likelihood["other_rises"].values())),
            _number(likelihood["auc_shipped_weights"]),
            _number(likelihood["auc_out_of_fold"]),
        )
    ]
    rows += [
        (
            source,
            str(likelihood["other_rises"][source]),
            _number(figures["auc_shipped_weights"]),
            _number(figures["auc_out_of_fold"]),
        )
        for source, figures in likelihood["by_source"].items()
    ]
    share = likelihood["share_above_half"]
    return TextTable(
        title="Pump-and-dump likelihood",
        note=(
            f"{likelihood['pumps']} labelled pumps against other rises. Above one half:"
            f" {share['pumps']:.0%} of the pumps, {share['other_rises']:.0%} of the others. Most"
            " others are liquid pairs, which are easier to tell from a pump than the same pairs are"
            " half an hour before. Rises from minute bars show no runs of trades and are given the"
            " median pump's."
        ),
        header=("other rises", "count", "AUC, shipped weights", "AUC out of fold"),
        rows=tuple(rows),
    )


def _weights(likelihood: LikelihoodReport) -> TextTable:
    folds = likelihood["fitted_weights_by_fold"]
    return TextTable(
        title="Weights of the likelihood",
        note="Fitted on everything, and on everything but one fold, beside what is shipped.",
        header=("feature", "shipped", "fitted", *(f"without {n + 1}" for n in range(len(folds)))),
        rows=tuple(
            (
                name,
                f"{value:g}",
                f"{likelihood['fitted_weights'][name]:g}",
                *(f"{fold[name]:g}" for fold in folds),
            )
            for name, value in likelihood["shipped_weights"].items()
        ),
    )


def _tapes(report: SpikeReport) -> TextTable:
    return TextTable(
        title="Crashes, trade by trade",
        note=(
            "From a trade's arrival to its alert in this process, µs, for every alert: the median"
            f" of {report['crash_tapes'][0]['plays']} plays in wall time and in processor time, and"
            " the worst play, which has in it whatever else the machine did."
        ),
        header=(
            "tape",
            "trades",
            "pairs",
            "alerts",
            "kinds",
            "wall p50",
            "p99",
            "processor p50",
            "p99",
            "worst play p99",
        ),
        rows=tuple(
            (
                tape["name"],
                str(tape["trades"]),
                str(tape["pairs"]),
                str(tape["alerts"]),
                _counts(tape["by_type"]),
                *(
                    _number((spread or {}).get(name), ".0f")
                    for spread, name in (
                        (tape["arrival_to_alert_us"], "p50"),
                        (tape["arrival_to_alert_us"], "p99"),
                        (tape["arrival_to_alert_processor_us"], "p50"),
                        (tape["arrival_to_alert_processor_us"], "p99"),
                        (tape["arrival_to_alert_worst_play_us"], "p99"),
                    )
                ),
            )
            for tape in report["crash_tapes"]
        ),
    )


def _absent(report: SpikeReport) -> list[str]:
    return [
        *(f"The folder has no {name}." for name in report["absent"]),
        *_unpriced(report["pumps"]),
        *(
            f"{n} rows of {name} cannot be, and were left out."
            for name, n in report["rows_left_out"].items()
        ),
    ]


def _unpriced(pumps: PumpFigures) -> list[str]:
    if not pumps["unpriced"]:
        return []
    return [
        f"Of {pumps['unpriced']} pumps the folder lacks the price of the coin they are counted in,"
        " minute bars of BTCUSDT at the time for the most part. They are judged without the limit"
        f" on notional; {pumps['unpriced_false_alerts']} alerts before them are in no precision."
    ]


def _interval(shares: tuple[float, float] | None) -> str:
    return "" if shares is None else f"; {shares[0]:.0%} to {shares[1]:.0%} false"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _number(value: float | None, form: str = ".2f") -> str:
    return "" if value is None else f"{value:{form}}"
