"""``doctor``: is everything there that a run needs?"""

from __future__ import annotations

import typer

from crews.cli.exit_codes import ExitCode
from crews.cli.output import JsonFlag, print_json, show
from crews.cli.state import loaded_config
from trading.errors import ConfigurationError


def doctor(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Check configuration, keys and their permissions, clock, store, Redis and the model.

    Nothing is changed and no order is sent. Exits with 1 when a check fails (4 when the
    configuration cannot even be read); warnings do not count.
    """
    from rich.table import Table
    from rich.text import Text

    from crews.checks import Check, Level
    from crews.diagnosis import diagnose

    try:
        checks = diagnose(loaded_config(context))
    except ConfigurationError as error:
        if not as_json:
            raise
        checks = [Check("configuration", Level.FAIL, str(error))]
        print_json({"healthy": False, "checks": checks})
        raise typer.Exit(ExitCode.CONFIGURATION) from None
    healthy = all(check.level is not Level.FAIL for check in checks)
    if as_json:
        print_json({"healthy": healthy, "checks": checks})
    else:
        styles = {Level.OK: "green", Level.WARNING: "yellow", Level.FAIL: "bold red"}
        table = Table("check", "result", "detail", box=None, padding=(0, 2, 0, 0))
        for check in checks:
            result = Text(check.level.value, style=styles[check.level])
            table.add_row(check.name, result, check.detail)
        show(table)
    if not healthy:
        raise typer.Exit(ExitCode.ERROR)
