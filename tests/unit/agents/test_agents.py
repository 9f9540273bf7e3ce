"""The agents, their prompts, their tools and the model behind them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from memory_client import MemoryTradingClient
from pydantic import BaseModel, ValidationError

from agents import (
    context_analyzer,
    market_guardian,
    market_scanner,
    risk_assessor,
    safety_desk,
    strategy_executor,
)
from agents.config import AgentsConfig, LlmConfig, LlmProvider, RulePolicyConfig
from agents.llm import create_llm
from agents.llm_choice import choose_llm
from agents.outputs import OUTPUTS, ExecutionDecision, RiskEvaluation
from agents.prompts import AgentPrompts, load_packaged_yaml, load_prompts
from agents.rule_llm import RULES, RuleLLM
from crews.desk.tasks import load_tasks as load_desk_tasks
from crews.guardian.tasks import load_tasks as load_guardian_tasks
from crews.post_trade.crew import load_tasks as load_post_trade_tasks
from crews.spike_trading.tasks import OWNERS, build_crew, load_tasks
from crews.task_specs import TaskSpec, build_task
from tools.registry import TOOL_NAMES, TOOL_TYPES
from trading.errors import ConfigurationError, CrewError

SPECS = (
    market_guardian.SPEC,
    market_scanner.SPEC,
    context_analyzer.SPEC,
    risk_assessor.SPEC,
    strategy_executor.SPEC,
)
DESK_SPECS = tuple(safety_desk.SPECS.values())


def test_the_agents_are_who_they_should_be() -> None:
    prompts = load_prompts()
    assert prompts.market_guardian.role == "Market Crash Protection Specialist"
    assert prompts.market_scanner.role == "Binance Market Surveillance Specialist"
    assert {spec.name for spec in (*SPECS, *DESK_SPECS)} == set(AgentPrompts.model_fields)


def test_only_the_executor_may_increase_risk_and_only_the_guardian_touches_the_breaker() -> None:
    classes = {kind.model_fields["name"].default: kind.tool_class for kind in TOOL_TYPES}
    for spec in SPECS:
        assert spec.tools <= set(TOOL_NAMES)
        used = {classes[name].value for name in spec.tools}
        assert ("increase_risk" in used) is (spec is strategy_executor.SPEC)
        assert ("control" in used) is (spec is market_guardian.SPEC)


def test_agents_have_no_delegation_memory_cache_or_repeats() -> None:
    for spec in (*SPECS, *DESK_SPECS):
        agent = spec.create(AgentsConfig(), {})
        assert agent.allow_delegation is False
        assert agent.cache is False
        assert agent.max_retry_limit == 0
        assert agent.memory is None
        assert agent.verbose is False


def test_every_task_has_a_rule_an_output_and_permitted_tools() -> None:
    tasks = {
        **load_tasks().model_dump(),
        **load_guardian_tasks().model_dump(),
        **load_post_trade_tasks().model_dump(),
        **load_desk_tasks().model_dump(),
    }
    assert set(tasks) == set(RULES) == set(OUTPUTS)
    for name, owner in OWNERS.items():
        assert set(tasks[name]["tools"]) <= owner.tools
    assert set(tasks["guardian_assessment"]["tools"]) <= market_guardian.SPEC.tools


def test_a_task_cannot_hand_an_agent_a_tool_that_is_not_its_own() -> None:
    spec = TaskSpec(
        description="A task with a tool that its agent must not have.",
        expected_output="One JSON object.",
        tools=("place_entry_order",),
    )
    owner = context_analyzer.SPEC
    agent = owner.create(AgentsConfig(), {})
    with pytest.raises(ConfigurationError, match="context_analyzer may not use place_entry_order"):
        build_task("context_analysis", spec, owner, agent, MemoryTradingClient())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("market_guardian: {role: x}", "market_scanner: Field required"),
        ("[1, 2]", "valid dictionary"),
        ("a: b: c", "not YAML"),
        ("", "valid dictionary"),
    ],
)
def test_a_broken_prompt_file_stops_the_start(
    text: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "promptpack").mkdir()
    (tmp_path / "promptpack" / "__init__.py").write_text("")
    (tmp_path / "promptpack" / "prompts.yaml").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "promptpack", raising=False)
    with pytest.raises(ConfigurationError, match=problem):
        load_packaged_yaml("promptpack", "prompts.yaml", AgentPrompts)
    with pytest.raises(ConfigurationError, match="missing"):
        load_packaged_yaml("promptpack", "other.yaml", AgentPrompts)


@pytest.mark.parametrize(
    ("settings", "environment", "provider"),
    [
        ({}, {}, LlmProvider.RULE),
        ({}, {"OPENAI_API_KEY": " "}, LlmProvider.RULE),
        ({}, {"OPENAI_API_KEY": "sk-1"}, LlmProvider.OPENAI_COMPATIBLE),
        ({"provider": "rule"}, {"OPENAI_API_KEY": "sk-1"}, LlmProvider.RULE),
        ({"provider": "openai"}, {"OPENAI_API_KEY": "sk-1"}, LlmProvider.OPENAI),
        (
            {"provider": "openai_compatible", "base_url": "http://127.0.0.1:1/v1"},
            {},
            LlmProvider.OPENAI_COMPATIBLE,
        ),
    ],
)
def test_the_provider_follows_from_settings_and_environment(
    settings: dict[str, Any], environment: Mapping[str, str], provider: LlmProvider
) -> None:
    choice = choose_llm(LlmConfig.model_validate(settings), environment)
    assert choice.provider is provider
    assert "sk-1" not in repr(choice)


def test_a_model_that_cannot_be_reached_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        choose_llm(LlmConfig(provider=LlmProvider.OPENAI), {})
    with pytest.raises(ConfigurationError, match="base_url"):
        choose_llm(LlmConfig(provider=LlmProvider.OPENAI_COMPATIBLE), {"OPENAI_API_KEY": "x"})


def test_without_a_key_the_rules_answer() -> None:
    assert isinstance(create_llm(AgentsConfig(), {}), RuleLLM)


def test_the_rules_refuse_a_task_they_do_not_know() -> None:
    with pytest.raises(CrewError, match="know no task"):
        RuleLLM(RulePolicyConfig()).call([{"role": "user", "content": "hello"}])


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0])
def test_outputs_refuse_numbers_that_are_none(number: float) -> None:
    with pytest.raises(ValidationError):
        RiskEvaluation(
            symbol="SOLUSDT",
            approved=True,
            notional=number,
            stop_loss_pct=1,
            take_profit_pct=2,
            confidence=0.5,
            reasoning="x",
        )


def test_abstaining_is_a_value_of_the_type() -> None:
    decision = ExecutionDecision(
        symbol="SOLUSDT", action="abstain", confidence=0.5, reasoning="not convinced"
    )
    assert decision.decision == "abstain"
    assert decision.client_order_id is None


def test_outputs_refuse_unknown_fields() -> None:
    kind: type[BaseModel]
    for kind in OUTPUTS.values():
        assert kind.model_config["extra"] == "forbid"


def test_with_all_agents_off_there_is_no_crew() -> None:
    off = {name: {"enabled": False} for name in AgentPrompts.model_fields}
    assert build_crew(MemoryTradingClient(), AgentsConfig.model_validate(off), {}) is None


def test_crewai_writes_nothing_into_the_home_and_opens_no_connection(tmp_path: Path) -> None:
    """One spike run and one assessment in a process of its own, with sockets forbidden."""
    script = """
import socket, sys
def refuse(*arguments, **options):
    raise AssertionError(f"a connection: {arguments}")
socket.socket.connect = refuse
socket.create_connection = refuse
socket.getaddrinfo = refuse
sys.path.insert(0, sys.argv[1])
from memory_client import MemoryTradingClient, make_claim
from agents.config import AgentsConfig
from crews.crew_config import GuardianCrewConfig, SpikeCrewConfig
from crews.guardian.crew import GuardianCrew
from crews.spike_trading.crew import SpikeTradingCrew
client = MemoryTradingClient()
crew = SpikeTradingCrew(client, AgentsConfig(), SpikeCrewConfig(), environment={})
report = crew.run(make_claim())
assert report.status.value == "traded", report
GuardianCrew(client, AgentsConfig(), GuardianCrewConfig(), environment={}).assess("regular")
print("done")
"""
    support = Path(__file__).resolve().parents[2] / "support"
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CREWAI_")}
    result = subprocess.run(
        [sys.executable, "-c", script, str(support)],
        env={**kept, "HOME": str(home), "XDG_DATA_HOME": str(home / "data")},
        cwd=work,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.strip() == "done"
    assert list(home.rglob("*")) == []
    assert list(work.rglob("*")) == []
