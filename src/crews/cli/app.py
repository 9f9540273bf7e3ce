"""The command line's root: options before the command, and the commands in their groups."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from crews.cli import (
    approvals,
    audit,
    breaker,
    compliance,
    config,
    doctor,
    download,
    emergency,
    evaluate,
    exchange,
    execution_quality,
    explain,
    reconciliations,
    report,
    runs,
    simulations,
    store,
    trace,
)
from crews.cli.exit_codes import EXPLANATION, ExitCode, exit_code_of
from crews.cli.output import print_json, show_error
from crews.cli.state import CliState
from trading.errors import SpikeguardError

HELP = f"""\
Trades price spikes on Binance with LLM agents, behind a market-crash circuit breaker that no
model can talk its way past.

Begin with `live`: it needs no key of any kind and trades on the embedded exchange. From a second
terminal, `breaker trip --reason "trying it"` halts it and `breaker status` shows it.

{EXPLANATION}
"""

app = typer.Typer(
    name="spikeguard",
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(breaker.app)
app.add_typer(audit.app)
app.add_typer(emergency.app)
app.add_typer(approvals.app)
app.add_typer(compliance.app)
app.add_typer(config.app)
app.add_typer(evaluate.app)
app.command("live")(runs.live)
app.command("replay")(runs.replay)
app.command("exchange")(exchange.exchange)
app.command("status")(runs.status)
app.command("doctor")(doctor.doctor)
app.command("init")(store.init)
app.command("simulations")(simulations.simulations)
app.command("reconciliations")(reconciliations.reconciliations)
app.command("trace")(trace.trace)
app.command("explain")(explain.explain)
app.command("execution-quality")(execution_quality.execution_quality)
app.command("report")(report.report)
app.command("download-data")(download.download_data)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"spikeguard {version('spikeguard')}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    config_path: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Configuration file, instead of CREWAI_CONFIG_PATH or config/crewai_config.yaml.",
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    context.obj = CliState(config_path)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; errors of ours are printed, not raised."""
    as_json = "--json" in arguments
    try:
        # A command never exits with 2 by itself, so a SystemExit of 2 is the parser's usage error,
        # which it raises instead of showing where a program reads the answer.
        code = app(args=list(arguments), prog_name="spikeguard", standalone_mode=not as_json)
        return code if isinstance(code, int) else ExitCode.OK
    except TyperException as error:
        print_json({"error": "UsageError", "message": error.format_message()})
        return ExitCode.CONFIGURATION
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        return ExitCode.CONFIGURATION if code == 2 else code
    except SpikeguardError as error:
        show_error(error, as_json=as_json)
        return exit_code_of(error)
    except BrokenPipeError:  # `… | head` has seen enough
        with contextlib.suppress(OSError):
            _discard_output()
        return ExitCode.OK


def _discard_output() -> None:
    """Keep the interpreter from complaining about the closed pipe when it exits."""
    import os
    import sys

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
