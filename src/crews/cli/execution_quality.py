"""``execution-quality``: what orders cost against the prices they were decided at."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from crews.cli.output import JsonFlag, print_json, show
from crews.cli.state import loaded_config


def execution_quality(
    context: typer.Context,
    days: Annotated[
        float, typer.Option(min=0.01, help="Orders of the so many days before the newest one.")
    ] = 7.0,
    as_json: JsonFlag = False,
) -> None:
    """Slippage against decision prices, fill rates and times to fill, by what orders were for.

    Slippage in basis points (0.01 %): positive is worse than the last price at the decision; that
    of a stop counts from its trigger. `trace ORDER_ID` shows the same for one order.
    """
    from trading.clock import duration_text
    from trading.storage.database import open_database
    from trading.storage.order_chain import OrderChains

    storage = loaded_config(context).config.storage
    connection = open_database(storage, durable=False, check=False)
    try:
        summaries = OrderChains(connection).quality(days)
    finally:
        connection.close()
    if as_json:
        print_json({"days": days, "purposes": summaries})
        return
    if not summaries:
        show("no order has ended yet")
        return
    table = Table(box=None)
    for name in ("for", "orders", "filled", "notional", "fill rate", "slippage", "cost", "to fill"):
        table.add_column(name, justify="left" if name == "for" else "right")
    for one in summaries:
        table.add_row(
            one.purpose.lower().replace("_", " "),
            str(one.orders),
            str(one.filled),
            f"{one.notional:,.2f}",
            "" if one.fill_rate is None else f"{one.fill_rate:.1%}",
            "" if one.slippage_bp is None else f"{one.slippage_bp:+.2f} bp",
            f"{one.slippage_cost:+,.2f}",
            "" if one.median_fill_ms is None else duration_text(one.median_fill_ms),
        )
    show(table)
