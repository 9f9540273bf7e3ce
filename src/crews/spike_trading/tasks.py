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
from agents.llm_choice import choose_llm
from agents.prompts import load_packaged_yaml
from crews.quiet_crew import QuietCrew
from crews.task_specs import TaskSpec, build_task
from tools.framework import Task
from trading.api.client import TradingClient


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


@cache
def load_tasks() -> SpikeTasks:
    """Raises ConfigurationError."""
    return load_packaged_yaml("crews.spike_trading", "tasks.yaml", SpikeTasks)


@dataclass(frozen=True, slots=True)
class WarmCrew:
    """A crew ready to run; ``tasks`` by name, in their order."""

    crew: QuietCrew
    tasks: dict[str, Task]


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
    parallel = "execution" in names and not choose_llm(config.llm, environment).is_rules
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
        )
    if not tasks:
        return None
    crew = QuietCrew.of("spike_trading", list(agents.values()), list(tasks.values()))
    return WarmCrew(crew, tasks)
