"""A replay's report for people: what was replayed, what it came to, and every trip."""

from __future__ import annotations

from decimal import Decimal

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from crews.replay.report import ReplayReport


def replay_tables(report: ReplayReport) -> tuple[RenderableType, ...]:
    """Facts, trips and the comparison with a run without a breaker."""
    return (_facts(report), _trips(report), _money(report))


def _facts(report: ReplayReport) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bright_black", no_wrap=True)
    table.add_column(overflow="fold")
    rows = {
        "market": f"{report.market}, {report.symbols} pairs, {report.bars} bars",
        "span": f"{report.start} to {report.end}",
        "decided by": report.llm,
        "spikes": f"{report.spikes}, of which crews looked at {report.crew_runs}",
        "guardian": f"{report.guardian_runs} assessments",
        "agents": f"{report.agent_decisions} decisions, {report.tool_calls} tool calls",
        **_failures(report),
        "orders": f"{report.orders_sent} sent, {report.entries_sent} of them entries; "
        f"{report.fills} fills, {report.trades_closed} round trips",
        "halted": f"{report.halted_minutes:.1f} min; entries sent meanwhile: "
        f"{report.entries_after_trip_while_halted}",
        "trace": f"sha256 {report.trace_sha256}",
        "took": f"{report.wall_seconds:.1f} s",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _failures(report: ReplayReport) -> dict[str, str]:
    if not report.agent_failures:
        return {}
    return {"failed": f"{report.agent_failures} of the decisions; the last: {report.last_failure}"}


def _trips(report: ReplayReport) -> RenderableType:
    if not report.trips:
        return Text("\nno trip\n")
    table = Table(title="trips", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("at (UTC)", no_wrap=True)
    table.add_column("epoch", justify="right")
    table.add_column("rule", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for trip in report.trips:
        table.add_row(trip.at[:19].replace("T", " "), str(trip.epoch), trip.rule, trip.reason)
    return table


def _money(report: ReplayReport) -> Table:
    table = Table(title="with and without the breaker", title_justify="left", box=None)
    table.add_column("")
    table.add_column("breaker", justify="right")
    table.add_column("no breaker", justify="right")
    table.add_column("difference", justify="right")
    table.add_row(
        "equity at the end",
        f"{report.equity_end:,.2f}",
        f"{report.equity_end_without_breaker:,.2f}",
        _signed(report.capital_saved),
    )
    table.add_row(
        "since the start",
        _signed(report.equity_end - report.equity_start),
        _signed(report.equity_end_without_breaker - report.equity_start),
        "",
    )
    table.add_row(
        "largest drawdown",
        f"{report.max_drawdown_pct:.2f} %",
        f"{report.max_drawdown_pct_without_breaker:.2f} %",
        "",
    )
    return table


def _signed(amount: Decimal) -> Text:
    return Text(f"{amount:+,.2f}", style="green" if amount >= 0 else "red")
