"""``emergency``: halt entries, pause agents, cancel orders, liquidate; and let go again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from crews.cli.breaker import EasingReason, Reason
from crews.cli.core import BREAKER_TIMEOUT_S, find_core, running_core
from crews.cli.emergency_text import progress, show_controls, show_liquidation
from crews.cli.exit_codes import ExitCode
from crews.cli.output import JsonFlag, print_json, show
from crews.cli.state import loaded_config
from trading.errors import CoreNotRunningError, CoreTimeoutError

if TYPE_CHECKING:
    from crews.config import AppConfig
    from trading.api.operator_client import OperatorClient
    from trading.api.schemas import ControlResult
    from trading.model.operations import LiquidationReport

app = typer.Typer(
    name="emergency",
    no_args_is_help=True,
    help="Take over by hand. Every command may be repeated, is on record in the audit log, and "
    "needs neither model, screen nor Redis. `breaker trip` is the quickest halt of all.",
)

POLL_S = 0.5
ALL_AGENTS = "all"

Agent = Annotated[str, typer.Argument(help="One agent's name as in the configuration, or all.")]


@app.command("halt-entries")
def halt_entries(
    context: typer.Context, reason: Reason = "halted by the operator", as_json: JsonFlag = False
) -> None:
    """No new entry leaves from now on; exits and protective orders go on.

    Unlike `breaker trip` it starts no cool-down: `resume-entries` ends it at once. Without a core
    it is stored, and holds from the next start on.
    """
    from trading.api.schemas import OperatorCommand
    from trading.model.operations import ENTRIES

    config = loaded_config(context).config
    command = OperatorCommand(reason=reason)
    result = _change(
        config, lambda core: core.halt_entries(command), (ENTRIES,), command.reason, stop=True
    )
    _report(result, "entries are halted", as_json=as_json)


@app.command("resume-entries")
def resume_entries(context: typer.Context, reason: EasingReason, as_json: JsonFlag = False) -> None:
    """Take the halt of entries back. The breaker and every limit stay as they are."""
    from trading.api.schemas import ResumeCommand
    from trading.model.operations import ENTRIES

    config = loaded_config(context).config
    command = ResumeCommand(reason=reason)
    result = _change(
        config, lambda core: core.resume_entries(command), (ENTRIES,), command.reason, stop=False
    )
    _report(result, "the operator's halt of entries is lifted", as_json=as_json)


@app.command("pause-agents")
def pause_agents(
    context: typer.Context,
    agent: Agent = ALL_AGENTS,
    reason: Reason = "paused by the operator",
    as_json: JsonFlag = False,
) -> None:
    """Pause one agent, or all. While one that entries need is paused, nothing is entered.

    The deterministic guardian in the core is no agent: it is never paused.
    """
    from trading.api.schemas import PauseAgentsCommand

    config = loaded_config(context).config
    agents = _agents(config, agent)
    command = PauseAgentsCommand(agents=agents, reason=reason)
    result = _change(
        config, lambda core: core.pause_agents(command), _names(agents), command.reason, stop=True
    )
    _report(result, f"paused: {', '.join(agents)}", as_json=as_json)


@app.command("resume-agents")
def resume_agents(
    context: typer.Context,
    reason: EasingReason,
    agent: Agent = ALL_AGENTS,
    as_json: JsonFlag = False,
) -> None:
    """Let a paused agent, or all, work again."""
    from trading.api.schemas import ResumeAgentsCommand

    config = loaded_config(context).config
    agents = _agents(config, agent)
    command = ResumeAgentsCommand(agents=agents, reason=reason)
    result = _change(
        config, lambda core: core.resume_agents(command), _names(agents), command.reason, stop=False
    )
    _report(result, f"running: {', '.join(agents)}", as_json=as_json)


@app.command("cancel-orders")
def cancel_orders(
    context: typer.Context, reason: Reason = "cancelled by the operator", as_json: JsonFlag = False
) -> None:
    """Cancel every open entry. Protective stops stay: they are what keeps positions safe.

    Exits with 1 while one could not be cancelled yet.
    """
    from trading.api.schemas import OperatorCommand

    with running_core(loaded_config(context).config) as core:
        done = core.cancel_orders(OperatorCommand(reason=reason))
    if as_json:
        print_json(done)
    else:
        show(f"{len(done.cancelled)} cancelled, {len(done.filled)} filled before")
        if done.open:
            show(f"still open, ask again: {', '.join(done.open)}")
    if done.open:
        raise typer.Exit(ExitCode.ERROR)


@app.command()
def liquidate(
    context: typer.Context,
    reason: Reason = "liquidated by the operator",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether you mean it.")] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Return at once; `emergency status` shows it.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Sell everything: halt entries, cancel open ones, sell each position by its book's depth.

    Waits until the venue's account confirms that all is flat. Exits with 1 when it is not; what is
    left keeps its stop, and you may ask again. It goes on if you press Ctrl-C. Entries stay halted
    until `resume-entries`.
    """
    from trading.api.schemas import OperatorCommand
    from trading.model.operations import LiquidationStatus

    if not yes and as_json:
        raise typer.BadParameter("sells every position; with --json say --yes, too")
    with running_core(loaded_config(context).config) as core:
        if not yes:
            typer.confirm("Sell every position now?", abort=True)
        report: LiquidationReport | None = core.liquidate(OperatorCommand(reason=reason))
        said = ""
        while not no_wait and report is not None and report.status is LiquidationStatus.RUNNING:
            time.sleep(POLL_S)
            report = core.liquidation()
            if report is not None and not as_json and (now := progress(report)) != said:
                show(said := now)
    assert report is not None  # a core that has begun one has a report
    if as_json:
        print_json(report)
    else:
        show_liquidation(report)
    if report.status is LiquidationStatus.NOT_FLAT:
        raise typer.Exit(ExitCode.ERROR)


