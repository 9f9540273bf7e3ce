"""The guardian's section of the page on detection, and the search's tables."""

from __future__ import annotations

from collections.abc import Mapping

from crews.evaluation.guardian_report import Figures, GuardianReport, GuardianTuning
from crews.evaluation.guardian_text import TextTable, guardian_tables, markdown, unjudged_rules
from crews.evaluation.guardian_tuning import Candidate

_FIGURES = ("must-catch in time", "windows", "trips", "false", "false a month", "score")


def all_tables(report: GuardianReport) -> tuple[TextTable, ...]:
    """What was found, and what the search found if there was one."""
    return guardian_tables(report) + (tuning_tables(report.tuning) if report.tuning else ())


def guardian_page(report: GuardianReport) -> str:
    """The section as Markdown."""
    command = "python -m crews.run evaluate guardian --data DIR --report docs/detection.md"
    if report.tuning:
        command += f" --tune {report.tuning.candidates}"
    required = [event for event in report.events if event.required]
    every, calm = report.rates[:2]
    caught = len(required) - len(report.missed)
    tripped = sum(bool(window.trips) for window in report.windows if window.is_crash)
    crashes = sum(window.is_crash for window in report.windows)
    unjudged = f"Rules {text}.\n\n" if (text := unjudged_rules(report)) else ""
    return f"""## The guardian

Written by `{command}`, which plays every
recorded minute that could matter ({report.heard_hours:.0f} hours out of {report.months:.0f} months,
{report.pairs} pairs) through the core's own market engine, four trades a minute. Files are found by
their names; other years, windows and pairs need nothing but files named alike.

{unjudged}| figure | found |
| --- | --- |
| crashes of 15 % or more by close, tripped within 60 s | {caught} of {len(required)} |
| windows that are named as crashes, tripped | {tripped} of {crashes} |
| false trips a month, all years | {every.false_a_month:.2f} |
| false trips a month, years without a crash ({calm.months:.1f} months) | {calm.false_a_month:.2f} |

Few records hold a whole year without a crash; the yearly rows under *False trips* then say more
than the last line above.

What the record cannot show: it has no minutes of futures prices, funding, liquidations or
stablecoins beside those of spot, so that the rules that listen to them are proven by tests and not
by these figures. They can only trip more, not less. A minute is four trades: where the real ones
ran faster, a real trip would have come earlier within the minute.

{markdown(all_tables(report))}"""


def tuning_tables(tuning: GuardianTuning) -> tuple[TextTable, ...]:
    """Every fold in and out, and each limit moved on its own."""
    return (_folds(tuning), _variations(tuning))


def _folds(tuning: GuardianTuning) -> TextTable:
    rows = []
    for fold in tuning.folds:
        limits = _limits(fold.limits)
        rows += [
            (f"before {fold.year}", "in fold", limits, *_figures(fold.in_fold)),
            (str(fold.year), "out of fold", limits, *_figures(fold.out_of_fold)),
            (str(fold.year), "as configured", "", *_figures(fold.configured)),
        ]
    rows += [
        ("all", "best of all", _limits(tuning.best_limits), *_figures(tuning.best)),
        ("all", "as configured", _limits(tuning.configured_limits), *_figures(tuning.configured)),
    ]
    return TextTable(
        title="Search, walk-forward",
        note=(
            f"The best of {tuning.candidates} candidates (seed {tuning.seed}) on the years before, "
            "and then on the year that it had not seen. Limits: breadth fall % / breadth share / "
            "index 1 h % / index 4 h % / confirming share. Score: the mean of both recalls less "
            "the false trips a month."
        ),
        header=("years", "", "limits", *_FIGURES),
        rows=tuple(rows),
    )


def _variations(tuning: GuardianTuning) -> TextTable:
    return TextTable(
        title="Each limit moved on its own",
        note=(
            "All years, the other limits as configured. A limit whose neighbours score alike is "
            "one that other years can be trusted with."
        ),
        header=("limit", "value", *_FIGURES),
        rows=tuple(
            (
                one.name,
                f"**{one.value:g}**" if one.is_configured else f"{one.value:g}",
                *_figures(one.all_years),
            )
            for one in tuning.variations
        ),
    )


def _limits(limits: Mapping[str, float]) -> str:
    return " / ".join(f"{limits[name]:g}" for name in Candidate.__dataclass_fields__)


def _figures(figures: Figures) -> tuple[str, ...]:
    return (
        f"{figures.required_in_time} of {figures.required}",
        f"{figures.windows_tripped} of {figures.windows}",
        str(figures.trips),
        str(figures.false_trips),
        f"{figures.false_trips / figures.months:.2f}" if figures.months else "",
        f"{figures.score:.3f}",
    )
