"""The guardian crew's three tasks, wired to the market guardian."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pydantic import BaseModel, ConfigDict

from agents import market_guardian
from agents.config import AgentsConfig
from agents.llm_choice import choose_models
from agents.prompts import load_versioned_yaml, prompts_version
from crews.decisions import PromptSet
from crews.guardian.validation import problems_of
from crews.guardrails import guardrail_of
from crews.quiet_crew import QuietCrew
from crews.task_specs import TaskSpec, build_task, prompt_hash_of
from tools.framework import ConditionalTask, Task
from trading.api.client import TradingClient

OWNER = market_guardian.SPEC


class GuardianTasks(BaseModel):
    """tasks.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    guardian_assessment: TaskSpec
    recovery_assessment: TaskSpec
    incident_report: TaskSpec


def load_tasks() -> GuardianTasks:
    """Raises ConfigurationError."""
    return _load()[0]


def prompt_set() -> PromptSet:
    """Versions and hashes of all that is asked of this crew. Raises ConfigurationError."""
    specs, version = _load()
    names = GuardianTasks.model_fields
    hashes = {name: prompt_hash_of(name, getattr(specs, name), OWNER) for name in names}
    return PromptSet(f"{prompts_version()}.{version}", hashes)


@cache
def _load() -> tuple[GuardianTasks, int]:
    return load_versioned_yaml("crews.guardian", "tasks.yaml", GuardianTasks)


@dataclass(frozen=True, slots=True)
class WarmGuardian:
    """A crew ready to run; ``label`` says who decides in it."""

    crew: QuietCrew
    assessment: Task
    recovery: ConditionalTask
    report: ConditionalTask
    label: str
    is_rules: bool

    @property
    def tasks(self) -> tuple[Task, ...]:
        return self.assessment, self.recovery, self.report


def build_guardian(
    client: TradingClient, config: AgentsConfig, environment: Mapping[str, str]
) -> WarmGuardian:
    """Raises ConfigurationError."""
    specs = load_tasks()
    agent = OWNER.create(config, environment)
    tasks: dict[str, Task] = {}
    for name in GuardianTasks.model_fields:
        spec = getattr(specs, name)
        tasks[name] = build_task(
            name,
            spec,
            OWNER,
            agent,
            client,
            context=list(tasks.values())[:1],
            conditional=bool(tasks),
            guardrail=guardrail_of(
                name, problems_of, spec.description, known=config.policy.model_dump()
            ),
        )
    recovery, report = tasks["recovery_assessment"], tasks["incident_report"]
    assert isinstance(recovery, ConditionalTask)
    assert isinstance(report, ConditionalTask)
    choice = choose_models(config, environment, OWNER.settings(config))[0]
    return WarmGuardian(
        QuietCrew.of("guardian", [agent], list(tasks.values())),
        tasks["guardian_assessment"],
        recovery,
        report,
        choice.label,
        choice.is_rules,
    )
