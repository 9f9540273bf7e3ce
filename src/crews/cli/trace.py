"""``trace``: one order's chain, from the spike to the profit."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from crews.cli.output import JsonFlag, facts, print_json, show
from crews.cli.state import loaded_config
from trading.clock import duration_text, iso

if TYPE_CHECKING:
    from trading.storage.order_chain import OrderChain, OrderTrace

WIDTH = 100


def trace(
    context: typer.Context,
    order_id: Annotated[
        str,
        typer.Argument(
            metavar="ORDER_ID",
            help="Client order id (its beginning will do), or the venue's own order id.",
        ),
    ],
    as_json: JsonFlag = False,
) -> None:
    """Print an order's chain: spike, decisions, tool results, intent, fills, funding, profit.

    Any order of a position leads to the whole chain. The store is only read.
    """
    from trading.storage.database import open_database
    from trading.storage.order_chain import OrderChains

    storage = loaded_config(context).config.storage
    connection = open_database(storage, durable=False, check=False)
    try:
        chain = OrderChains(connection).find(order_id)
    finally:
        connection.close()
    if as_json:
        print_json(chain)
        return
    show(*_spike(chain), *_decisions(chain), *_tools(chain), *_refusals(chain))
    for one in chain.orders:
        show(*_order(one, asked=one.order.id == chain.order_id))
    show(*_funding(chain), *_outcome(chain))


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _spike(chain: OrderChain) -> list[Any]:
    spike = chain.spike
    if spike is None:
        return [_heading("spike"), "none is recorded"]
    return [
        _heading(f"spike {spike['id']}"),
        facts(
            {
                "seen at": spike["timestamp"],
                "what": f"{spike['trading_pair']} {spike['spike_type']} {spike['direction']}"
                f" {spike['magnitude_percent']:+.2f} % in {spike['timeframe_minutes']} min,"
                f" {spike['price_from']} → {spike['price_to']}",
                "evidence": spike["evidence"] or "-",
                "status": f"{spike['status']}: {spike['note']}".rstrip(": "),
            }
        ),
    ]


def _decisions(chain: OrderChain) -> list[Any]:
    table = _table("at", "agent", "decision", "confidence", "reasoning")
    for row in chain.decisions:
        table.add_row(
            row["timestamp"][11:23],
            row["agent_name"],
            f"{row['decision_type']}: {row['decision']}",
            f"{row['confidence']:.2f}",
            _short(row["reasoning"]),
        )
    return [_heading("decisions"), table if chain.decisions else "none is recorded"]


def _tools(chain: OrderChain) -> list[Any]:
    table = _table("at", "agent", "tool", "arguments", "result")
    for row in chain.tools:
        table.add_row(
            row["timestamp"][11:23],
            row["agent_name"] or "-",
            row["tool_name"] + ("" if row["ok"] else " (failed)"),
            _short(row["arguments"]),
            _short(row["result"]),
        )
    return [_heading("tool results"), table if chain.tools else "none is recorded"]


def _refusals(chain: OrderChain) -> list[Any]:
    if not chain.refusals:
        return []
    table = _table("at", "rule", "limit", "value", "message")
    for row in chain.refusals:
        table.add_row(
            row["timestamp"][11:23],
            row["rule"],
            row["limit_value"] or "-",
            row["value"] or "-",
            _short(row["message"]),
        )
    return [_heading("risk events"), table]


def _order(one: OrderTrace, *, asked: bool) -> list[Any]:
    order, quality = one.order, one.quality
    request = order.request
    price = f" at {request.limit_price}" if request.limit_price is not None else ""
    trigger = f" once at {request.trigger_price}" if request.trigger_price is not None else ""
    rows: dict[str, str | Text] = {
        "intent": f"{order.intent_hash[:16]}…, epoch {order.epoch}, "
        f"made {iso(order.created_at_ms)}",
        "order": f"{request.type} {request.side} {request.quantity} {order.symbol}{price}{trigger}",
        "status": f"{order.status}{f' ({order.reason})' if order.reason else ''},"
        f" venue id {order.venue_order_id or '-'}",
        "filled": f"{order.filled_quantity} ({quality.fill_rate:.0%})"
        + (f", {order.average_price:.8g} on average" if order.average_price else ""),
    }
    if quality.slippage_bp is not None:
        rows["slippage"] = f"{quality.slippage_bp:+} bp against {quality.decision_price}"
    if quality.first_fill_ms is not None and quality.last_fill_ms is not None:
        first, last = duration_text(quality.first_fill_ms), duration_text(quality.last_fill_ms)
        rows["time to fill"] = f"first {first}, last {last}"
    parts: list[Any] = [
        _heading(f"{order.purpose.value.lower()} {order.id}{'  ← asked about' if asked else ''}"),
        facts(rows),
    ]
    if one.fills:
        table = _table("at", "trade", "price", "quantity", "fee", "maker")
        for fill in one.fills:
            table.add_row(
                iso(fill.time_ms)[11:23],
                fill.trade_id,
                f"{fill.price:f}",
                f"{fill.quantity:f}",
                f"{fill.fee:f} {fill.fee_asset}",
                "yes" if fill.is_maker else "no",
            )
        parts.append(table)
    return parts


def _funding(chain: OrderChain) -> list[Any]:
    """Nothing where nothing was paid: on spot, and for futures that were held for a short time."""
    if not chain.funding:
        return []
    table = _table("at", "payment", "amount")
    for row in chain.funding:
        table.add_row(row["paid_at"][:19], row["payment_id"], row["amount"])
    return [_heading("funding"), table]


def _funding_sum(chain: OrderChain) -> dict[str, str]:
    if not chain.funding:
        return {}
    total = sum((Decimal(row["amount"]) for row in chain.funding), Decimal(0))
    return {"funding": f"{total:+f}"}


def _outcome(chain: OrderChain) -> list[Any]:
    if chain.trade is not None:
        trade = chain.trade
        return [
            _heading("profit and loss"),
            facts(
                {
                    "closed": f"{trade['closed_at']} by {trade['exit_reason']}",
                    "round trip": f"{_plain(trade['quantity'])} {trade['symbol']}:"
                    f" {_plain(trade['entry_price'])} → {_plain(trade['exit_price'])}",
                    "fees": _plain(trade["fees"]),
                    **_funding_sum(chain),
                    "profit": _plain(trade["pnl"]),
                }
            ),
        ]
    if chain.position is not None:
        held = chain.position
        return [
            _heading("profit and loss"),
            facts(
                {
                    "still open": f"{_plain(held['quantity'])} {held['symbol']}"
                    f" since {held['opened_at']}",
                    "stop, target": f"{held['stop_price']}, {held['take_profit_price']}",
                    "realised so far": _plain(held["realized_pnl"]),
                    "fees": _plain(held["fees_paid"]),
                    **_funding_sum(chain),
                }
            ),
        ]
    return [_heading("profit and loss"), "nothing was bought"]


def _plain(amount: str) -> str:
    """A stored decimal without the zeros at its end."""
    return f"{Decimal(amount).normalize():f}"


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def _short(value: Any) -> str:
    import json

    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
