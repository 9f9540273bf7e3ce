"""``report``: one HTML file about a period of the store, or about a replay."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crews.cli.output import JsonFlag, print_json, show
from crews.cli.state import loaded_config
from crews.times import time_option


def report(
    context: typer.Context,
    start: Annotated[
        str | None, typer.Option("--from", help="Begin, ISO 8601 in UTC. Default: the first row.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="End, ISO 8601 in UTC. Default: the last row.")
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A store that `replay --store FILE` left behind, instead of the configured one.",
        ),
    ] = None,
    venue: Annotated[
        str | None, typer.Option(help="Of a store of several venues. Default: the newest in it.")
    ] = None,
    out: Annotated[
        Path, typer.Option(dir_okay=False, help="The page; it needs no other file and no network.")
    ] = Path("report.html"),
    as_json: JsonFlag = False,
) -> None:
    """Write one HTML page: equity with the breaker's states, trades, spikes, agents, refusals.

    The store is only read. `--json` prints the figures and rows too; `out` names the page.

    Examples:

    - `spikeguard report --from 2026-11-01 --to 2026-12-01 --out november.html`

    - `spikeguard replay --data ../data --window 2020-03-12 --report crash.html`
    """
    start_ms, end_ms = time_option("--from", start), time_option("--to", end)
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        raise typer.BadParameter(f"--to {end} is not after --from {start}")
    from crews.report import write_report
    from crews.report.content import Asked

    config = loaded_config(context).config
    storage = config.storage
    if replay is not None:
        storage = storage.model_copy(update={"path": replay})
    asked = Asked(
        quote_asset=config.market.quote_asset,
        benchmark=config.market.btc_symbol,
        start_ms=start_ms,
        end_ms=end_ms,
        venue=venue,
    )
    written = write_report(storage, asked, out)
    if as_json:
        print_json({"out": str(out), **written.for_programs()})
    elif written.empty:
        show(f"{out}: nothing is recorded in this period")
    else:
        show(
            f"{out}: {written.start} to {written.end}, {written.round_trips.count} round trips, "
            f"{written.trips} trips"
        )
        if written.accounts_overlap:
            show(
                "several accounts of this store lived through the same times, and are mixed in the "
                "report: give each recording a store of its own"
            )
