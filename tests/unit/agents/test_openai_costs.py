"""What is saved of a call to OpenAI's interface changes nothing of what is sent."""

from __future__ import annotations

from typing import Any

import pytest
from crewai.llms.providers.openai import completion
from crewai.utilities.pydantic_schema_utils import sanitize_tool_params_for_openai_strict
from memory_client import MemoryTradingClient, make_claim
from openai._utils import maybe_transform
from openai.resources.chat.completions import completions
from openai_server import OpenAiServer

from agents.config import AgentsConfig, LlmConfig, LlmProvider
from agents.models.openai_costs import cut_costs
from crews.crew_config import SpikeCrewConfig
from crews.spike_trading.crew import SpikeTradingCrew
from tools.registry import all_tools
from trading.model.decision import SpikeRunStatus


@pytest.fixture
def library_alone(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts CrewAI's and the client's own functions back, once called."""
    cut_costs()

    def put_back() -> None:
        strict = sanitize_tool_params_for_openai_strict
        monkeypatch.setattr(completion, "sanitize_tool_params_for_openai_strict", strict)
        monkeypatch.setattr(completions, "maybe_transform", maybe_transform)

    return put_back


@pytest.mark.parametrize("stream", [False, True])
def test_a_whole_run_sends_the_same_requests_as_with_the_library_alone(
    library_alone: Any, stream: bool
) -> None:
    def requests() -> list[dict[str, Any]]:
        with OpenAiServer() as server:
            provider = LlmProvider.OPENAI_COMPATIBLE
            llm = LlmConfig(provider=provider, base_url=server.url, stream=stream)
            crew = SpikeTradingCrew(
                MemoryTradingClient(), AgentsConfig(llm=llm), SpikeCrewConfig(), environment={}
            )
            assert crew.run(make_claim()).status is SpikeRunStatus.TRADED
            return sorted(server.requests, key=str)

    ours = requests()
    library_alone()
    assert ours == requests()


def test_every_tool_has_the_strict_form_that_crewai_gives_it() -> None:
    cut_costs()
    for tool in all_tools(MemoryTradingClient()):
        schema = tool.args_schema.model_json_schema()
        for _ in range(2):
            worked_out = completion.sanitize_tool_params_for_openai_strict(schema)
            assert worked_out == sanitize_tool_params_for_openai_strict(schema)
