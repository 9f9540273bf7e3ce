"""How the emergency commands show what is halted, paused and sold."""

from __future__ import annotations

from rich.table import Table

from crews.cli.output import show
from trading.clock import iso
from trading.model.operations import Controls, LiquidationReport


def show_controls(controls: Controls) -> None:
    if not controls.active:
        show("nothing is halted or paused by an operator")
    for control in controls.active:
        show(
            f"  {control.name}: since {iso(control.since_ms)} by {control.actor}: {control.reason}"
        )


def progress(report: LiquidationReport) -> str:
    """How far a liquidation is, on one line."""
    if not report.positions:
        return "; ".join(("nothing to sell", *report.problems))
    closed = sum(one.closed for one in report.positions)
    return "; ".join((f"{closed} of {len(report.positions)} positions sold", *report.problems))


def show_liquidation(report: LiquidationReport) -> None:
    table = Table(box=None)
    for name in ("pair", "quantity", "sold", "orders", "decided at", "sold at", "slippage", "cost"):
        table.add_column(name, justify="left" if name == "pair" else "right")
    for one in report.positions:
        table.add_row(
            one.symbol,
            f"{one.quantity.normalize():f}",
            f"{one.sold.normalize():f}",
            str(one.orders),
            "" if one.decision_price is None else f"{one.decision_price:.6g}",
            "" if one.average_price is None else f"{one.average_price:.6g}",
            "" if one.slippage_pct is None else f"{one.slippage_pct:.3f} %",
            f"{one.slippage_cost:,.2f}",
        )
    show(
        f"liquidation of {iso(report.started_at_ms)} ({report.reason}): "
        f"{report.status.replace('_', ' ')}, "
        f"{report.entries_cancelled} entries cancelled, slippage {report.slippage_cost:,.2f}"
    )
    if report.positions:
        show(table)
    for problem in (
        *report.problems,
        *(f"{p.symbol}: {p.problem}" for p in report.positions if p.problem),
    ):
        show(f"  {problem}")
