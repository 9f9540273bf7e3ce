"""What commands print: text for people on a terminal, or one JSON object with ``--json``."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from pydantic_core import to_jsonable_python
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from trading.errors import SpikeguardError

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print one JSON object instead of text for people.")
]


def print_json(value: Any) -> None:
    """``value`` (models included) as one JSON object on standard output."""
    sys.stdout.write(json.dumps(to_jsonable_python(value), ensure_ascii=False) + "\n")


def show(*renderables: RenderableType | str) -> None:
    """Text or tables for people on standard output; strings are printed as they are."""
    console = _console()
    for item in renderables:
        console.print(Text(item) if isinstance(item, str) else item)


def show_error(error: SpikeguardError, *, as_json: bool) -> None:
    """An error: JSON on standard output, so that a reader always gets an object, or one text."""
    if as_json:
        print_json({"error": type(error).__name__, "message": str(error)})
        return
    console = _console(stderr=True)
    console.print(Text.assemble(("error: ", "bold red"), str(error)))


def _console(*, stderr: bool = False) -> Console:
    """Prints as written: reasons come from operators and models, brackets in them are no markup."""
    return Console(stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)


def facts(rows: dict[str, str | Text]) -> Table:
    """Two columns: name and value."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bright_black", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    return table
