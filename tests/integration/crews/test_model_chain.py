"""Models that fail, stream, cost money and run out of it: crews over real HTTP."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

import httpx
import pytest
from memory_client import MemoryTradingClient, make_claim
from openai_server import DroppedConnectionError, OpenAiServer, Refusal, rules_brain, task_of

from agents.config import AgentConfig, AgentsConfig, LlmConfig, LlmProvider, ModelConfig
from agents.llm import _health
from agents.model_config import BudgetConfig
from agents.models.provider import BoundedResponses
from agents.models.replies import ModelReply, WantedTool
from crews.crew_config import GuardianCrewConfig, SpikeCrewConfig
from crews.guardian.crew import GuardianCrew
from crews.spike_trading.crew import SpikeTradingCrew
from trading.errors import CoreTimeoutError
from trading.model.decision import SpikeRunReport, SpikeRunStatus
from trading.model.model_call import ModelUsage

ENVIRONMENT = {"OPENAI_API_KEY": "sk-test-key", "OTHER_KEY": "sk-other-key"}
COMPATIBLE = LlmProvider.OPENAI_COMPATIBLE


@pytest.fixture(autouse=True)
def healthy() -> None:
    """What one test learnt of a model is nothing to the next."""
    _health.cache_clear()


def agents_on(server: OpenAiServer, *others: OpenAiServer, **llm: Any) -> AgentsConfig:
    fallbacks = tuple(
        ModelConfig(
            provider=COMPATIBLE,
            model=f"fallback-{number}",
            base_url=other.url,
            api_key_env="OTHER_KEY",
            max_retries=0,
        )
        for number, other in enumerate(others)
    )
    first: dict[str, Any] = {"max_retries": 0, "fallbacks": fallbacks, **llm}
    return AgentsConfig(
        llm=LlmConfig(provider=COMPATIBLE, model="first", base_url=server.url, **first)
    )


def run(client: MemoryTradingClient, agents: AgentsConfig) -> SpikeRunReport:
    crew = SpikeTradingCrew(client, agents, SpikeCrewConfig(), environment=ENVIRONMENT)
    return crew.run(make_claim())


def failing(answer: Any) -> Any:
    def brain(messages: list[dict[str, Any]]) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return brain


def message(content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


def test_a_stream_of_pieces_drives_the_same_run_as_whole_answers() -> None:
    whole, streamed = MemoryTradingClient(), MemoryTradingClient()
    with OpenAiServer() as server:
        assert run(whole, agents_on(server)).status is SpikeRunStatus.TRADED
        assert run(streamed, agents_on(server, stream=True)).status is SpikeRunStatus.TRADED
        assert {body.get("stream") for body in server.requests} == {None, True}
    assert whole.proposals[0].notional == streamed.proposals[0].notional
    assert sum(call.input_tokens for call in streamed.model_calls) == 10 * 8


FAILURES = [
    Refusal(500),
    Refusal(429, headers=(("retry-after", "600"),)),
    Refusal(401, '{"error": {"message": "bad key sk-test-key"}}'),
    Refusal(404),
    Refusal(200, "this is no JSON"),
    Refusal(200, '{"choices": []}'),
    Refusal(200, '{"error": {"message": "upstream", "code": 502}}'),
    Refusal(200, "packed", headers=(("content-encoding", "gzip"),)),
    DroppedConnectionError(),
    message(""),
    message(None),
    message("x" * 1_000_000),
    {**message(None), "tool_calls": [{"id": "c", "type": "function", "function": {}}] * 500},
]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
def test_when_the_first_model_fails_the_next_one_answers_without_delay(failure: Any) -> None:
    client = MemoryTradingClient()
    with OpenAiServer(brain=failing(failure)) as broken, OpenAiServer() as good:
        started = time.monotonic()
        report = run(client, agents_on(broken, good))
        assert time.monotonic() - started < 45
        assert report.status is SpikeRunStatus.TRADED, report.reason
        # It was asked by each analyst at most, and passed over from then on.
        assert 1 <= len(broken.requests) <= 3
        assert good.keys == {"Bearer sk-other-key"}
    assert {d.decided_by for d in client.decisions} == {"model fallback-0"}
    failed = [call for call in client.model_calls if not call.ok]
    assert {call.model for call in failed} == {"first"}
    assert all(call.error and "sk-test-key" not in call.error for call in failed)


@pytest.mark.parametrize("failure", FAILURES[:8], ids=str)
def test_when_no_model_answers_there_is_no_trade_and_the_next_spike_gets_its_run(
    failure: Any,
) -> None:
    client = MemoryTradingClient()
    with OpenAiServer(brain=failing(failure)) as server:
        crew = SpikeTradingCrew(
            client, agents_on(server), SpikeCrewConfig(), environment=ENVIRONMENT
        )
        report = crew.run(make_claim())
        assert report.status is SpikeRunStatus.FAILED
        assert "no model answers" in report.reason
        assert "sk-test-key" not in report.model_dump_json()
        assert client.proposals == []
        assert {d.decision for d in client.decisions} == {"failed"}
        server.brain = rules_brain
        assert crew.run(make_claim()).status is SpikeRunStatus.TRADED


def test_an_answer_that_is_no_completion_is_told_with_the_address_and_the_setting() -> None:
    client = MemoryTradingClient()
    with OpenAiServer(brain=failing(Refusal(200, "<html>Welcome</html>"))) as server:
        run(client, agents_on(server))
        host = server.url.removeprefix("http://").removesuffix("/v1")
    told = client.model_calls[0].error
    assert told.startswith(f"model first at {host}: its answer is no chat completion")
    assert "agents.llm.base_url" in told


def test_a_packed_answer_is_not_asked_for_and_refused_before_it_is_unpacked() -> None:
    bounded = BoundedResponses(timeout_s=1.0)
    request = bounded.on_outbound(httpx.Request("POST", "http://127.0.0.1/v1"))
    assert request.headers["accept-encoding"] == "identity"
    packed = httpx.ByteStream(gzip.compress(b"{}"))
    answer = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=packed)
    with pytest.raises(httpx.DecodingError, match="packed"):
        bounded.on_inbound(answer)


def test_a_passing_failure_is_asked_again_and_a_lasting_one_is_not() -> None:
    client, answers = MemoryTradingClient(), [Refusal(503), Refusal(503)]

    def brain(messages: list[dict[str, Any]]) -> Any:
        if task_of(messages) == "execution" and answers:
            return answers.pop()
        return rules_brain(messages)

    with OpenAiServer(brain=brain) as server:
        assert run(client, agents_on(server, max_retries=2)).status is SpikeRunStatus.TRADED
        assert len(server.requests) == 10
        server.requests.clear()
        server.brain = failing(Refusal(400))
        assert run(client, agents_on(server, max_retries=2)).status is SpikeRunStatus.FAILED
        assert len(server.requests) == 3  # the analysts, once each


def test_the_guardian_goes_on_by_its_rules_when_its_model_fails() -> None:
    client = MemoryTradingClient()
    client.market_share = 0.7
    with OpenAiServer(brain=failing(Refusal(500))) as server:
        crew = GuardianCrew(
            client, agents_on(server), GuardianCrewConfig(), environment=ENVIRONMENT
        )
        assert crew.assess("regular").action == "warn"
        assert client.changes() == ["warn"]
        assert "the rules assess in place of model first" in client.activity[0].text
        server.brain = rules_brain
        client.decisions.clear()
        crew.assess("regular")
    assert {d.decided_by for d in client.decisions} == {"model first"}


def test_every_call_is_stored_with_its_tokens_price_prompt_and_spike() -> None:
    client = MemoryTradingClient()
    with OpenAiServer() as server:
        llm = {"input_usd_per_million": 3.0, "output_usd_per_million": 15.0}
        report = run(client, agents_on(server, **llm))
    assert len(client.model_calls) == 8
    for call in client.model_calls:
        assert (call.input_tokens, call.output_tokens, call.estimated) == (10, 5, False)
        assert call.cost_micro_usd == 10 * 3 + 5 * 15
        assert call.spike_event_id == report.spike_id
        assert len(call.prompt_hash) == 16
    assert {(c.agent_name, c.task) for c in client.model_calls} == {
        (d.agent_name, d.decision_type) for d in client.decisions
    }
    for decision in client.decisions:
        calls = [c for c in client.model_calls if c.task == decision.decision_type]
        assert decision.model_calls == len(calls)
        assert decision.tokens == 15 * len(calls)
        assert decision.cost_micro_usd == 105 * len(calls)
        assert decision.prompt_hash == calls[0].prompt_hash
        assert decision.prompt_version


def test_an_endpoint_that_gives_no_usage_is_counted_by_its_characters() -> None:
    client = MemoryTradingClient()
    with OpenAiServer(usage=False) as server:
        run(client, agents_on(server, input_usd_per_million=1.0))
    assert all(call.estimated and call.input_tokens > 200 for call in client.model_calls)
    assert all(call.cost_micro_usd >= call.input_tokens for call in client.model_calls)


@pytest.mark.parametrize("count", [10**25, -5])
def test_a_usage_beyond_belief_is_counted_by_characters_too(count: int) -> None:
    client = MemoryTradingClient()
    usage = {"prompt_tokens": count, "completion_tokens": 7, "total_tokens": count + 7}
    with OpenAiServer(usage=usage) as server:
        run(client, agents_on(server))
    assert client.model_calls
    assert all(call.estimated for call in client.model_calls)
    assert all(200 < call.input_tokens < 1_000_000 for call in client.model_calls)


def test_a_key_that_a_server_repeats_gets_into_no_record() -> None:
    client = MemoryTradingClient()
    with OpenAiServer(failing(message("your key is sk-test-key"))) as server:
        run(client, agents_on(server))
    stored = "".join(decision.model_dump_json() for decision in client.decisions)
    assert "your key is ***" in stored
    assert "sk-test-key" not in stored


def test_a_key_in_the_name_of_a_tool_goes_too() -> None:
    tool = WantedTool(id="id-sk-test-key", name="buy_sk-test-key", arguments='{"a": "sk-test-key"}')
    assert "sk-test-key" not in ModelReply(tools=(tool,)).without("sk-test-key").model_dump_json()


@pytest.mark.parametrize(
    ("budget", "used"),
    [
        ({"max_tokens_per_run": 2_000}, {}),
        ({"max_usd_per_run": 0.001}, {}),
        ({}, {"hour_tokens": 3_000_000}),
        ({}, {"day_tokens": 20_000_000}),
        ({}, {"hour_micro_usd": 5_000_000}),
        ({}, {"day_micro_usd": 25_000_000}),
    ],
)
def test_a_used_up_budget_means_no_trade_and_the_rules_for_the_guardian(
    budget: dict[str, Any], used: dict[str, int]
) -> None:
    client = MemoryTradingClient()
    client.usage = ModelUsage(**used)
    with OpenAiServer() as server:
        prices = {"input_usd_per_million": 5.0, "output_usd_per_million": 5.0}
        agents = agents_on(server, budgets=BudgetConfig(**budget), **prices)
        report = run(client, agents)
        guardian = GuardianCrew(client, agents, GuardianCrewConfig(), environment=ENVIRONMENT)
        assert guardian.assess("regular").action == "none"
    assert report.status is SpikeRunStatus.FAILED
    assert "allowed" in report.reason
    assert client.proposals == []
    assert any("built-in rules" in d.decided_by for d in client.decisions)


def test_calls_that_cannot_be_counted_are_not_made() -> None:
    client = MemoryTradingClient()

    def lost(name: str) -> None:
        if name in ("model_usage", "record_model_call"):
            raise CoreTimeoutError("no answer")

    client.on_call = lost
    with OpenAiServer() as server:
        report = run(client, agents_on(server))
        assert server.requests == []
    assert report.status is SpikeRunStatus.FAILED


def test_an_agent_may_have_a_model_of_its_own() -> None:
    client = MemoryTradingClient()
    with OpenAiServer() as server, OpenAiServer() as own:
        model = ModelConfig(
            provider=COMPATIBLE, model="careful", base_url=own.url, api_key_env="OTHER_KEY"
        )
        agents = agents_on(server).model_copy(
            update={"risk_assessor": AgentConfig(llm=model, temperature=0.3, max_tokens=333)}
        )
        assert run(client, agents).status is SpikeRunStatus.TRADED
        assert set(own.tasks()) == {"risk_evaluation"}
        assert "risk_evaluation" not in server.tasks()
        assert {(b["model"], b["temperature"]) for b in own.requests} == {("careful", 0.3)}
    (risk,) = [d for d in client.decisions if d.agent_name == "risk_assessor"]
    assert risk.decided_by == "model careful"


def test_a_number_that_no_tool_answered_is_refused_once_with_the_reason() -> None:
    client, asked = MemoryTradingClient(), []

    def brain(messages: list[dict[str, Any]]) -> dict[str, Any]:
        answer = rules_brain(messages)
        if task_of(messages) == "context_analysis":
            asked.append(str(messages))
            content = json.loads(answer["content"])
            if len(asked) == 1:
                content["reasoning"] = "volume is 37.5 times the usual, DOGEUSDT rises too"
            answer["content"] = json.dumps(content)
        return answer

    with OpenAiServer(brain=brain) as server:
        report = run(client, agents_on(server))
    assert report.status is SpikeRunStatus.TRADED, report.reason
    assert len(asked) == 2
    assert "the number 37.5 is in no data" in asked[1]
    assert "volume is 37.5" not in asked[1]  # its own words are not read back to it
    (context,) = [d for d in client.decisions if d.decision_type == "context_analysis"]
    assert len(context.output_data["first_refused_because"]) == 2
    assert context.output_data["rejected_because"] == []


def test_an_agent_that_insists_on_an_invented_number_makes_the_run_abstain() -> None:
    client = MemoryTradingClient()

    def brain(messages: list[dict[str, Any]]) -> dict[str, Any]:
        answer = rules_brain(messages)
        if task_of(messages) == "risk_evaluation" and answer["content"]:
            content = {**json.loads(answer["content"]), "reasoning": "whales bought 8,125 SOL"}
            answer["content"] = json.dumps(content)
        return answer

    with OpenAiServer(brain=brain) as server:
        report = run(client, agents_on(server))
        assert "execution" not in server.tasks()
    assert report.status is SpikeRunStatus.SKIPPED
    assert "the number 8,125 is in no data" in report.reason
    assert client.proposals == []


def test_a_critical_market_ends_the_whole_run_at_once() -> None:
    client = MemoryTradingClient()

    def brain(messages: list[dict[str, Any]]) -> dict[str, Any]:
        answer = rules_brain(messages)
        if task_of(messages) == "stability_check":
            content = {**json.loads(answer["content"]), "stable": False, "critical": True}
            answer["content"] = json.dumps({**content, "concerns": ["everything falls"]})
        return answer

    with OpenAiServer(brain=brain) as server:
        report = run(client, agents_on(server))
        assert "risk_evaluation" not in server.tasks()
    assert report.status is SpikeRunStatus.ABORTED
    assert "the market is critical: everything falls" in report.reason
