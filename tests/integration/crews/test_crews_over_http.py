"""The same crews with a model behind them: crewai.LLM over real HTTP to a local server."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from memory_client import MemoryTradingClient, make_claim, make_snapshot
from openai_server import OpenAiServer, rules_brain, task_of

from agents.config import AgentsConfig, LlmConfig, LlmProvider
from crews.crew_config import CrewsConfig, GuardianCrewConfig, SpikeCrewConfig
from crews.guardian.crew import GuardianCrew
from crews.spike_trading.crew import SpikeTradingCrew
from crews.worker_loops import GuardianLoop
from trading.model.decision import SpikeRunStatus

ENVIRONMENT = {"OPENAI_API_KEY": "sk-test-key"}
ANALYSTS = ("spike_detection", "stability_check", "context_analysis")


def agents_of(server: OpenAiServer, **llm: Any) -> AgentsConfig:
    return AgentsConfig(
        llm=LlmConfig(
            provider=LlmProvider.OPENAI_COMPATIBLE,
            model="local-model",
            base_url=server.url,
            max_retries=0,
            **llm,
        )
    )


def spike_crew(client: MemoryTradingClient, server: OpenAiServer, **llm: Any) -> SpikeTradingCrew:
    return SpikeTradingCrew(
        client, agents_of(server, **llm), SpikeCrewConfig(), environment=ENVIRONMENT
    )


def bend(task: str, **changes: Any) -> Any:
    """The rules' brain, except that the final answer of ``task`` is falsified."""

    def brain(messages: list[dict[str, Any]]) -> dict[str, Any]:
        message = rules_brain(messages)
        if task_of(messages) == task and message["content"]:
            message["content"] = json.dumps({**json.loads(message["content"]), **changes})
        return message

    return brain


def test_a_model_drives_the_five_tasks_through_native_tool_calls() -> None:
    client = MemoryTradingClient()
    with OpenAiServer() as server:
        report = spike_crew(client, server).run(make_claim())
    assert report.status is SpikeRunStatus.TRADED, report.reason
    assert len(client.proposals) == 1
    assert set(server.tasks()) == {
        "spike_detection",
        "stability_check",
        "context_analysis",
        "risk_evaluation",
        "execution",
    }
    assert server.keys == {"Bearer sk-test-key"}
    assert {body["model"] for body in server.requests} == {"local-model"}
    assert {d.output_data["decided_by"] for d in client.decisions} == {"model local-model"}


def test_the_analysts_work_side_by_side() -> None:
    client = MemoryTradingClient()
    with OpenAiServer() as server:
        crew = spike_crew(client, server)
        crew.run(make_claim())
        server.requests.clear()
        together = threading.Barrier(len(ANALYSTS))

        def brain(messages: list[dict[str, Any]]) -> dict[str, Any]:
            if task_of(messages) in ANALYSTS:
                together.wait(30)  # in a row the first would wait in vain
            return rules_brain(messages)

        server.brain = brain
        report = crew.run(make_claim())
    assert report.status is SpikeRunStatus.TRADED
    assert len(server.requests) == 8  # 3 analysts, 3 for risk, 2 for execution
    assert not together.broken


@pytest.mark.parametrize(
    ("task", "changes", "expected"),
    [
        ("spike_detection", {"magnitude_pct": 40.0}, "recorded is 4.2 %"),
        ("spike_detection", {"symbol": "DOGEUSDT"}, "claims DOGEUSDT"),
        ("stability_check", {"share_of_limit": 0.0}, "recorded is 0.1"),
        ("context_analysis", {"pump_and_dump_likelihood": 0.0}, "pump_and_dump_likelihood"),
        ("risk_evaluation", {"notional": 50_000.0}, "approved was"),
        ("risk_evaluation", {"stop_loss_pct": 45.0}, "approved was"),
        ("risk_evaluation", {"notional": float("nan")}, "finite number"),
        ("spike_detection", {"unknown_field": "x"}, "unknown_field"),
    ],
)
def test_a_claim_that_is_not_on_record_means_no_trade(
    task: str, changes: dict[str, Any], expected: str
) -> None:
    client = MemoryTradingClient()
    with OpenAiServer(brain=bend(task, **changes)) as server:
        report = spike_crew(client, server).run(make_claim())
    assert report.status is not SpikeRunStatus.TRADED
    assert expected in report.reason
    assert client.proposals == []


def test_a_model_cannot_call_an_unstable_market_stable() -> None:
    client = MemoryTradingClient()
    client.market_share = 1.3
    brain = bend("stability_check", stable=True, concerns=[])
    with OpenAiServer(brain=brain) as server:
        report = spike_crew(client, server).run(make_claim())
    assert report.status is SpikeRunStatus.SKIPPED
    assert "the recorded check does not" in report.reason
    assert client.proposals == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"symbol": "DOGEUSDT"},
        {"notional": "NaN"},
        {"notional": 10.0, "stop_loss_pct": 40.0},
        {"epoch": 99},
    ],
)
def test_malicious_order_arguments_are_refused_by_the_tool(arguments: dict[str, Any]) -> None:
    def brain(messages: list[dict[str, Any]]) -> dict[str, Any]:
        message = rules_brain(messages)
        for call in message.get("tool_calls") or ():
            if call["function"]["name"] == "place_entry_order":
                asked = json.loads(call["function"]["arguments"])
                call["function"]["arguments"] = json.dumps({**asked, **arguments})
        return message

    client = MemoryTradingClient()
    with OpenAiServer(brain=brain) as server:
        report = spike_crew(client, server).run(make_claim())
    assert report.status is SpikeRunStatus.SKIPPED
    assert client.proposals == []


