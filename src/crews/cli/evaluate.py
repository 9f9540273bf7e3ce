"""``evaluate``: the detectors measured on recorded data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crews.cli.evaluate_crew import crew
from crews.cli.evaluate_sentiment import sentiment
from crews.cli.evaluate_spikes import spikes
from crews.cli.output import JsonFlag, print_json, show
from crews.cli.state import loaded_config

app = typer.Typer(
    name="evaluate",
    help="Measure the detectors on recorded data; years, windows and pairs are found by the "
    "files' names.",
    no_args_is_help=True,
)

app.command("crew")(crew)
app.command("spikes")(spikes)
app.command("sentiment")(sentiment)

DataOption = Annotated[
    Path, typer.Option(exists=True, file_okay=False, help="Folder of recorded market data.")
]
PlotsOption = Annotated[
    Path | None, typer.Option(file_okay=False, help="Draw a plot per event into this folder.")
]
ReportOption = Annotated[
    Path | None,
    typer.Option(dir_okay=False, help="Write the findings into their section of this page."),
]


@app.command("guardian")
def guardian(
    context: typer.Context,
    data: DataOption,
    plots: PlotsOption = None,
    report: ReportOption = None,
    fee: Annotated[
        float, typer.Option(min=0, max=5, help="Cost of one side of a trade, in %.")
    ] = 0.1,
    tune: Annotated[
        int,
        typer.Option(min=0, max=10_000, help="Search the limits among this many candidates, too."),
    ] = 0,
    as_json: JsonFlag = False,
) -> None:
    """What trips, how soon, what it saves, and how often in vain, with the configured limits.

    Progress goes to standard error.

    Examples:

    - `spikeguard evaluate guardian --data ../data --json`

    - `spikeguard evaluate guardian --data ../data --tune 300 --report docs/detection.md`

    - `spikeguard evaluate guardian --data ../data --plots plots`
    """
    config = loaded_config(context).config.crash_detection
    from crews.evaluation.archive import Archive
    from crews.evaluation.guardian import evaluate_guardian
    from crews.evaluation.guardian_page import all_tables, guardian_page
    from crews.evaluation.guardian_text import rich_tables, unjudged_rules, unusable_rows
    from crews.evaluation.guardian_tuning import tune_guardian
    from crews.evaluation.outcome import Outcomes
    from crews.evaluation.progress import to_stderr
    from crews.evaluation.sections import write_section

    archive = Archive(data)
    outcomes = Outcomes(archive, fee)
    found = evaluate_guardian(archive, config, outcomes, progress=to_stderr)
    if tune:
        searched = tune_guardian(archive, config, tune, outcomes, to_stderr)
        found = found.model_copy(update={"tuning": searched})
    if plots is not None:
        from crews.evaluation.plots import plot_guardian

        plot_guardian(archive, found, plots, to_stderr)
    if report is not None:
        write_section(report, "guardian", guardian_page(found))
    if as_json:
        print_json(found)
    else:
        show(*rich_tables(all_tables(found)))
        if unjudged := unjudged_rules(found):
            show(f"Rules {unjudged}.")
        if unusable := unusable_rows(found):
            show(f"Left out: {unusable}.")
