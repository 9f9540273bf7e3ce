"""``breaker status | trip | warn | recover | clear``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from crews.cli.core import BREAKER_TIMEOUT_S, find_core, running_core
from crews.cli.output import JsonFlag, print_json, show
from crews.cli.state import loaded_config
from trading.errors import CoreNotRunningError, CoreTimeoutError

if TYPE_CHECKING:
    from crews.cli.stored_breaker import StoredBreaker
    from crews.config import AppConfig
    from trading.api.http_client import HttpTradingClient
    from trading.api.schemas import CommandResult, TripCommand

app = typer.Typer(
    name="breaker",
    no_args_is_help=True,
    help="See and work the circuit breaker, from any terminal. Acts on the running instance, or on "
    "the stored state when none runs.",
)

Reason = Annotated[
    str, typer.Option(help="Why; recorded and shown.", metavar="TEXT", show_default=False)
]


def _real_reason(reason: str) -> str:
    """The reason of a command that eases: one line that says something."""
    from trading.api.schemas import LONGEST_REASON, one_line

    line = one_line(reason)
    if not line or len(line) > LONGEST_REASON:
        raise typer.BadParameter(f"write why, in at most {LONGEST_REASON} characters")
    return line


EasingReason = Annotated[
    str,
    typer.Option(
        help="Why; recorded and shown.", metavar="TEXT", show_default=False, callback=_real_reason
    ),
]
Epoch = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="The current epoch, as `breaker status` shows it: proof that you have seen the "
        "latest trip.",
    ),
]


@app.command()
def status(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the breaker: state, epoch, reason, nearest limit, what recovery waits for."""
    from crews.cli.status_text import breaker_table

    config = loaded_config(context).config
    try:
        with running_core(config, BREAKER_TIMEOUT_S) as core:
            view = core.breaker()
    except CoreNotRunningError:  # or it is just starting or ending: what is stored holds
        from crews.cli.stored_breaker import stored_view

        view = stored_view(config)
    if as_json:
        print_json(view)
    else:
        show(breaker_table(view, view.market.time_ms if view.market else None))


@app.command()
def trip(
    context: typer.Context,
    reason: Reason = "tripped by the operator",
    as_json: JsonFlag = False,
) -> None:
    """Halt: no new entry leaves from now on. Sets the MANUAL latch, which only you release.

    Example:  spikeguard breaker trip --reason "exchange behaves oddly"

    A running core that does not answer is halted through the store, which its order journal obeys;
    that exits with 5.
    """
    from trading.api.schemas import TripCommand

    config = loaded_config(context).config
    command = TripCommand(reason=reason)
    try:
        with _breaker(config, halt_anyway=True) as client:
            result = client.trip(command)
    except (CoreTimeoutError, CoreNotRunningError) as error:
        result = _trip_in_store(config, command, error)
    _report(result, as_json=as_json)
    if not result.applied:
        raise typer.Exit(1)


@app.command()
def warn(
    context: typer.Context,
    reason: Reason = "warning by the operator",
    as_json: JsonFlag = False,
) -> None:
    """Set WARNING: position sizes are halved until all metrics have been calm for a while."""
    from trading.api.schemas import WarnCommand

    with _breaker(loaded_config(context).config) as client:
        result = client.warn(WarnCommand(reason=reason))
    _report(result, as_json=as_json)


@app.command()
def recover(
    context: typer.Context,
    reason: EasingReason,
    epoch: Epoch = None,
    as_json: JsonFlag = False,
) -> None:
    """Begin the recovery: entries come back in stages, each at a larger size.

    Example:  spikeguard breaker recover --reason "exchange is back" --epoch 3

    Refused while something still blocks it; `breaker status` says what.
    """
    from trading.api.schemas import RecoverCommand

    with _breaker(loaded_config(context).config) as client:
        command = RecoverCommand(reason=reason, epoch=_required(epoch, client))
        result = client.recover(command)
    _report(result, as_json=as_json)


@app.command()
def clear(
    context: typer.Context,
    reason: EasingReason,
    epoch: Epoch = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Straight to SAFE, at full size; recorded as an override."),
    ] = False,
    false_alarm: Annotated[
        bool,
        typer.Option("--false-alarm", help="Record that the trip should not have been."),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Release the MANUAL latch, so that the rules may recover; with --force go straight to SAFE.

    Example:  spikeguard breaker clear --reason "checked by hand" --epoch 3
    """
    from trading.api.schemas import ClearCommand

    with _breaker(loaded_config(context).config) as client:
        command = ClearCommand(
            reason=reason,
            epoch=_required(epoch, client),
            force=force,
            false_alarm=false_alarm,
        )
        result = client.clear(command)
    _report(result, as_json=as_json)


@contextmanager
def _breaker(
    config: AppConfig, *, halt_anyway: bool = False
) -> Iterator[HttpTradingClient | StoredBreaker]:
    if find_core(config) is not None:
        with running_core(config, BREAKER_TIMEOUT_S) as client:
            yield client
        return
    with _stored(config, halt_anyway=halt_anyway) as stored:
        yield stored


def _stored(config: AppConfig, *, halt_anyway: bool) -> StoredBreaker:
    from crews.cli.stored_breaker import StoredBreaker

    return StoredBreaker(config, halt_anyway=halt_anyway)


def _trip_in_store(
    config: AppConfig, command: TripCommand, error: CoreTimeoutError | CoreNotRunningError
) -> CommandResult:
    """The core is there and does not answer: halt it through the store.

    Raises:
        CoreTimeoutError: after the trip is stored, where the core hangs.
    """
    with _stored(config, halt_anyway=True) as stored:
        result = stored.trip(command)
    if isinstance(error, CoreTimeoutError):
        raise CoreTimeoutError(f"{error}; {result.message}, which its order journal obeys")
    return result


def _required(epoch: int | None, client: HttpTradingClient | StoredBreaker) -> int:
    if epoch is None:
        snapshot = client.breaker().snapshot
        raise typer.BadParameter(
            f"the breaker is {snapshot.status} with epoch {snapshot.epoch} ({snapshot.reason}); "
            f"if you have judged that, repeat with --epoch {snapshot.epoch}"
        )
    return epoch


def _report(result: CommandResult, *, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    from crews.cli.status_text import state_line

    show(Text.assemble(f"{result.message}: ", state_line(result.snapshot)))
    if result.in_flight:
        show(f"orders of unknown outcome, being resolved: {', '.join(result.in_flight)}")
