"""The five tasks, wired to their agents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pydantic import BaseModel, ConfigDict

from agents import (
    context_analyzer,
    market_guardian,
    market_scanner,
    risk_assessor,
    strategy_executor,
)
from agents.builder import AgentSpec
from agents.config import AgentsConfig
from agents.llm_choice import choose_models
from agents.outputs import AgentOutput
from agents.prompts import load_versioned_yaml, prompts_version
from crews.decisions import PromptSet
from crews.guardrails import Guardrail, guardrail_of
from crews.quiet_crew import QuietCrew
from crews.spike_trading.validation import entry_result, problems_of
from crews.task_specs import TaskSpec, build_task, prompt_hash_of
from tools.framework import Task
from tools.run_context import RunContext
from trading.api.client import TradingClient
from trading.model.spike import Spike


class SpikeTasks(BaseModel):
    """tasks.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    spike_detection: TaskSpec
    stability_check: TaskSpec
    context_analysis: TaskSpec
    risk_evaluation: TaskSpec
    execution: TaskSpec


OWNERS: dict[str, AgentSpec] = {
    "spike_detection": market_scanner.SPEC,
    "stability_check": market_guardian.SPEC,
    "context_analysis": context_analyzer.SPEC,
    "risk_evaluation": risk_assessor.SPEC,
    "execution": strategy_executor.SPEC,
}
ANALYSTS = ("spike_detection", "stability_check", "context_analysis")
DECIDERS = ("risk_evaluation", "execution")
REQUIRED = ("stability_check", *DECIDERS)  # without these nobody enters


def load_tasks() -> SpikeTasks:
    """Raises ConfigurationError."""
    return _load()[0]


def prompt_set() -> PromptSet:
    """Versions and hashes of all that is asked of this crew. Raises ConfigurationError."""
    specs, version = _load()
    hashes = {name: prompt_hash_of(name, getattr(specs, name), o) for name, o in OWNERS.items()}
    return PromptSet(f"{prompts_version()}.{version}", hashes)


@cache
def _load() -> tuple[SpikeTasks, int]:
    return load_versioned_yaml("crews.spike_trading", "tasks.yaml", SpikeTasks)


@dataclass(frozen=True, slots=True)
class WarmCrew:
    """A crew ready to run; ``tasks`` by name, in their order; ``labels`` say who decides each."""

    crew: QuietCrew
    tasks: dict[str, Task]
    labels: dict[str, str]


def enabled_tasks(config: AgentsConfig) -> tuple[str, ...]:
    """Tasks whose agents are switched on. Deciders only when every required one is."""
    on = {name for name, owner in OWNERS.items() if owner.settings(config).enabled}
    deciders = DECIDERS if on.issuperset(REQUIRED) else ()
    return tuple(name for name in ANALYSTS if name in on) + deciders


def build_crew(
    client: TradingClient, config: AgentsConfig, environment: Mapping[str, str]
) -> WarmCrew | None:
    """The crew of all enabled agents; None when that leaves nothing to do.

    With a model behind them the analysts run side by side. The rules take no time, so there they
    run one after the other, which also keeps their records in a fixed order.
    """
    names = enabled_tasks(config)
    specs = load_tasks()
    choices = {
        name: choose_models(config, environment, OWNERS[name].settings(config))[0] for name in names
    }
    parallel = "execution" in names and any(not choice.is_rules for choice in choices.values())
    agents = {name: OWNERS[name].create(config, environment) for name in names}
    tasks: dict[str, Task] = {}
    for name in names:
        decider = name in DECIDERS
        tasks[name] = build_task(
            name,
            getattr(specs, name),
            OWNERS[name],
            agents[name],
            client,
            context=list(tasks.values()) if decider else None,
            parallel=parallel and not decider,
            conditional=decider,
            guardrail=_guardrail(name, getattr(specs, name), config),
        )
    if not tasks:
        return None
    crew = QuietCrew.of("spike_trading", list(agents.values()), list(tasks.values()))
    return WarmCrew(crew, tasks, {name: choice.label for name, choice in choices.items()})


def _guardrail(name: str, spec: TaskSpec, config: AgentsConfig) -> Guardrail:
    def check(output: AgentOutput, run: RunContext) -> list[str]:
        return problems_of(name, output, run, _spike_of(run))

    return guardrail_of(
        name,
        check,
        spec.description,
        known=config.policy.model_dump(),
        # An order that left is not asked for again, however it is told.
        is_done=lambda run: name == "execution" and entry_result(run) is not None,
    )


def _spike_of(run: RunContext) -> Spike:
    assert run.spike is not None, "a spike crew's run has a spike"
    return run.spike
