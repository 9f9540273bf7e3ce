"""CrewAI's own executor steps, without its event loops and threads in between."""

from __future__ import annotations

import json
from typing import Any

import pytest
from memory_client import MemoryTradingClient, make_claim

from agents.config import AgentsConfig
from agents.direct_executor import LAST_OUTCOMES, NEXT_STEP, DirectExecutor
from crews.crew_config import SpikeCrewConfig
from crews.spike_trading.crew import SpikeTradingCrew
from tools.framework import Agent, AgentExecutor, BaseLLM, Crew, Task, crewai_event_bus
from tools.registry import tools_named
from trading.errors import CrewError
from trading.model.decision import SpikeRunStatus

# Of a plan, which our agents do not make.
NEVER = {"todo_satisfied"}


class Scripted(BaseLLM):
    """Answers with one prepared reply after the other."""

    replies: list[Any]

    def call(self, *_: Any, **__: Any) -> Any:
        return self.replies.pop(0)

    def supports_function_calling(self) -> bool:
        return True


def tool_call(name: str, number: int, **arguments: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"id": f"call_{number}", "type": "function", "function": function}


def crew_of(client: MemoryTradingClient, replies: list[Any], **options: Any) -> Crew:
    agent = Agent(
        role="tester",
        goal="Test.",
        backstory="A tester.",
        llm=Scripted(model="scripted", replies=replies),
        executor_class=DirectExecutor,
        max_retry_limit=0,
        **options,
    )
    tools = tools_named(client, ("get_market_prices", "get_portfolio"), "tester")
    task = Task(description="Test it.", expected_output="ok", agent=agent, tools=tools)
    return Crew(agents=[agent], tasks=[task], verbose=False)


def test_the_order_of_steps_is_the_one_that_crewai_declares() -> None:
    methods = AgentExecutor.flow_definition().methods
    steps = set(NEXT_STEP.values())
    for outcome, step in NEXT_STEP.items():
        listened = methods[step].listen
        heard = set(listened["or"] if isinstance(listened, dict) else [listened])
        givers = {name for name in steps if outcome in (methods[name].emit or ())}
        # CrewAI lets a step follow an outcome, or the step that gives it.
        assert outcome in heard or givers & heard, f"{outcome} does not lead to {step} in CrewAI"
    given = {outcome for step in steps for outcome in methods[step].emit or ()}
    assert given <= set(NEXT_STEP) | LAST_OUTCOMES | NEVER
    assert set(methods["finalize"].listen["or"]) >= LAST_OUTCOMES


def test_tool_calls_of_one_reply_are_made_in_the_order_of_the_reply() -> None:
    client = MemoryTradingClient()
    calls = [tool_call("get_market_prices", 1), tool_call("get_portfolio", 2)]
    result = crew_of(client, [calls, "done"]).kickoff()
    assert result.raw == "done"
    finished = [execution.tool_name for execution in client.executions]
    assert finished == ["get_market_prices", "get_portfolio"]


def test_crewai_itself_would_make_them_at_once() -> None:
    def at_once(kind: type[AgentExecutor]) -> bool:
        executor = kind()
        executor.original_tools = tools_named(
            MemoryTradingClient(), ("get_market_prices", "get_portfolio"), "tester"
        )
        calls = [tool_call("get_market_prices", 1), tool_call("get_portfolio", 2)]
        return executor._should_parallelize_native_tool_calls(calls)

    assert at_once(AgentExecutor)
    assert not at_once(DirectExecutor)


def test_an_agent_that_never_stops_asking_for_tools_is_made_to_answer() -> None:
    client = MemoryTradingClient()
    asked = [[tool_call("get_portfolio", number)] for number in range(3)]
    result = crew_of(client, [*asked, "the end"], max_iter=3).kickoff()
    assert result.raw == "the end"
    assert len(client.executions) == 3


def test_nothing_of_a_task_is_seen_in_the_next_one() -> None:
    client = MemoryTradingClient()
    crew = crew_of(client, [[tool_call("get_portfolio", 1)], "first", "second"])
    assert crew.kickoff().raw == "first"
    assert crew.kickoff().raw == "second"
    messages = str(crew.tasks[0].output.messages)
    assert "second" in messages
    assert "first" not in messages
    assert "get_portfolio" not in messages.partition("Test it.")[2]


def test_an_outcome_that_crewai_did_not_have_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.direct_executor._STEPS", {"planning_disabled": lambda _: "new"})
    with pytest.raises(CrewError, match="'new'"):
        DirectExecutor().kickoff()


def test_nobody_of_crewai_listens_to_a_crew() -> None:
    crew_of(MemoryTradingClient(), ["done"]).kickoff()
    listening = crewai_event_bus._sync_handlers.values()
    assert not [
        handler
        for handlers in listening
        for handler in handlers
        if handler.__module__.startswith("crewai.events.")
    ]


def test_a_second_run_sets_up_nothing_that_the_first_one_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_up: list[str] = []

    def counted(kind: type, name: str) -> None:
        original = getattr(kind, name)

        def counting(*arguments: Any, **options: Any) -> Any:
            set_up.append(name)
            return original(*arguments, **options)

        monkeypatch.setattr(kind, name, counting)

    counted(Agent, "create_agent_executor")
    counted(AgentExecutor, "_setup_native_tools")
    client = MemoryTradingClient()
    crew = SpikeTradingCrew(client, AgentsConfig(), SpikeCrewConfig(), environment={})
    assert crew.run(make_claim()).status is SpikeRunStatus.TRADED
    assert set(set_up) == {"create_agent_executor", "_setup_native_tools"}
    set_up.clear()
    assert crew.run(make_claim()).status is SpikeRunStatus.TRADED
    assert set_up == []
