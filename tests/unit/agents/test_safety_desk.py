"""The safety desk's agents: what they write, and that they have nothing to act with."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk_subjects import SUBJECTS
from pydantic import ValidationError

from agents.builder import AgentSpec
from agents.config import AgentsConfig, RulePolicyConfig
from agents.outputs import OUTPUTS, Explanation, RefusalExplanation
from agents.prompt_data import data_block
from agents.rule_llm import RULES
from agents.rules.view import PREFIX, TaskView
from crews.crew_config import DeskConfig
from crews.desk import tasks as desk_tasks
from crews.desk.crew import facts_of
from crews.desk.rule_meanings import MEANINGS
from crews.desk.tasks import DUTIES, build_desk, load_tasks
from tools.base import ToolClass
from tools.registry import TOOL_TYPES
from trading.errors import ConfigurationError
from trading.model.desk import DeskKind
from trading.model.operations import EXPLAINING_AGENTS
from trading.risk.entry_rules import ENTRY_RULES
from trading.risk.proposal_rules import PROPOSAL_RULES

SOURCES = Path(__file__).resolve().parents[3] / "src"
ACTING = [
    kind.model_fields["name"].default
    for kind in TOOL_TYPES
    if kind.tool_class is not ToolClass.READ
]
# Whatever may name the table or its repository: the schema, who writes it, and who shows it.
MAY_KNOW_NOTES = {
    "trading/storage/schema_v14.py",
    "trading/storage/desk_note_repository.py",
    "trading/storage/desk_queue.py",  # whether there is one, and when it was written
    "trading/node/records.py",
    "crews/desk/store_records.py",
    "crews/cli/notes.py",
    "crews/cli/compliance.py",
    "crews/report/content.py",
}


def with_tools(monkeypatch: pytest.MonkeyPatch, kind: DeskKind, *tools: str) -> None:
    """A mutant: a task of the desk that names ``tools``, and an agent that may have them."""
    duty = DUTIES[kind]
    owner = AgentSpec(name=duty.owner.name, tools=frozenset(tools))
    monkeypatch.setitem(DUTIES, kind, dataclasses.replace(duty, owner=owner))
    spec = getattr(load_tasks(), duty.task).model_copy(update={"tools": tools})
    tasks = load_tasks().model_copy(update={duty.task: spec})
    monkeypatch.setattr(desk_tasks, "load_tasks", lambda: tasks)


def test_every_kind_of_subject_has_an_agent_a_task_an_output_and_a_rule() -> None:
    assert set(DUTIES) == set(DeskKind)
    assert {duty.owner.name for duty in DUTIES.values()} == set(EXPLAINING_AGENTS)
    for duty in DUTIES.values():
        assert issubclass(OUTPUTS[duty.task], Explanation)
        assert duty.task in RULES


def test_no_agent_of_the_desk_is_on_unless_it_is_switched_on() -> None:
    assert not any(getattr(AgentsConfig(), name).enabled for name in EXPLAINING_AGENTS)


def test_the_desks_agents_and_tasks_have_no_tool() -> None:
    for duty in DUTIES.values():
        warm = build_desk(duty, AgentsConfig(), {})
        assert warm.task.tools == []
        assert warm.crew.agents[0].tools == []


@pytest.mark.parametrize("tool", ACTING)
def test_an_agent_of_the_desk_that_is_given_a_tool_that_acts_is_not_built(
    tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tools(monkeypatch, DeskKind.REFUSAL, tool)
    with pytest.raises(ConfigurationError, match=f"risk_manager may only read, and {tool} is"):
        build_desk(DUTIES[DeskKind.REFUSAL], AgentsConfig(), {})


def test_without_that_check_there_is_still_no_client_to_build_a_tool_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_tools(monkeypatch, DeskKind.DAY, "clear_circuit_breaker")
    monkeypatch.setattr(desk_tasks, "require_reading", lambda *_: None)
    with pytest.raises(ConfigurationError, match="clear_circuit_breaker need a client"):
        build_desk(DUTIES[DeskKind.DAY], AgentsConfig(), {})


def test_nothing_but_what_shows_notes_reads_them() -> None:
    def names_notes(path: Path) -> bool:
        text = path.read_text()
        return "desk_notes" in text or "DeskNoteRepository" in text

    found = {
        path.relative_to(SOURCES).as_posix() for path in SOURCES.rglob("*.py") if names_notes(path)
    }
    assert found == MAY_KNOW_NOTES


def test_every_rule_that_refuses_entries_has_a_meaning_in_words() -> None:
    names = {rule.name for rule in itertools.chain(PROPOSAL_RULES, ENTRY_RULES)}
    assert names <= set(MEANINGS)


def test_an_abstention_proposes_nothing() -> None:
    values = {"subject": "1", "summary": "x", "abstains": True, "confidence": 0.1, "reasoning": "x"}
    assert RefusalExplanation.model_validate(values).decision == "abstained"
    with pytest.raises(ValidationError, match="an abstention has no"):
        RefusalExplanation.model_validate({**values, "proposed_steps": ["buy"]})


def views() -> Iterator[tuple[DeskKind, TaskView]]:
    for subject in SUBJECTS:
        facts = facts_of(subject)
        blocks = "\n".join(data_block(name, value) for name, value in facts.items())
        yield subject.kind, TaskView.from_messages([{"role": "user", "content": blocks}])


@pytest.mark.parametrize(("kind", "view"), list(views()), ids=[s.kind for s in SUBJECTS])
def test_the_rules_explain_every_kind_and_say_that_they_are_rules(
    kind: DeskKind, view: TaskView
) -> None:
    written = RULES[DUTIES[kind].task](view, RulePolicyConfig())
    assert isinstance(written, Explanation)
    assert written.subject == view.data["subject"]["id"]
    assert not written.abstains
    assert written.reasoning.startswith(PREFIX)


def test_a_long_text_is_cut_between_words_so_that_no_number_is_halved() -> None:
    subject = next(one for one in SUBJECTS if one.kind is DeskKind.ERRORS)
    facts: dict[str, Any] = json.loads(json.dumps(facts_of(subject)))
    facts["patterns"][0]["last_message"] = "12345 " * 200
    view = TaskView(data=facts, colleagues={}, results={})
    written = RULES["error_explanation"](view, RulePolicyConfig())
    assert isinstance(written, Explanation)
    assert written.causes[0].endswith("12345 …")


def test_the_notes_of_an_hour_are_bounded() -> None:
    with pytest.raises(ValidationError):
        DeskConfig(max_notes_per_hour=0)
