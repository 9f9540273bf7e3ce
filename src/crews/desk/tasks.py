"""The safety desk's tasks: one for each kind of subject, each of an agent of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pydantic import BaseModel, ConfigDict

from agents.builder import AgentSpec
from agents.config import AgentsConfig
from agents.llm_choice import choose_models
from agents.outputs import AgentOutput, Explanation
from agents.prompts import load_versioned_yaml, prompts_version
from agents.run_state import current_state
from agents.safety_desk import SPECS
from crews.decisions import PromptSet
from crews.guardrails import guardrail_of
from crews.quiet_crew import QuietCrew
from crews.task_specs import TaskSpec, build_task, prompt_hash_of
from tools.framework import Task
from tools.registry import require_reading
from tools.run_context import RunContext
from trading.model.desk import DeskKind


class DeskTasks(BaseModel):
    """tasks.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    refusal_explanation: TaskSpec
    reconciliation_explanation: TaskSpec
    error_explanation: TaskSpec
    day_narrative: TaskSpec
    session_report: TaskSpec


@dataclass(frozen=True, slots=True)
class Duty:
    """Who explains a kind of subject, in which task."""

    task: str
    owner: AgentSpec


DUTIES = {
    DeskKind.REFUSAL: Duty("refusal_explanation", SPECS["risk_manager"]),
    DeskKind.RECONCILIATION: Duty("reconciliation_explanation", SPECS["reconciliation"]),
    DeskKind.ERRORS: Duty("error_explanation", SPECS["error_recovery"]),
    DeskKind.DAY: Duty("day_narrative", SPECS["compliance"]),
    DeskKind.SESSION: Duty("session_report", SPECS["simulation"]),
}


def load_tasks() -> DeskTasks:
    """Raises ConfigurationError."""
    return _load()[0]


def prompt_set() -> PromptSet:
    """Versions and hashes of all that is asked of the desk. Raises ConfigurationError."""
    specs, version = _load()
    hashes = {
        duty.task: prompt_hash_of(duty.task, getattr(specs, duty.task), duty.owner)
        for duty in DUTIES.values()
    }
    return PromptSet(f"{prompts_version()}.{version}", hashes)


@cache
def _load() -> tuple[DeskTasks, int]:
    return load_versioned_yaml("crews.desk", "tasks.yaml", DeskTasks)


@dataclass(frozen=True, slots=True)
class WarmDesk:
    """A crew of one, ready to run; ``label`` says who decides in it."""

    crew: QuietCrew
    task: Task
    label: str
    is_rules: bool


def build_desk(duty: Duty, config: AgentsConfig, environment: Mapping[str, str]) -> WarmDesk:
    """A crew for one kind of subject. It gets no client: there is nothing that it could do.

    Raises:
        ConfigurationError: the agent or its task names a tool that does more than read.
    """
    spec = getattr(load_tasks(), duty.task)
    require_reading({*duty.owner.tools, *spec.tools}, duty.owner.name)
    agent = duty.owner.create(config, environment)
    guardrail = guardrail_of(duty.task, _problems_of, spec.description, known={})
    task = build_task(duty.task, spec, duty.owner, agent, None, guardrail=guardrail)
    settings, name = duty.owner.settings(config), duty.owner.name
    choice = choose_models(config, environment, settings, name)[0]
    return WarmDesk(QuietCrew.of("desk", [agent], [task]), task, choice.label, choice.is_rules)


def _problems_of(output: AgentOutput, _run: RunContext) -> list[str]:
    state = current_state()
    subject = state.facts["subject"]["id"] if state else None
    if not isinstance(output, Explanation):
        return ["is no explanation"]
    if output.subject != subject:
        return [f"is about {output.subject[:40]!r}, asked was about {subject!r}"]
    return []
