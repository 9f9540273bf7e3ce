"""An agent that fails, hangs or is switched off costs what the settings say, and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from memory_client import MemoryTradingClient, make_claim, make_spike
from openai_server import OpenAiServer, Refusal, rules_brain, task_of
from pydantic import ValidationError

from agents.config import (
    AgentConfig,
    AgentsConfig,
    FailurePolicy,
    LlmConfig,
    LlmProvider,
    ModelConfig,
)
from crews.crew_config import CrewsConfig, GuardianCrewConfig, SpikeCrewConfig
from crews.guardian.crew import GuardianCrew
from crews.spike_scheduler import SpikeScheduler
from crews.spike_trading.crew import SpikeTradingCrew
from crews.worker_loops import GuardianLoop
from trading.api.schemas import SpikeClaim
from trading.model.decision import SpikeRunReport, SpikeRunStatus

TASK_OF = {
    "market_scanner": "spike_detection",
    "market_guardian": "stability_check",
    "context_analyzer": "context_analysis",
    "risk_assessor": "risk_evaluation",
    "strategy_executor": "execution",
}
MAY_BE_LEFT_OUT = ("market_scanner", "context_analyzer")


def run_with(
    client: MemoryTradingClient, server: OpenAiServer, name: str, **settings: Any
) -> tuple[SpikeRunReport, list[Any]]:
    """What came of a run, and its decisions; the same crew then runs on a model without faults."""
    llm = LlmConfig(
        provider=LlmProvider.OPENAI_COMPATIBLE,
        base_url=server.url,
        max_retries=0,
        rest_after_failure_s=0,
    )
    agents = AgentsConfig.model_validate({"llm": llm, name: AgentConfig(**settings)})
    crew = SpikeTradingCrew(client, agents, SpikeCrewConfig(), environment={})
    report, decisions = crew.run(make_claim()), list(client.decisions)
    server.brain = rules_brain
    assert crew.run(make_claim()).status is not SpikeRunStatus.ABORTED  # the crew lives on
    return report, decisions


def failing(name: str) -> Callable[[list[dict[str, Any]]], Any]:
    return lambda m: Refusal(400) if task_of(m) == TASK_OF[name] else rules_brain(m)


def hanging(name: str) -> Callable[[list[dict[str, Any]]], Any]:
    def brain(messages: list[dict[str, Any]]) -> Any:
        if task_of(messages) == TASK_OF[name]:
            time.sleep(2.5)
        return rules_brain(messages)

    return brain


@pytest.mark.parametrize("how", [failing, hanging], ids=["fails", "hangs"])
@pytest.mark.parametrize("name", TASK_OF)
def test_an_agent_that_fails_or_hangs_means_no_trade_and_the_others_are_heard(
    name: str, how: Any
) -> None:
    client = MemoryTradingClient()
    with OpenAiServer(brain=how(name)) as server:
        report, first = run_with(client, server, name, max_execution_time_s=1)
    assert report.status is SpikeRunStatus.FAILED
    assert f"{TASK_OF[name]} failed" in report.reason
    heard = {d.decision_type for d in first if d.decision != "failed"}
    assert heard >= {"spike_detection", "stability_check", "context_analysis"} - {TASK_OF[name]}
    assert [d.decision_type for d in first if d.decision == "failed"] == [TASK_OF[name]]


@pytest.mark.parametrize("how", [failing, hanging], ids=["fails", "hangs"])
@pytest.mark.parametrize("name", MAY_BE_LEFT_OUT)
def test_an_agent_that_may_be_left_out_does_not_stop_the_others(name: str, how: Any) -> None:
    client = MemoryTradingClient()
    policy = FailurePolicy.LEAVE_OUT
    with OpenAiServer(brain=how(name)) as server:
        report, _ = run_with(client, server, name, max_execution_time_s=1, on_failure=policy)
    assert report.status is SpikeRunStatus.TRADED, report.reason


@pytest.mark.parametrize("name", MAY_BE_LEFT_OUT)
def test_without_an_agent_that_is_switched_off_the_others_decide(name: str) -> None:
    client = MemoryTradingClient()
    agents = AgentsConfig.model_validate({name: AgentConfig(enabled=False)})
    report = SpikeTradingCrew(client, agents, SpikeCrewConfig(), environment={}).run(make_claim())
    assert report.status is SpikeRunStatus.TRADED
    assert name not in {d.agent_name for d in client.decisions}


@pytest.mark.parametrize("name", sorted(set(TASK_OF) - set(MAY_BE_LEFT_OUT)))
def test_without_a_check_that_is_switched_off_nothing_is_entered_and_the_others_are_heard(
    name: str,
) -> None:
    client = MemoryTradingClient()
    agents = AgentsConfig.model_validate({name: AgentConfig(enabled=False)})
    report = SpikeTradingCrew(client, agents, SpikeCrewConfig(), environment={}).run(make_claim())
    assert report.status is SpikeRunStatus.SKIPPED
    assert f"{name} is switched off" in report.reason
    assert client.proposals == []
    heard = {d.agent_name for d in client.decisions}
    assert name not in heard
    assert heard >= {"market_scanner", "market_guardian", "context_analyzer"} - {name}


def guardian_on(client: MemoryTradingClient, server: OpenAiServer, **settings: Any) -> GuardianCrew:
    llm = LlmConfig(provider=LlmProvider.OPENAI_COMPATIBLE, base_url=server.url, max_retries=0)
    agents = AgentsConfig(llm=llm, market_guardian=AgentConfig(**settings))
    return GuardianCrew(client, agents, GuardianCrewConfig(), environment={})


def test_while_the_guardians_model_hangs_its_rules_assess() -> None:
    client = MemoryTradingClient()
    client.market_share = 0.7

    def hangs(_: list[dict[str, Any]]) -> Any:
        time.sleep(2.5)
        return rules_brain(_)

    with OpenAiServer(brain=hangs) as server:
        assessment = guardian_on(client, server, max_execution_time_s=1).assess("regular")
    assert assessment.action == "warn"
    assert client.changes() == ["warn"]
    assert "no answer within 1 s" in client.activity[0].text


def test_a_guardian_that_is_switched_off_is_not_even_built_and_its_worker_lives() -> None:
    client, stop = MemoryTradingClient(), threading.Event()
    unusable = ModelConfig(provider=LlmProvider.CREWAI, model="nope/nope")
    agents = AgentsConfig(market_guardian=AgentConfig(enabled=False, llm=unusable))
    loop = GuardianLoop(
        "guardian-worker",
        client,
        agents,
        CrewsConfig(),
        market_symbol="BTCUSDT",
        environment={},
        stop=stop,
    )
    loop.warm_up()
    thread = threading.Thread(target=loop.run)
    thread.start()
    wait_for(lambda: loop.detail == "switched off")
    assert thread.is_alive()
    stop.set()
    thread.join(5)
    assert client.names() == []


@pytest.mark.parametrize("name", sorted(set(TASK_OF) - set(MAY_BE_LEFT_OUT)))
def test_a_check_cannot_be_left_out_by_configuration(name: str) -> None:
    policy = AgentConfig(on_failure=FailurePolicy.LEAVE_OUT)
    with pytest.raises(ValidationError, match="a check that did not happen is not passed"):
        AgentsConfig.model_validate({name: policy})


class Crew:
    """Stands in for a crew in tests of the scheduling alone: ``work`` is what a run does."""

    def __init__(self, work: Callable[[SpikeClaim], SpikeRunReport]) -> None:
        self.run = work

    def warm_up(self) -> None:
        """Nothing to build."""


def traded(claim: SpikeClaim) -> SpikeRunReport:
    return SpikeRunReport(spike_id=claim.spike.id, status=SpikeRunStatus.TRADED, duration_ms=1)


def schedule(
    client: MemoryTradingClient, work: Callable[[SpikeClaim], SpikeRunReport], bound: int
) -> tuple[threading.Event, threading.Thread, list[Crew]]:
    stop, built = threading.Event(), []

    def create() -> Any:
        built.append(Crew(work))
        return built[-1]

    scheduler = SpikeScheduler(
        "spike-worker",
        client,
        create,
        max_concurrent_runs=bound,
        claim_timeout_s=0.05,
        stop=stop,
        show=lambda _: None,
        beat=lambda: None,
    )
    scheduler.warm_up()
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    return stop, thread, built


def wait_for(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.01)


def claims(number: int) -> list[SpikeClaim]:
    return [make_claim(make_spike(id=f"spk-{index}")) for index in range(number)]


def test_no_more_runs_than_allowed_are_at_work_and_no_spike_is_claimed_before_its_turn() -> None:
    client, lock = MemoryTradingClient(), threading.Lock()
    client.claims = claims(6)
    at_work, most, waiting = 0, 0, []

    def work(claim: SpikeClaim) -> SpikeRunReport:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
            waiting.append(len(client.claims))
        time.sleep(0.1)
        with lock:
            at_work -= 1
        return traded(claim)

    stop, thread, _ = schedule(client, work, bound=2)
    wait_for(lambda: len(client.reports) == 6)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert most == 2
    assert waiting[0] >= 4  # the rest stay in the core's queue, where newer ones overtake them


def test_a_run_that_hangs_past_its_deadline_is_given_up_with_its_crew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crews.spike_scheduler._GRACE_S", 0.2)
    monkeypatch.setattr("crews.spike_scheduler._LOOK_EVERY_S", 0.05)
    client, release = MemoryTradingClient(), threading.Event()
    client.claims = claims(2)

    def work(claim: SpikeClaim) -> SpikeRunReport:
        if claim.spike.id == "spk-0":
            release.wait(20)
        return traded(claim)

    stop, thread, built = schedule(client, work, bound=1)
    time.sleep(0.3)
    assert client.reports == []
    client.time_ms += 50_000  # past the deadline
    wait_for(lambda: len(client.reports) == 2)
    release.set()
    stop.set()
    thread.join(30)
    assert [(r.spike_id, r.status.value) for r in client.reports] == [
        ("spk-0", "failed"),
        ("spk-1", "traded"),
    ]
    assert "did not end in time" in client.reports[0].reason
    assert len(built) == 2
