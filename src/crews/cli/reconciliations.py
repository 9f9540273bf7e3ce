"""``reconciliations``: comparisons of our books with the venue's account."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from crews.cli.output import JsonFlag, print_json, show
from crews.cli.state import loaded_config


def reconciliations(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 20,
    differing: Annotated[bool, typer.Option(help="Leave out the clean ones.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List comparisons with the venue's account, newest first: cause, outcome, what differed.

    clean: equal, dust apart; differs: seen, not confirmed yet; fixed: small, and set right in our
    books; latched: tripped, until an operator releases the latch; accepted: by an operator;
    incomplete: the venue could not be asked, or orders moved meanwhile.
    """
    from trading.storage.database import open_database
    from trading.storage.reconciliation_repository import ReconciliationHistory

    storage = loaded_config(context).config.storage
    connection = open_database(storage, durable=False, check=False)
    try:
        reports = ReconciliationHistory(connection).latest(limit, differing=differing)
    finally:
        connection.close()
    if as_json:
        print_json({"reconciliations": reports})
        return
    if not reports:
        show("no comparison is on record")
        return
    table = Table(box=None)
    for name in ("#", "at", "cause", "outcome", "what differed", "not our orders"):
        table.add_column(name, overflow="fold")
    for one in reports:
        table.add_row(
            str(one["id"]),
            one["compared_at"][:19],
            one["cause"],
            one["outcome"],
            one["problem"],
            ", ".join(one["external_orders"][:3]),
        )
    show(table)
