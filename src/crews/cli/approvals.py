"""``approvals list | approve | refuse``: a person's word on single entries (mode semi-auto)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from crews.cli.breaker import Reason
from crews.cli.core import running_core
from crews.cli.exit_codes import ExitCode
from crews.cli.output import JsonFlag, print_json, show
from crews.cli.state import loaded_config
from trading.errors import CoreNotRunningError

if TYPE_CHECKING:
    from trading.model.operations import Approval

app = typer.Typer(
    name="approvals",
    no_args_is_help=True,
    help="Entries that wait for you (compliance.approval_mode: semi-auto).",
)

MOST = 1_000  # that a core tells of at a time
ApprovalId = Annotated[int, typer.Argument(min=1, help="Its number, as `approvals list` shows it.")]


@app.command("list")
def list_approvals(
    context: typer.Context,
    pending: Annotated[bool, typer.Option("--pending", help="Only those that still wait.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """List approvals, newest first. Where no core runs, as the last one left them."""
    from crews.cli.stored_controls import load_approvals
    from trading.clock import iso
    from trading.model.operations import ApprovalStatus

    config = loaded_config(context).config
    asked = MOST if pending else limit  # those that wait may be older than many that do not
    try:
        with running_core(config) as core:
            found = core.approvals(asked)
    except CoreNotRunningError:
        found = load_approvals(config, asked)
    if pending:
        found = tuple(one for one in found if one.status is ApprovalStatus.PENDING)[:limit]
    if as_json:
        print_json({"approvals": found})
        return
    if not found:
        show("none")
        return
    table = Table(box=None)
    for name in ("#", "pair", "quantity", "at most at", "notional", "until", "status", "why"):
        table.add_column(name, justify="left" if name in ("pair", "status", "why") else "right")
    for one in found:
        table.add_row(
            str(one.id),
            one.symbol,
            f"{one.quantity.normalize():f}",
            f"{one.limit_price:.8g}",
            f"{one.notional:,.2f}",
            iso(one.expires_at_ms)[11:19],
            one.status,
            one.proposal.reasoning[:80] if one.status is ApprovalStatus.PENDING else _outcome(one),
        )
    show(table)


@app.command()
def approve(
    context: typer.Context,
    approval_id: ApprovalId,
    reason: Reason = "approved by the operator",
    as_json: JsonFlag = False,
) -> None:
    """Let an entry out. It passes every check again, as of now; exits with 1 if one refuses."""
    from trading.api.schemas import ResumeCommand
    from trading.model.decision import ProposalOutcome

    with running_core(loaded_config(context).config) as core:
        approval = core.approve(approval_id, ResumeCommand(reason=reason))
    if as_json:
        print_json(approval)
    else:
        show(_outcome(approval))
    if approval.result is None or approval.result.outcome is ProposalOutcome.REFUSED:
        raise typer.Exit(ExitCode.ERROR)


@app.command()
def refuse(
    context: typer.Context,
    approval_id: ApprovalId,
    reason: Reason = "refused by the operator",
    as_json: JsonFlag = False,
) -> None:
    """Never send this entry."""
    from trading.api.schemas import OperatorCommand

    with running_core(loaded_config(context).config) as core:
        approval = core.refuse(approval_id, OperatorCommand(reason=reason))
    if as_json:
        print_json(approval)
    else:
        show(f"approval {approval_id} is refused")


def _outcome(approval: Approval) -> str:
    result = approval.result
    if result is None:
        return f"{approval.status}: {approval.reason}"
    if result.rule is not None:
        return f"approved, then refused by {result.rule}: {result.reason}"
    price = f" at {result.average_price:.8g}" if result.average_price is not None else ""
    return (
        f"approved: order {result.client_order_id} {result.outcome}, "
        f"filled {result.filled_quantity.normalize():f}{price}"
    )
