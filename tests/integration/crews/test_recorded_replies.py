"""Model traffic on file: a run repeated without its model, prompts compared on the same spikes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from memory_client import SYMBOL, MemoryTradingClient, make_claim, make_spike
from openai_server import OpenAiServer, rules_brain, task_of

from agents.config import AgentsConfig, LlmConfig, LlmProvider
from agents.llm import create_llm
from agents.model_config import RecordingConfig, RecordingMode
from crews.crew_config import GuardianCrewConfig, SpikeCrewConfig
from crews.evaluation.crew import evaluate_recordings
from crews.guardian.crew import GuardianCrew
from crews.replay.trace import Trace, decision_content
from crews.spike_trading.crew import SpikeTradingCrew
from trading.errors import ConfigurationError
from trading.model.decision import SpikeRunReport, SpikeRunStatus


def crew_on(
    client: MemoryTradingClient, file: Path, mode: RecordingMode, url: str | None = None
) -> SpikeTradingCrew:
    recording = RecordingConfig(mode=mode, file=str(file))
    llm = {"provider": LlmProvider.OPENAI_COMPATIBLE, "base_url": url, "recording": recording}
    agents = AgentsConfig(llm=LlmConfig.model_validate(llm))
    return SpikeTradingCrew(client, agents, SpikeCrewConfig(), environment={})


def recorded(file: Path, brain: Any = rules_brain) -> tuple[MemoryTradingClient, SpikeRunReport]:
    client = MemoryTradingClient()
    with OpenAiServer(brain=brain) as server:
        report = crew_on(client, file, RecordingMode.RECORD, server.url).run(make_claim())
    return client, report


def essence(client: MemoryTradingClient) -> list[Any]:
    return [
        (d.decision_type, d.decision, d.reasoning, d.output_data.get("rejected_because"))
        for d in sorted(client.decisions, key=lambda d: d.decision_type)
    ]


def test_a_recorded_run_is_repeated_to_the_word_without_a_model(tmp_path: Path) -> None:
    file = tmp_path / "model.jsonl"
    first, report = recorded(file)
    assert report.status is SpikeRunStatus.TRADED
    for _ in range(2):
        again = MemoryTradingClient()
        repeated = crew_on(again, file, RecordingMode.REPLAY).run(make_claim())
        assert (repeated.status, repeated.reason) == (report.status, report.reason)
        assert essence(again) == essence(first)
        assert [p.model_dump() for p in again.proposals] == [
            p.model_dump() for p in first.proposals
        ]
        assert again.model_calls == []  # nothing was spent
        assert {d.decided_by for d in again.decisions} == {"recorded replies of gpt-4o-mini"}


def trace_of(client: MemoryTradingClient) -> str:
    """The hash of what the agents of a run said and did, as a replay takes it down."""
    trace = Trace()
    with trace.crew_run():
        for execution in client.executions:
            content = execution.model_dump(mode="json", exclude={"execution_time_ms"})
            trace.add_of_agent(0, "tool", execution.agent_name or "", content)
        for decision in client.decisions:
            content = decision_content(decision)
            trace.add_of_agent(0, "decision", decision.agent_name, content)
    return trace.sha256


def asking_for_much(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """As the rules, after three tools in one reply of the context analyzer."""
    if task_of(messages) != "context_analysis" or messages[-1]["role"] == "tool":
        return rules_brain(messages)
    names = ("summarize_technicals", "get_news_sentiment", "get_social_sentiment")
    arguments = json.dumps({"symbol": SYMBOL})
    calls = [
        {"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, name in enumerate(names)
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def test_a_recording_and_its_repetitions_leave_the_same_trace(tmp_path: Path) -> None:
    file = tmp_path / "model.jsonl"

    def slow(name: str) -> None:
        if name == "bars":  # of the first tool asked for
            time.sleep(0.05)

    first = MemoryTradingClient()
    with OpenAiServer(brain=asking_for_much) as server:
        crew = crew_on(first, file, RecordingMode.RECORD, server.url)
        first.on_call = slow
        assert crew.run(make_claim()).status is SpikeRunStatus.TRADED
    assert {d.decided_by for d in first.decisions} == {"model gpt-4o-mini"}
    traces = set()
    for pause in (None, slow):
        again = MemoryTradingClient()
        again.on_call = pause
        crew_on(again, file, RecordingMode.REPLAY).run(make_claim())
        traces.add(trace_of(again))
    assert traces == {trace_of(first)}


def test_a_question_that_was_never_asked_has_no_answer(tmp_path: Path) -> None:
    file = tmp_path / "model.jsonl"
    recorded(file)
    client = MemoryTradingClient()
    client.returns[SYMBOL] = 4.1  # another market
    client.last_price = 104.2
    report = crew_on(client, file, RecordingMode.REPLAY).run(make_claim())
    assert report.status is SpikeRunStatus.FAILED
    assert "the recording has no reply" in report.reason
    assert client.proposals == []


def test_a_recording_holds_no_key(tmp_path: Path) -> None:
    file = tmp_path / "model.jsonl"
    recorded(file)
    assert "Bearer" not in file.read_text()
    kinds = [json.loads(line)["kind"] for line in file.read_text().splitlines()]
    assert kinds == ["reply"] * 8 + ["run"]


@pytest.mark.parametrize("content", ["", "no json", '{"kind": "reply"}\n', "[1]\n"])
def test_a_file_that_is_no_recording_stops_the_start(tmp_path: Path, content: str) -> None:
    file = tmp_path / "model.jsonl"
    file.write_text(content)
    recording = RecordingConfig(mode=RecordingMode.REPLAY, file=str(file))
    with pytest.raises(ConfigurationError, match=str(file)):
        create_llm(AgentsConfig(llm=LlmConfig(recording=recording)), {})


def test_a_crews_figures_hold_no_call_of_another_crew(tmp_path: Path) -> None:
    file = tmp_path / "model.jsonl"
    with OpenAiServer(brain=rules_brain) as server:
        crew = crew_on(MemoryTradingClient(), file, RecordingMode.RECORD, server.url)
        crew.run(make_claim())
        alone = evaluate_recordings([file])["recordings"][0]
        recording = RecordingConfig(mode=RecordingMode.RECORD, file=str(file))
        llm = {
            "provider": LlmProvider.OPENAI_COMPATIBLE,
            "base_url": server.url,
            "model": "guard",
            "recording": recording,
        }
        agents = AgentsConfig(llm=LlmConfig.model_validate(llm))
        guardian = GuardianCrew(MemoryTradingClient(), agents, GuardianCrewConfig(), environment={})
        guardian.assess("regular")
    found = evaluate_recordings([file])["recordings"][0]
    by_crew, guarded = found.pop("by_crew"), alone.pop("by_crew")
    assert found == alone
    assert by_crew.pop("guardian")["agents"].keys() == {"market_guardian"}
    assert by_crew == guarded
    agents_of_spikes = by_crew["spike_trading"].pop("agents")
    assert sum(own["model_calls"] for own in agents_of_spikes.values()) == 8
    assert by_crew["spike_trading"]["tokens"] == found["tokens_per_run"]


def test_two_recordings_are_compared_on_the_spikes_they_share(tmp_path: Path) -> None:
    def doubtful(messages: list[dict[str, Any]]) -> dict[str, Any]:
        answer = rules_brain(messages)
        if task_of(messages) == "context_analysis":
            unsure = {"classification": "unclear", "favourable": False}
            answer["content"] = json.dumps({**json.loads(answer["content"]), **unsure})
        return answer

    eager, careful = tmp_path / "eager.jsonl", tmp_path / "careful.jsonl"
    recorded(eager)
    recorded(careful, doubtful)
    found = evaluate_recordings([eager, careful])
    assert [figures["traded"] for figures in found["recordings"]] == [1, 0]
    assert found["recordings"][0]["tokens_per_run"] == 8 * 15
    (other,) = found["against_the_first"]
    assert other["shared_spikes"] == 1
    assert other["same_decisions"] == 0
    (differing,) = other["differing"]
    assert differing["spike"] == make_spike().id
    assert differing["status"] == ["traded", "skipped"]
    assert differing["decisions"]["context_analysis"] == [
        "momentum, favourable",
        "unclear, not favourable",
    ]
    assert differing["decisions"]["execution"] == ["enter", None]