def test_an_entry_that_was_only_claimed_is_not_reported_as_traded() -> None:
    def brain(messages: list[dict[str, Any]]) -> dict[str, Any]:
        if task_of(messages) != "execution":
            return rules_brain(messages)
        claim = {
            "task": "execution",
            "symbol": "SOLUSDT",
            "action": "enter",
            "client_order_id": "sg-invented",
            "confidence": 1.0,
            "reasoning": "done",
        }
        return {"role": "assistant", "content": json.dumps(claim)}

    client = MemoryTradingClient()
    with OpenAiServer(brain=brain) as server:
        report = spike_crew(client, server).run(make_claim())
    assert report.status is SpikeRunStatus.SKIPPED
    assert "no tool confirmed" in report.reason
    (decision,) = [d for d in client.decisions if d.decision_type == "execution"]
    assert decision.output_data["rejected_because"]


def test_a_trip_stops_a_crew_that_waits_for_its_model() -> None:
    client = MemoryTradingClient()

    def brain(messages: list[dict[str, Any]]) -> dict[str, Any]:
        if task_of(messages) == "risk_evaluation":
            client.snapshot = make_snapshot("TRIGGERED", 1, reason="crash")
        return rules_brain(messages)

    with OpenAiServer(brain=brain) as server:
        report = spike_crew(client, server).run(make_claim())
        asked = server.tasks()
    assert report.status is SpikeRunStatus.ABORTED
    assert asked.count("risk_evaluation") == 1  # the call in flight, and none after it
    assert "execution" not in asked
    assert client.proposals == []


def test_a_silent_model_fails_the_run_and_not_the_worker() -> None:
    client = MemoryTradingClient()
    with OpenAiServer(delay_s=1.5) as server:
        report = spike_crew(client, server, timeout_s=0.2).run(make_claim())
    assert report.status is SpikeRunStatus.FAILED
    assert client.proposals == []


def test_no_setting_of_ours_reaches_the_model_but_the_prompt() -> None:
    client = MemoryTradingClient()
    with OpenAiServer() as server:
        spike_crew(client, server).run(make_claim())
    assert "sk-test-key" not in json.dumps(server.requests)


def test_a_guardian_model_may_trip_for_what_the_numbers_do_not_show() -> None:
    def brain(messages: list[dict[str, Any]]) -> dict[str, Any]:
        used = [m for m in messages if m["role"] == "tool"]
        if task_of(messages) != "guardian_assessment" or not used:
            return rules_brain(messages)
        if len(used) == 1:
            function = {
                "name": "trigger_circuit_breaker",
                "arguments": json.dumps({"reason": "withdrawals halted at a large exchange"}),
            }
            call = {"id": "call_trip", "type": "function", "function": function}
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        answer = {
            "task": "guardian_assessment",
            "action": "trip",
            "risk_level": "high",
            "share_of_limit": 0.1,
            "concerns": ["withdrawals halted"],
            "confidence": 0.8,
            "reasoning": "not in the numbers yet",
        }
        return {"role": "assistant", "content": json.dumps(answer)}

    client = MemoryTradingClient()
    with OpenAiServer(brain=brain) as server:
        crew = GuardianCrew(
            client, agents_of(server), GuardianCrewConfig(), environment=ENVIRONMENT
        )
        assert crew.assess("regular").action == "trip"
    assert client.changes() == ["trip"]


def test_a_guardian_model_that_only_claims_to_have_tripped_is_not_believed() -> None:
    client = MemoryTradingClient()
    with OpenAiServer(brain=bend("guardian_assessment", action="trip")) as server:
        crew = GuardianCrew(
            client, agents_of(server), GuardianCrewConfig(), environment=ENVIRONMENT
        )
        assert crew.assess("regular").action == "none"  # of the rules, in its place
    assert client.changes() == []
    (model, rules) = client.decisions
    assert "not on record" in model.output_data["rejected_because"][0]
    assert rules.decided_by == "built-in rules (no model)"


def test_a_guardian_that_cannot_assess_says_so_where_people_look() -> None:
    client, stop = MemoryTradingClient(), threading.Event()

    def age(name: str) -> None:
        if name == "record_tool_execution":
            client.time_ms += 31_000

    client.on_call = age
    loop = GuardianLoop(
        "guardian-worker",
        client,
        AgentsConfig(),
        CrewsConfig(),
        market_symbol="BTCUSDT",
        environment={},
        stop=stop,
    )
    loop.warm_up()
    running = threading.Thread(target=loop.run)
    running.start()
    deadline = time.monotonic() + 60
    while not client.activity and time.monotonic() < deadline:
        time.sleep(0.02)
    stop.set()
    running.join(60)
    assert [(entry.source, entry.level) for entry in client.activity] == [("guardian", "warning")]
    assert client.activity[0].text.startswith("no assessment: ")
