"""``evaluate sentiment``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crews.cli.output import JsonFlag, print_json, show


def sentiment(
    data: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder of labelled texts.")
    ],
    report: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write the findings into their section of this page."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """How often headlines and posts get the sentiment that people gave them, beside plain VADER.

    Examples:

    - `spikeguard evaluate sentiment --data ../data --json`

    - `spikeguard evaluate sentiment --data ../data --report docs/sentiment.md`
    """
    from crews.evaluation.guardian_text import rich_tables
    from crews.evaluation.sections import write_section
    from crews.evaluation.sentiment import evaluate_sentiment, sentiment_page, sentiment_tables

    found = evaluate_sentiment(data)
    if report is not None:
        write_section(report, "sentiment", sentiment_page(found))
    if as_json:
        print_json(found)
    else:
        show(*rich_tables(sentiment_tables(found)))
