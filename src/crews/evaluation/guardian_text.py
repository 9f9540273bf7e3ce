"""The guardian's report as tables: rows of text once, for the terminal and for the page alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.table import Table

from crews.evaluation.guardian_report import EventResult, GuardianReport
from crews.evaluation.outcome import FURTHER_FALL_PCT


@dataclass(frozen=True, slots=True)
class TextTable:
    """A title, a line that says what is shown, a header and rows."""

    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def guardian_tables(report: GuardianReport) -> tuple[TextTable, ...]:
    """Everything worth reading, the most important first."""
    return (
        _events(report),
        _depths(report.events),
        _windows(report),
        _rates(report),
        _trips(report),
        _ablation(report),
    )


def unusable_rows(report: GuardianReport) -> str:
    """What is not in any of the tables because it is no bar; empty where all is well."""
    return "; ".join(f"{n} rows of {name} are no bars" for name, n in report.rows_left_out.items())


def unjudged_rules(report: GuardianReport) -> str:
    """Which rules say nothing because BTC or ETH is not recorded; empty where both are."""
    rules = ", ".join(report.rules_without_data)
    return rules and (
        f"not judged, for want of minute bars of BTC or ETH: {rules}. The index is that of the"
        " recorded pairs; in the place of a further fall of BTC or ETH stands that of their mean"
    )


def rich_tables(tables: Iterable[TextTable]) -> list[Table]:
    shown = []
    for table in tables:
        one = Table(title=table.title, title_justify="left", caption=table.note)
        for name in table.header:
            one.add_column(name)
        for row in table.rows:
            one.add_row(*row)
        shown.append(one)
    return shown


def markdown(tables: Iterable[TextTable]) -> str:
    parts = []
    for table in tables:
        lines = [f"### {table.title}", "", table.note, ""]
        lines += [_line(table.header), _line(("---",) * len(table.header))]
        lines += [_line(row) for row in table.rows]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _events(report: GuardianReport) -> TextTable:
    required = [event for event in report.events if event.required]
    return TextTable(
        title="Crashes that must be caught",
        note=(
            f"{len(required) - len(report.missed)} of {len(required)} events with a fall of 15 % "
            "or more by close were caught within 60 s of market time; seconds count from the trade "
            "that crossed the threshold, and are negative where a rule was earlier."
        ),
        header=(
            "crossed (UTC)",
            "asset",
            "fall",
            "first rule",
            "seconds",
            "warned",
            "in time",
            "saved at the low",
            "saved after 24 h",
        ),
        rows=tuple(
            (
                moment(event.crossed_ms),
                event.asset,
                f"{event.threshold_pct:g} %",
                event.rule or "none",
                _number(event.seconds, ".0f"),
                _number(event.warned_seconds, ".0f"),
                "yes" if event.in_time else "**no**",
                _number(event.saved_at_low_pct, "+.1f", " %"),
                _number(event.saved_after_24h_pct, "+.1f", " %"),
            )
            for event in sorted(required, key=lambda event: event.crossed_ms)
        ),
    )


def _depths(events: Sequence[EventResult]) -> TextTable:
    """All labelled events, by depth: the shallow ones need not trip, and mostly must not."""
    rows = []
    for asset, by_close in ((a, c) for a in ("BTC", "ETH") for c in (True, False)):
        of_kind = [one for one in events if one.asset == asset and one.by_close is by_close]
        for threshold in sorted({one.threshold_pct for one in of_kind}):
            chosen = [one for one in of_kind if one.threshold_pct == threshold]
            seconds = sorted(one.seconds for one in chosen if one.seconds is not None)
            rows.append(
                (
                    asset,
                    f"{threshold:g} %",
                    "close" if by_close else "low only",
                    str(len(chosen)),
                    str(sum(one.tripped for one in chosen)),
                    str(sum(one.warned_seconds is not None for one in chosen)),
                    _number(seconds[len(seconds) // 2] if seconds else None, ".0f"),
                )
            )
    return TextTable(
        title="All labelled falls by depth",
        note=(
            "Falls below the one-hour high. Tripped: by 60 s after the crossing, or still breached "
            "then; warned: a metric was at its soft limit before the crossing."
        ),
        header=("asset", "fall", "beyond by", "events", "tripped", "warned", "median s"),
        rows=tuple(rows),
    )


def _windows(report: GuardianReport) -> TextTable:
    return TextTable(
        title="Named windows",
        note=(
            "Saved: by an equal-weight portfolio that sold at the first trip, after "
            f"{report.fee_pct:g} % a side for selling and buying back, against holding to the low "
            "of the next 24 h and against holding for 24 h. With pairs of hourly bars, times are "
            "only true to the hour."
        ),
        header=(
            "window",
            "pairs",
            "hourly pairs",
            "first trip (UTC)",
            "rules",
            "trips (false)",
            "saved at the low",
            "saved after 24 h",
        ),
        rows=tuple(
            (
                window.name,
                str(window.pairs),
                str(window.hourly_pairs or ""),
                moment(window.first_trip_ms) if window.first_trip_ms else "none",
                ", ".join(window.rules),
                f"{window.trips} ({window.false_trips})",
                _number(window.saved_at_low_pct, "+.1f", " %"),
                _number(window.saved_after_24h_pct, "+.1f", " %"),
            )
            for window in report.windows
        ),
    )


def _rates(report: GuardianReport) -> TextTable:
    return TextTable(
        title="False trips",
        note=(
            f"A trip is false when within 24 h neither BTC, ETH nor the median pair fell another "
            f"{FURTHER_FALL_PCT:g} % by close and the pairs did not fall together. Years without a "
            "crash have neither an event of 15 % by close in crashes.csv nor a window named as one."
        ),
        header=("time", "months", "trips", "false", "false a month"),
        rows=tuple(
            (
                rate.name,
                f"{rate.months:.1f}",
                str(rate.trips),
                str(rate.false_trips),
                f"{rate.false_a_month:.2f}",
            )
            for rate in report.rates
        ),
    )


def _trips(report: GuardianReport) -> TextTable:
    return TextTable(
        title="Every trip",
        note="Further falls within 24 h of the trip, by one-minute closes.",
        header=("time (UTC)", "rules", "BTC", "ETH", "median pair", "breadth", "false"),
        rows=tuple(
            (
                moment(trip.time_ms),
                ", ".join(trip.rules),
                f"{trip.after.further_fall_btc_pct:.1f} %",
                f"{trip.after.further_fall_eth_pct:.1f} %",
                f"{trip.after.further_fall_median_pct:.1f} %",
                "yes" if trip.after.breadth_event else "",
                "false" if trip.after.is_false else "",
            )
            for trip in report.trips
        ),
    )


def _ablation(report: GuardianReport) -> TextTable:
    return TextTable(
        title="Ablation",
        note="Each rule by itself, and all the others without it.",
        header=("rules", "must-catch in time", "windows", "trips", "false a month", "mean saved"),
        rows=tuple(
            (
                row.rules,
                f"{row.required_in_time} of {row.required}",
                f"{row.windows_tripped} of {row.windows}",
                str(row.trips),
                f"{row.false_a_month:.2f}",
                f"{row.saved_at_low_pct:+.1f} %",
            )
            for row in report.ablation
        ),
    )


def moment(time_ms: int) -> str:
    """UTC to the second."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "" if value is None else f"{value:{form}}{unit}"
