"""``download-data``: past market data for `replay` and `evaluate`."""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from crews.cli.output import JsonFlag, print_json, show
from trading.model.market import INTERVAL_MINUTES

ARCHIVE_URL = "https://data.binance.vision"
REST_URL = "https://data-api.binance.vision"
_PAIR = re.compile(r"^[A-Z0-9]{5,20}$")


def download_data(
    pairs: Annotated[
        str, typer.Option(help="Pairs, separated by commas: BTCUSDT,ETHUSDT,SOLUSDT.")
    ],
    days: Annotated[
        int, typer.Option(min=1, max=3650, help="So many whole days, up to yesterday (UTC).")
    ],
    interval: Annotated[
        str, typer.Option(help=f"Length of a bar: {', '.join(INTERVAL_MINUTES)}.")
    ] = "1m",
    data: Annotated[
        Path, typer.Option(file_okay=False, help="Folder to write to; made if missing.")
    ] = Path("data/history"),
    archive_url: Annotated[str, typer.Option(help="Where the public archive is.")] = ARCHIVE_URL,
    rest_url: Annotated[
        str, typer.Option(help="Where public market data is asked for.")
    ] = REST_URL,
    as_json: JsonFlag = False,
) -> None:
    """Fetch past bars from Binance's public archive; no key is needed.

    Every file of the archive is compared with its published checksum. An interrupted download goes
    on where it was: days that are there are not fetched again.

    Examples:

    - `spikeguard download-data --pairs BTCUSDT,ETHUSDT,SOLUSDT --days 30`

    - `spikeguard replay --data data/history --from 2026-11-01T00:00 --to 2026-11-02T00:00`
    """
    wanted = tuple(dict.fromkeys(name.strip().upper() for name in pairs.split(",") if name.strip()))
    for name in wanted:
        if not _PAIR.match(name):
            raise typer.BadParameter(f"{name!r} is no pair such as BTCUSDT", param_hint="--pairs")
    if not wanted:
        raise typer.BadParameter("names no pair", param_hint="--pairs")
    if interval not in INTERVAL_MINUTES:
        raise typer.BadParameter(
            f"{interval!r} is not one of {', '.join(INTERVAL_MINUTES)}", param_hint="--interval"
        )
    for option, url in (("--archive-url", archive_url), ("--rest-url", rest_url)):
        if not url.startswith(("https://", "http://")):
            raise typer.BadParameter(f"{url!r} does not begin with https://", param_hint=option)
    from crews.download import DownloadPlan, last_days, run_download

    plan = DownloadPlan(data, wanted, last_days(days), interval, archive_url, rest_url)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
    )
    with bar:
        task = bar.add_task("days", total=len(wanted) * days)

        def on_day(pair: str, day: date, origin: str) -> None:
            bar.update(task, advance=1, description=f"{pair} {day} ({origin})")

        report = run_download(plan, on_day)
    if as_json:
        print_json(report)
        return
    show(
        f"{report.downloaded_days} days fetched, {report.present_days} were there already",
        *(
            f"{pair}: {count} bars are missing in the venue's own record"
            for pair, count in report.missing_bars.items()
            if count
        ),
        *report.files,
    )