@app.command()
def status(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Show what is halted, paused and being liquidated."""
    from crews.cli.stored_controls import load_controls

    config = loaded_config(context).config
    report: LiquidationReport | None = None
    try:
        with running_core(config, BREAKER_TIMEOUT_S) as core:
            controls, report = core.controls(), core.liquidation()
    except CoreNotRunningError:
        controls = load_controls(config)
    if as_json:
        print_json({"controls": controls.active, "liquidation": report})
        return
    show_controls(controls)
    if report is not None:
        show_liquidation(report)


def _change(
    config: AppConfig,
    ask: Callable[[OperatorClient], ControlResult],
    names: Sequence[str],
    reason: str,
    *,
    stop: bool,
) -> ControlResult:
    """Through the core, or through the store where none runs.

    Raises:
        CoreTimeoutError: the core hangs; what tightens is in the store by then, which its order
            journal obeys.
    """
    from crews.cli.stored_controls import store_controls

    if find_core(config) is None:
        return store_controls(config, names, reason, stop=stop)
    try:
        with running_core(config, BREAKER_TIMEOUT_S) as core:
            return ask(core)
    except CoreNotRunningError:  # it is just ending
        return store_controls(config, names, reason, stop=stop)
    except CoreTimeoutError as error:
        if not stop:
            raise
        store_controls(config, names, reason, stop=True)
        raise CoreTimeoutError(
            f"{error}; it is in the store, which the core's order journal obeys"
        ) from error


def _agents(config: AppConfig, agent: str) -> tuple[str, ...]:
    from agents.config import AgentConfig

    known = tuple(
        name
        for name in type(config.agents).model_fields
        if isinstance(getattr(config.agents, name), AgentConfig)
    )
    if agent == ALL_AGENTS:
        return known
    if agent not in known:
        raise typer.BadParameter(f"no agent {agent!r}; there are {', '.join(known)}, and all")
    return (agent,)


def _names(agents: Sequence[str]) -> tuple[str, ...]:
    from trading.model.operations import AGENT_PREFIX

    return tuple(AGENT_PREFIX + agent for agent in agents)


def _report(result: ControlResult, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    show(what if result.changed else f"{what} (it was so before)")
    show_controls(result.controls)
