"""The guardian crew on the built-in rules."""

from __future__ import annotations

import pytest
from memory_client import MemoryTradingClient, make_snapshot

from agents.config import AgentsConfig
from crews.crew_config import GuardianCrewConfig
from crews.guardian.crew import GuardianCrew
from trading.errors import CrewError
from trading.model.breaker import Actor


def guardian(client: MemoryTradingClient) -> GuardianCrew:
    return GuardianCrew(client, AgentsConfig(), GuardianCrewConfig(), environment={})


def test_a_calm_market_is_assessed_and_left_alone() -> None:
    client = MemoryTradingClient()
    assessment = guardian(client).assess("regular")
    assert assessment.action == "none"
    assert client.changes() == []
    (decision,) = client.decisions
    assert decision.agent_role == "Market Crash Protection Specialist"
    assert decision.decision_type == "guardian_assessment"


def test_it_warns_early_as_a_model_would_never_as_an_operator() -> None:
    client = MemoryTradingClient()
    client.market_share = 0.7
    assert guardian(client).assess("regular").action == "warn"
    (command,) = [argument for name, argument in client.calls if name == "warn"]
    assert command.actor is Actor.LLM


def test_it_does_not_trip_again_after_an_operators_override() -> None:
    client = MemoryTradingClient()
    client.market_share = 1.2
    guardian(client).assess("regular")
    assert "trip" not in client.changes()


def test_a_trip_gets_one_incident_report() -> None:
    client = MemoryTradingClient()
    client.snapshot = make_snapshot("TRIGGERED", 3, causes=("btc_drawdown_1h",), event_id=9)
    client.market_share = 1.2
    crew = guardian(client)
    crew.assess("the breaker is now TRIGGERED")
    crew.assess("regular")
    reports = [d for d in client.decisions if d.decision_type == "incident_report"]
    assert len(reports) == 1
    assert "btc_drawdown_1h" in reports[0].decision
    assert reports[0].circuit_breaker_event_id == 9
    client.snapshot = make_snapshot("TRIGGERED", 4, causes=("eth_drawdown_1h",))
    crew.assess("the breaker is now TRIGGERED")
    assert len([d for d in client.decisions if d.decision_type == "incident_report"]) == 2


def test_a_halt_during_an_assessment_is_the_one_that_its_decision_belongs_to() -> None:
    client = MemoryTradingClient()

    def trip(name: str) -> None:
        if name == "record_tool_execution":
            client.snapshot = make_snapshot("TRIGGERED", 1, event_id=7)

    client.on_call = trip
    guardian(client).assess("regular")
    (decision,) = client.decisions
    assert decision.circuit_breaker_event_id == 7


def test_recovery_is_recommended_when_its_conditions_are_met_and_never_started() -> None:
    client = MemoryTradingClient()
    client.snapshot = make_snapshot("TRIGGERED", 3)
    client.recovery_met = True
    guardian(client).assess("regular")
    (recovery,) = [d for d in client.decisions if d.decision_type == "recovery_assessment"]
    assert recovery.decision == "recover (all met)"
    assert client.changes() == []


def test_while_conditions_are_not_met_the_assessment_of_recovery_names_them() -> None:
    client = MemoryTradingClient()
    client.snapshot = make_snapshot("RECOVERING", 3, stage=1)
    guardian(client).assess("regular")
    (recovery,) = [d for d in client.decisions if d.decision_type == "recovery_assessment"]
    assert recovery.decision == "wait (not all met)"
    assert recovery.output_data["unmet"] == ["no_further_fall"]
    client.snapshot, client.decisions = make_snapshot(), []
    guardian(client).assess("regular")
    assert [d.decision_type for d in client.decisions] == ["guardian_assessment"]


def test_a_passed_deadline_stops_an_assessment() -> None:
    client = MemoryTradingClient()

    def age(name: str) -> None:
        if name == "record_tool_execution":
            client.time_ms += 31_000

    client.on_call = age
    with pytest.raises(CrewError, match="deadline"):
        guardian(client).assess("regular")
