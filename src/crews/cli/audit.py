"""``audit verify | show | head | accept``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crews.cli.breaker import EasingReason
from crews.cli.output import JsonFlag, facts, print_json, show
from crews.cli.state import loaded_config

if TYPE_CHECKING:
    import sqlite3

    from trading.storage.audit_anchor import AuditAnchor
    from trading.storage.audit_chain import AuditHead
    from trading.storage.audit_check import AuditReport

FINDINGS_ON_RECORD = 20

app = typer.Typer(
    name="audit",
    no_args_is_help=True,
    help="The audit log: every decision, order, fill, transition, configuration change and "
    "operator's command, each entry chained to the one before. Needs no running core.",
)


@app.command()
def verify(
    context: typer.Context,
    heads: Annotated[
        list[str] | None,
        typer.Option(
            "--head", metavar="SEQ:HASH", help="A head kept elsewhere (`audit head`); repeatable."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check the whole log: edited, removed, moved and added entries, a cut end, and the tables.

    Exits with 1 when anything is found.
    """
    from trading.storage.audit_check import check_audit_log

    known = [_head(text) for text in heads or ()]
    with _store(context) as (connection, anchor):
        report = check_audit_log(connection, anchor, known)
    if as_json:
        print_json(report)
    else:
        _show_findings(report)
    if not report.intact:
        raise typer.Exit(1)


@app.command("show")
def show_entries(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 30,
    kind: Annotated[
        str | None, typer.Option(help="Only of this kind: order, fill, breaker, operator, …")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="Only about this, such as a client order id.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """List entries, newest first."""
    from trading.storage.audit_log import AuditLog

    with _store(context) as (connection, _):
        entries = AuditLog(connection).latest(limit, kind=kind, subject=subject)
    if as_json:
        print_json({"entries": entries})
        return
    for entry in entries:
        show(
            facts(
                {
                    f"{entry.seq}": f"{entry.timestamp}  {entry.kind} by {entry.actor}: "
                    f"{entry.subject}",
                    "": entry.payload,
                }
            )
        )


@app.command()
def head(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Print the newest entry's number and hash, to be kept where nobody can change it.

    Example:  spikeguard audit verify --head 1204:9f2c…
    """
    from trading.errors import StoreCorruptError
    from trading.storage.audit_log import AuditLog

    with _store(context) as (connection, _):
        newest = AuditLog(connection).head()
    if newest is None:
        raise StoreCorruptError("the audit log is empty: its entries were removed")
    if as_json:
        print_json(newest)
    else:
        show(str(newest))


@app.command()
def accept(
    context: typer.Context,
    reason: EasingReason,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Go on with a log that contradicts its head record, as after a backup was put in place.

    Example:  spikeguard audit accept --reason "restored the backup of Tuesday"

    Shows what is wrong, and asks. What was wrong, what the record said before, and the reason go
    into the log. It mends nothing: `audit verify` goes on naming entries and rows that were edited.
    """
    from trading.storage.audit_check import check_audit_log

    if as_json and not yes:
        raise typer.BadParameter("accepts what is wrong with the log; with --json say --yes, too")
    with _store(context) as (connection, anchor):
        report = check_audit_log(connection, anchor)
        if not as_json:
            _show_findings(report)
        if not yes:
            typer.confirm("Go on with the log as it is?", abort=True)
        newest, details = _accept(connection, anchor, report, reason)
    if as_json:
        print_json({**details, "accepted": newest, "findings": report.findings})
    else:
        noted, ended = details["head_record"], details["ends_at"]
        show(f"goes on from {newest}; the record said {noted}, the log ended at {ended}")


def _accept(
    connection: sqlite3.Connection, anchor: AuditAnchor, report: AuditReport, reason: str
) -> tuple[AuditHead, dict[str, Any]]:
    from trading.clock import SystemClock
    from trading.errors import StoreError
    from trading.model.breaker import Actor
    from trading.storage.audit_log import AuditLog

    log = AuditLog(connection)
    try:
        noted = str(anchor.read())
    except StoreError as error:
        noted = str(error)
    details = {
        "head_record": noted,
        "ends_at": str(log.head()),
        "reason": reason,
        "findings": len(report.findings) + report.more_findings,
        "first_findings": [one.message for one in report.findings[:FINDINGS_ON_RECORD]],
    }
    now_ms = SystemClock().now_ms()
    newest = log.append("anchor", "accepted", details, now_ms, actor=Actor.OPERATOR.value)
    anchor.write(newest)
    return newest, details


def _show_findings(report: AuditReport) -> None:
    if report.intact:
        show(f"intact: {report.entries} entries, head {report.head}")
    for finding in report.findings:
        show(f"{finding.kind}: {finding.message}")
    if report.more_findings:
        show(f"and {report.more_findings} more")


def _head(text: str) -> AuditHead:
    from trading.storage.audit_chain import AuditHead

    seq, _, digest = text.partition(":")
    if not re.fullmatch(r"[0-9]{1,18}:[0-9a-f]{64}", text):
        raise typer.BadParameter(f"{text!r} is no SEQ:HASH as `audit head` prints it")
    return AuditHead(int(seq), digest)


@contextmanager
def _store(context: typer.Context) -> Iterator[tuple[sqlite3.Connection, AuditAnchor]]:
    from trading.storage.audit_anchor import AuditAnchor
    from trading.storage.database import open_database

    storage = loaded_config(context).config.storage
    connection = open_database(storage, check=False)
    try:
        yield connection, AuditAnchor(storage.path)
    finally:
        connection.close()
