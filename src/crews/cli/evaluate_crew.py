"""``evaluate crew``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crews.cli.output import JsonFlag, print_json, show


def crew(
    recording: Annotated[
        list[Path],
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A recording of `replay --record`; several are compared with the first.",
        ),
    ],
    as_json: JsonFlag = False,
) -> None:
    """What recorded models decided, what it cost, and where prompts or models differ.

    Examples:

    - `spikeguard evaluate crew --recording before.jsonl --recording after.jsonl --json`
    """
    from crews.evaluation.crew import evaluate_recordings

    found = evaluate_recordings(recording)
    if as_json:
        print_json(found)
        return
    from rich.table import Table

    table = Table(title="Recorded crews")
    table.add_column("")
    for figures in found["recordings"]:
        table.add_column(Path(figures["recording"]).name, justify="right")
    for name in [one for one in found["recordings"][0] if one not in ("recording", "by_crew")]:
        values = (figures[name] for figures in found["recordings"])
        table.add_row(
            name.replace("_", " "),
            *(
                ", ".join(v) if isinstance(v, list) else "-" if v is None else str(v)
                for v in values
            ),
        )
    show(table)
    shares = Table("recording", "crew", "agent", title="Model calls by crew and agent")
    for column in ("calls", "tokens", "USD", "median ms"):
        shares.add_column(column, justify="right")
    for figures in found["recordings"]:
        for crew_name, used in figures["by_crew"].items():
            for agent, own in [("all", used), *used["agents"].items()]:
                shares.add_row(
                    Path(figures["recording"]).name,
                    crew_name,
                    agent,
                    str(own["model_calls"]),
                    str(own["tokens"]),
                    f"{own['usd']:.6f}",
                    f"{own['median_call_ms']:.1f}",
                )
    show(shares)
    for other in found["against_the_first"]:
        changed = ", ".join(other["prompts_changed"]) or "none"
        show(
            f"{Path(other['recording']).name}: {other['same_decisions']} of "
            f"{other['shared_spikes']} shared spikes decided the same; prompts changed: {changed}"
        )
