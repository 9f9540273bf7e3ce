"""Model traffic on file: a run repeated without its model, prompts compared on the same spikes."""

from __future__ import annotations

import json
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
