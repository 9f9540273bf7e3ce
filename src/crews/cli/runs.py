"""``live``, ``replay`` and ``status``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from crews.cli.market_options import FaultsOption, StartOption, WindowOption, fault_schedule
from crews.cli.output import JsonFlag, print_json, show
from crews.cli.state import loaded_config
from crews.times import time_option


class VenueName(StrEnum):
    SIM = "sim"
    TESTNET = "testnet"
    DEMO = "demo"
    BINANCE = "binance"


def live(
    context: typer.Context,
    venue: Annotated[
        VenueName | None,
        typer.Option(
            help="sim: the embedded exchange, no key needed; testnet: Binance's test exchange; "
            "demo: Binance's demo mode; binance: real money. Default: as configured."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Live data, paper fills; no signed request leaves.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder of recorded market data to play on venue sim.",
        ),
    ] = None,
    window: WindowOption = None,
    start: StartOption = None,
    scenario: Annotated[
        str | None,
        typer.Option(help="Generated market on venue sim: default, calm, flash_crash, …"),
    ] = None,
    speed: Annotated[
        float,
        typer.Option(min=0.01, max=1000, help="Market seconds per second, on venue sim."),
    ] = 1.0,
    faults: FaultsOption = None,
    duration: Annotated[
        float | None, typer.Option(min=0.1, help="End by itself after this many seconds.")
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Log lines instead of the screen.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON status per second instead of the screen.")
    ] = False,
) -> None:
    """Trade, with a screen that shows what happens; Ctrl-C cancels open entries and ends.

    Examples:

    - `spikeguard live` — embedded exchange, generated market, no key

    - `spikeguard live --scenario flash_crash --speed 5` — see a crash handled, five times as fast

    - `spikeguard live --data ../data --window 2020-03-12` — a recorded crash, in real time

    - `spikeguard live --faults 7` — the same on a bad day, drawn with seed 7

    - `spikeguard live --venue binance --dry-run` — Binance's market, paper fills

    Real money needs `--venue binance`, BINANCE_API_KEY and BINANCE_API_SECRET of a key without the
    right to withdraw, and `exchange.i_understand_this_trades_real_money: true` in the file.
    """
    overrides: dict[str, tuple[str, Any]] = {}
    if venue is not None:
        overrides["exchange.venue"] = ("--venue", venue.value)
    if dry_run:
        overrides["exchange.dry_run"] = ("--dry-run", True)
    if scenario is not None:
        overrides["market_generator.scenario"] = ("--scenario", scenario)
    loaded = loaded_config(context, overrides)
    is_sim = loaded.config.exchange.venue == "sim"
    if not is_sim and (data or window or scenario or faults or speed != 1):
        raise typer.BadParameter(
            "--data, --window, --scenario, --speed and --faults go with venue sim"
        )
    if (window or start) and not data:
        raise typer.BadParameter("--window and --from name a part of --data; give both")
    if start and not window:
        raise typer.BadParameter("--from is a time within --window; give both")
    if scenario and data:
        raise typer.BadParameter(
            "--scenario is of the generated market; --data plays a recorded one"
        )
    from crews.live import run_live
    from crews.live.options import LiveOptions

    run_live(
        loaded,
        LiveOptions(
            venue=venue,
            dry_run=dry_run,
            data=data,
            window=window,
            start_ms=time_option("--from", start),
            scenario=scenario,
            speed=speed,
            faults=None if faults is None else fault_schedule(faults),
            duration_s=duration,
            json_lines=as_json,
            plain=plain,
        ),
    )


def replay(
    context: typer.Context,
    data: Annotated[
        Path,
        typer.Option(exists=True, file_okay=False, help="Folder of recorded market data."),
    ],
    window: Annotated[
        str | None, typer.Option(help="Name or date of a recorded window, such as 2020-03-12.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Begin, ISO 8601 in UTC: 2021-05-19T00:00.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="End, ISO 8601 in UTC.")] = None,
    without_crews: Annotated[
        bool,
        typer.Option("--without-crews", help="Detectors, breaker and gateway only; much faster."),
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Append the models' answers to this new file."),
    ] = None,
    recording: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Answer from this recording; no model is asked."
        ),
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Write the trace whose hash is reported to this file.")
    ] = None,
    report_file: Annotated[
        Path | None,
        typer.Option("--report", dir_okay=False, help="Write an HTML page about it to this file."),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Keep the store in this new file, for `report`."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run recorded data through the same detectors, crews and gateway, as fast as it goes.

    Deterministic: the same input gives the same trace and hash.

    Examples:

    - `spikeguard replay --data ../data --window 2020-03-12 --json`

    - `spikeguard replay --data ../data --window 2020-03-12 --record model.jsonl`, and again with
      `--recording model.jsonl`: the same run without the model

    - `spikeguard replay --data ../data --from 2021-05-19T00:00 --to 2021-05-20T00:00`
    """
    from crews.replay import run_replay
    from crews.replay.options import ReplayOptions

    if (window is None) == (start is None or end is None) or (window and (start or end)):
        raise typer.BadParameter("choose the span by --window, or by both --from and --to")
    if record is not None and recording is not None:
        raise typer.BadParameter("either --record or --recording")
    if record is not None and record.exists():
        raise typer.BadParameter(f"{record} exists; a recording begins with a new file")
    report = run_replay(
        loaded_config(context),
        ReplayOptions(
            data=data,
            window=window,
            start=start,
            end=end,
            without_crews=without_crews,
            trace=trace,
            report=report_file,
            store=store,
            record=record,
            recording=recording,
        ),
    )
    if as_json:
        print_json(report)
    else:
        from crews.replay.text import replay_tables

        show(*replay_tables(report))


def status(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the running instance: breaker, equity, positions, orders, spikes, components.

    Exits with 3 when none is running.
    """
    from crews.cli.core import running_core
    from crews.cli.status_text import breaker_table, instance_table

    with running_core(loaded_config(context).config) as client:
        core = client.status()
    if as_json:
        print_json(core)
    else:
        show(breaker_table(core.breaker, core.time_ms), instance_table(core))
