"""``simulations``: the runs on virtual money that the store remembers."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from crews.cli.output import JsonFlag, print_json, show
from crews.cli.state import loaded_config


def simulations(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """List runs on virtual money, newest first: the embedded exchange, and dry runs.

    Profit is of closed trades, fees taken off; the final balance also holds what was still open.
    """
    from trading.storage.database import open_database
    from trading.storage.simulation_repository import SimulationRepository

    storage = loaded_config(context).config.storage
    connection = open_database(storage, durable=False, check=False)
    try:
        sessions = SimulationRepository(connection).latest(limit)
    finally:
        connection.close()
    if as_json:
        print_json({"simulations": sessions})
        return
    if not sessions:
        show("no simulation yet; `make live` runs one")
        return
    table = Table(box=None)
    for name in ("#", "began", "ended", "market", "virtual balance", "final", "trades", "profit"):
        table.add_column(
            name, justify="right" if name not in ("began", "ended", "market") else "left"
        )
    for one in sessions:
        table.add_row(
            str(one.id),
            one.started_at[:16],
            (one.ended_at or one.status)[:16],
            f"{one.venue}, {one.market}",
            f"{one.virtual_balance:,.2f}",
            "" if one.final_balance is None else f"{one.final_balance:,.2f}",
            f"{one.winning_trades} of {one.total_trades} won" if one.total_trades else "0",
            f"{one.profit_loss:+,.2f}",
        )
    show(table)
