"""``evaluate spikes``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crews.cli.output import JsonFlag, print_json, show
from crews.cli.state import loaded_config
from trading.errors import MarketDataError


def spikes(
    context: typer.Context,
    data: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder of recorded market data.")
    ],
    plots: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Draw a plot per labelled pump into this folder."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write the findings into their section of this page."),
    ] = None,
    tune: Annotated[
        int,
        typer.Option(
            min=0,
            max=10_000,
            help="Search the thresholds among this many candidates as well, 2 or more.",
        ),
    ] = 0,
    as_json: JsonFlag = False,
) -> None:
    """What is seen of labelled pumps and natural moves, how soon, and how often in vain.

    Progress goes to standard error.

    Examples:

    - `spikeguard evaluate spikes --data ../data --json`

    - `spikeguard evaluate spikes --data ../data --tune 48 --report docs/detection.md`
    """
    if tune == 1:
        raise typer.BadParameter("a search needs at least 2 candidates", param_hint="--tune")
    config = loaded_config(context).config.spike_detection
    from crews.evaluation.guardian_text import rich_tables
    from crews.evaluation.progress import to_stderr
    from crews.evaluation.sections import write_section
    from crews.evaluation.spike_figures import spikes_report
    from crews.evaluation.spike_page import all_tables, spike_page
    from crews.evaluation.spike_trials import SpikeArchive
    from crews.evaluation.spikes import evaluate_spikes

    to_stderr(f"reading {data}")
    archive = SpikeArchive(data)
    if not (archive.pumps or archive.natural or archive.quiet or archive.tapes):
        raise MarketDataError(
            f"{data} holds no labelled pumps, natural moves, quiet minutes or trades of a crash"
        )
    results = evaluate_spikes(archive, config, to_stderr)
    found = spikes_report(results)
    if tune:
        from crews.evaluation.spike_tuning import tune as search

        found["tuning"] = search(archive, config, tune, to_stderr)
    if plots is not None:
        from crews.evaluation.spike_plots import plot_spikes

        plot_spikes(results, plots)
    if report is not None:
        write_section(report, "spikes", spike_page(found, config))
    if as_json:
        print_json(found)
    else:
        show(*rich_tables(all_tables(found)))
