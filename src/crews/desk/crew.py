"""The safety desk's crew: one agent, one subject, one note for people.

What an agent writes is stored and shown. It is never read back: not into a prompt, not into a
limit, not into the configuration; and the agents have no tool. When a model fails, is out of
budget, or claims what is not on record, the built-in rules write the note in its place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from agents.config import AgentsConfig
from agents.llm import crew_errors
from agents.model_config import LlmProvider, ModelConfig
from agents.outputs import Explanation
from agents.prompt_data import data_block
from crews.crew_config import DeskConfig
from crews.crew_run import CrewRun
from crews.decisions import build_decision, output_of, record_decision
from crews.desk.rule_meanings import MEANINGS
from crews.desk.tasks import DUTIES, Duty, WarmDesk, build_desk, prompt_set
from tools.framework import HookAborted
from tools.run_context import RunContext
from trading.api.client import RecordClient
from trading.errors import CrewError
from trading.model.desk import DeskKind, DeskNote, DeskSubject, NoteOutcome

_CREW = "desk"
Occasion = Literal["event", "request"]


class DeskCrew:
    """One at a time; ``explain`` blocks and must not run on a thread with an event loop."""

    def __init__(
        self,
        client: RecordClient,
        agents: AgentsConfig,
        config: DeskConfig,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._client = client
        self._agents = agents
        self._rules_only = _without_models(agents)
        self._config = config
        self._environment = os.environ if environment is None else environment
        self._prompts = prompt_set()
        self._warm: dict[tuple[DeskKind, bool], WarmDesk] = {}

    def explain(self, subject: DeskSubject, occasion: Occasion) -> DeskNote:
        """A note about ``subject``: by the agent's model where the agent is switched on, else, and
        where the model has nothing to show, by the built-in rules. It is not stored here.

        Raises:
            ControlApiError, StoreError: nobody takes the records.
            ConfigurationError: the agent cannot be built.
        """
        duty = DUTIES[subject.kind]
        problem = ""
        if duty.owner.settings(self._agents).enabled:
            warm = self._ready(subject.kind, rules=False)
            try:
                return self._note(subject, occasion, warm, self._write(subject, warm))
            except CrewError as failure:
                if warm.is_rules:
                    return self._failed(subject, occasion, warm, str(failure))
                problem = f"{warm.label}: {failure}"
        warm = self._ready(subject.kind, rules=True)
        try:
            return self._note(subject, occasion, warm, self._write(subject, warm), problem)
        except CrewError as failure:
            why = f"{problem}; {failure}" if problem else str(failure)
            return self._failed(subject, occasion, warm, why)

    def _ready(self, kind: DeskKind, *, rules: bool) -> WarmDesk:
        warm = self._warm.get((kind, rules))
        if warm is None:
            config = self._rules_only if rules else self._agents
            warm = self._warm[kind, rules] = build_desk(DUTIES[kind], config, self._environment)
        return warm

    def _write(self, subject: DeskSubject, warm: WarmDesk) -> Explanation:
        """Raises CrewError when there is no answer, or none that stands."""
        duty = DUTIES[subject.kind]
        run = CrewRun.of(
            self._client,
            RunContext(
                crew=_CREW,
                epoch=self._client.breaker_snapshot().epoch,
                deadline_ms=self._client.now_ms() + int(self._config.deadline_s * 1000),
            ),
            self._agents.llm.budgets,
            max_model_calls=self._config.max_model_calls,
            prompt_hashes=self._prompts.hashes,
            stops_on_trip=False,
        )
        facts = facts_of(subject)
        run.state.facts.update(facts)
        warm.task.output = None
        finished = False
        try:
            with crew_errors(_CREW), run.scope(), run.guard.hooks():
                warm.crew.kickoff(inputs={name: data_block(name, facts[name]) for name in facts})
            finished = run.state.is_reusable
        except HookAborted as stop:
            raise CrewError(stop.reason) from stop
        finally:
            if not finished:  # a stopped run may still be winding down in its own threads
                self._warm = {key: one for key, one in self._warm.items() if one is not warm}
            self._record(subject, duty, run, warm)
        if (failure := run.state.failure(duty.task)) is not None:
            raise CrewError(failure)
        output, problems = output_of(warm.task), run.state.problems(duty.task)
        if not isinstance(output, Explanation) or problems:
            raise CrewError(f"the answer is not accepted: {'; '.join(problems)}")
        return output

    def _record(self, subject: DeskSubject, duty: Duty, run: CrewRun, warm: WarmDesk) -> None:
        asked = {"kind": subject.kind.value, "id": subject.id, "key": subject.key}
        decision = build_decision(
            warm.task, duty.owner.name, run, self._prompts, label=warm.label, input_data=asked
        )
        record_decision(self._client, decision)

    def _note(
        self,
        subject: DeskSubject,
        occasion: Occasion,
        warm: WarmDesk,
        output: Explanation,
        problem: str = "",
    ) -> DeskNote:
        return DeskNote(
            **self._about(subject, occasion, warm),
            outcome=NoteOutcome.ABSTAINED if output.abstains else NoteOutcome.EXPLAINED,
            summary=output.summary,
            causes=tuple(output.causes),
            what_to_check=tuple(output.what_to_check),
            proposed_steps=tuple(output.proposed_steps),
            problem=problem,
        )

    def _failed(
        self, subject: DeskSubject, occasion: Occasion, warm: WarmDesk, problem: str
    ) -> DeskNote:
        return DeskNote(
            **self._about(subject, occasion, warm), outcome=NoteOutcome.FAILED, problem=problem
        )

    def _about(self, subject: DeskSubject, occasion: Occasion, warm: WarmDesk) -> dict[str, Any]:
        duty = DUTIES[subject.kind]
        return {
            "kind": subject.kind,
            "subject_id": subject.id,
            "subject_key": subject.key,
            "subject_title": subject.title,
            "subject_at_ms": subject.at_ms,
            "occasion": occasion,
            "agent_name": duty.owner.name,
            "decided_by": warm.label,
            "prompt_version": self._prompts.version,
            "prompt_hash": self._prompts.hashes[duty.task],
        }


def facts_of(subject: DeskSubject) -> dict[str, Any]:
    """What goes into the prompt, by the names of its blocks."""
    facts = {"subject": {"id": subject.id, "title": subject.title}, **subject.facts}
    if subject.kind is DeskKind.REFUSAL:
        refusal = facts["refusal"]
        facts["refusal"] = {**refusal, "meaning": MEANINGS.get(refusal["rule"])}
    return facts


def _without_models(agents: AgentsConfig) -> AgentsConfig:
    """The same agents with the built-in rules behind the desk's."""
    rules = ModelConfig(provider=LlmProvider.RULE)
    owners = {duty.owner for duty in DUTIES.values()}
    return agents.model_copy(
        update={
            owner.name: owner.settings(agents).model_copy(update={"llm": rules}) for owner in owners
        }
    )
