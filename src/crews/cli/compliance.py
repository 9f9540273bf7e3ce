"""``compliance report``: one day, from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from crews.cli.exit_codes import ExitCode
from crews.cli.notes import note_fields, note_on, show_note
from crews.cli.output import JsonFlag, print_json, show
from crews.cli.state import loaded_config

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trading.risk.compliance_config import ComplianceConfig
    from trading.storage.audit_check import AuditReport
    from trading.storage.day_report import DayReport, Happening

app = typer.Typer(
    name="compliance",
    no_args_is_help=True,
    help="What was done, refused and commanded, day by day. Needs no running core.",
)


@app.callback()
def _group() -> None:
    """Commands of their own, although there is one only."""


@app.command()
def report(
    context: typer.Context,
    day: Annotated[
        str | None, typer.Option(help="UTC day, YYYY-MM-DD. Default: the day of the last entry.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Have the compliance agent tell the day in words.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Report one UTC day: orders, limits used, refusals by rule, approvals, transitions, commands.

    Example:  spikeguard compliance report --day 2026-11-21 --json

    Days are those of market time. The audit log is checked too; exits with 1 when it is damaged.
    A note of the compliance agent on the day is shown below, labelled as such.
    """
    from trading.clock import DAY_MS, from_iso
    from trading.errors import StoreError
    from trading.model.desk import DeskKind
    from trading.storage.audit_anchor import AuditAnchor
    from trading.storage.audit_check import check_audit_log
    from trading.storage.audit_log import AuditLog
    from trading.storage.database import open_database
    from trading.storage.day_report import DayReporter
    from trading.storage.desk_note_repository import DeskNoteRepository

    loaded = loaded_config(context)
    config = loaded.config
    connection = open_database(config.storage, check=False)
    try:
        if day is None:
            newest = AuditLog(connection).latest(1)
            if not newest:
                raise StoreError(
                    "the audit log is empty: name a --day, and see what `audit verify` says"
                )
            start_ms = newest[0].time_ms - newest[0].time_ms % DAY_MS
        else:
            try:
                start_ms = from_iso(day)
            except ValueError as error:
                raise typer.BadParameter(f"--day {day!r} is no YYYY-MM-DD") from error
            if start_ms % DAY_MS:
                raise typer.BadParameter(f"--day {day!r} is no whole day, YYYY-MM-DD")
        found = DayReporter(connection).report(start_ms)
        if explain:
            note_on(connection, loaded, DeskKind.DAY, found.day)
        note = DeskNoteRepository(connection).newest(DeskKind.DAY, found.day)
        audit = check_audit_log(connection, AuditAnchor(config.storage.path))
    finally:
        connection.close()
    if as_json:
        fields = {"report": found, "limits": config.compliance, "audit": audit}
        print_json({**fields, "note": note_fields(note)})
    else:
        _show(found, config.compliance, audit)
        if note is not None:
            show("")
            show_note(note)
    if not audit.intact:
        raise typer.Exit(ExitCode.ERROR)


def _show(found: DayReport, limits: ComplianceConfig, audit: AuditReport) -> None:
    show(f"Compliance report of {found.day} (UTC, market time)", "")
    for venue in found.venues:
        fees = ", ".join(f"{fee:.8g} {asset}" for asset, fee in venue.fees.items()) or "none"
        show(
            f"{venue.venue}: {venue.entries} of {limits.max_daily_trades} entries, "
            f"{venue.entry_notional:,.2f} in all; {venue.exits} exit orders, {venue.fills} fills "
            f"of {venue.fill_notional:,.2f}, fees {fees}",
            f"  {venue.closed_trades} trades closed, profit {venue.profit_loss:+,.2f}",
        )
    if not found.venues:
        show("no orders")
    show(f"approval mode {limits.approval_mode}: {_counts(found.approvals)}")
    show(f"decisions: {_counts(found.decisions)}", "")
    if found.refusals:
        table = Table(box=None)
        for name in ("refused by", "times", "limit", "last value", "last"):
            table.add_column(name, justify="right" if name == "times" else "left")
        for one in found.refusals:
            table.add_row(
                one.rule, str(one.count), one.limit or "", one.value or "", one.message[:80]
            )
        show(table, "")
    _list("breaker", found.breaker)
    _list("operator", found.operator)
    _list("configuration", found.configuration)
    span = f"{found.first_entry} to {found.last_entry}" if found.first_entry else "none"
    verdict = f"intact, head {audit.head}" if audit.intact else "NOT INTACT: see `audit verify`"
    show(f"audit log: entries {span} of {audit.entries}; {verdict}")


def _list(title: str, happenings: Iterable[Happening]) -> None:
    for one in happenings:
        show(f"{one.time[11:19]} {title}: {one.what} by {one.who}: {one.details}"[:200])


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items()) or "none"
