"""What repositories write comes back as it was."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from trading.errors import StoreError
from trading.model.decision import AgentDecision, SpikeRunReport, SpikeRunStatus, ToolExecution
from trading.model.spike import (
    CoMovement,
    Spike,
    SpikeDirection,
    SpikeSeverity,
    SpikeStatus,
    SpikeType,
)
from trading.storage.breaker_event_repository import BreakerEventRepository, BreakerEventRow
from trading.storage.config import StorageConfig
from trading.storage.database import create_database, open_database
from trading.storage.decision_repository import DecisionRepository
from trading.storage.repository import to_json, to_text
from trading.storage.risk_event_repository import RiskEventRepository
from trading.storage.spike_repository import SpikeRepository
from trading.storage.tool_execution_repository import ToolExecutionRepository

NOW_MS = 1_760_000_000_123


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    storage = StorageConfig(path=tmp_path / "store.sqlite3")
    create_database(storage)
    connection = open_database(storage)
    yield connection
    connection.close()


def spike(spike_id: str = "spk-1") -> Spike:
    return Spike(
        id=spike_id,
        symbol="SOLUSDT",
        type=SpikeType.PRICE,
        direction=SpikeDirection.UP,
        detected_at_ms=NOW_MS,
        magnitude_pct=4.2,
        timeframe_minutes=5,
        volume_multiple=6.5,
        z_score=5.1,
        price_from=0.00001234,
        price_to=0.0000129,
        confidence=0.8,
        detection_latency_ms=0.4,
    )


def decision(spike_id: str | None = None, **changes: object) -> AgentDecision:
    values = {
        "agent_name": "market_scanner",
        "agent_role": "Binance Market Surveillance Specialist",
        "decision_type": "spike_detection",
        "decision": "confirm",
        "confidence": 0.7,
        "reasoning": "rules: the move stands out",
        "input_data": {"spike": "spk-1"},
        "output_data": {"confirmed": True},
        "execution_time_ms": 12.5,
        "spike_event_id": spike_id,
    }
    return AgentDecision.model_validate({**values, **changes})


def test_a_spike_is_stored_once_with_plain_decimal_prices(connection: sqlite3.Connection) -> None:
    repository = SpikeRepository(connection)
    assert repository.insert(spike())
    assert not repository.insert(spike())
    (row,) = repository.latest()
    assert (row["price_from"], row["price_to"]) == ("0.00001234", "0.0000129")
    assert row["timestamp"] == "2025-10-09T08:53:20.123Z"
    assert (row["status"], row["outcome"]) == ("detected", "pending")


def test_a_finished_run_leaves_its_analyses_and_a_traded_spike_stays_traded(
    connection: sqlite3.Connection,
) -> None:
    repository = SpikeRepository(connection)
    repository.insert(spike())
    report = SpikeRunReport(
        spike_id="spk-1",
        status=SpikeRunStatus.TRADED,
        reason="entered",
        context_analysis={"kind": "momentum"},
        risk_assessment={"approved": True},
        duration_ms=80,
    )
    repository.finish(report, SpikeStatus.TRADED)
    repository.set_status("spk-1", SpikeStatus.SKIPPED, "too late")
    row = repository.get("spk-1")
    assert row is not None
    assert (row["status"], row["note"]) == ("traded", "too late")
    assert json.loads(row["context_analysis"]) == {"kind": "momentum"}
    with pytest.raises(StoreError):
        repository.set_status("no-such", SpikeStatus.SKIPPED)


def test_a_decision_about_nothing_known_is_refused(connection: sqlite3.Connection) -> None:
    repository = DecisionRepository(connection)
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        repository.record(decision("no-such-spike"), NOW_MS)
    assert repository.latest() == []


def test_decisions_roll_up_by_the_outcome_of_their_spikes(connection: sqlite3.Connection) -> None:
    spikes, decisions = SpikeRepository(connection), DecisionRepository(connection)
    for number, outcome in enumerate(["profitable", "profitable", "unprofitable", "pending"]):
        spike_id = f"spk-{number}"
        spikes.insert(spike(spike_id))
        connection.execute("UPDATE spike_events SET outcome = ? WHERE id = ?", (outcome, spike_id))
        decisions.record(decision(spike_id, confidence=0.6 + number / 10), NOW_MS + number)
    decisions.record(decision(agent_name="somebody_else"), NOW_MS)
    decisions.record(decision(), NOW_MS + 1_000)  # after the period
    for _ in range(2):
        row = decisions.roll_up("market_scanner", "2025-10-09", NOW_MS, NOW_MS + 1_000, NOW_MS)
    assert (row["total_decisions"], row["correct_decisions"], row["incorrect_decisions"]) == (
        4,
        2,
        1,
    )
    assert row["accuracy_percent"] == pytest.approx(200 / 3)
    assert row["avg_confidence"] == pytest.approx(0.75)
    assert (row["total_spikes_detected"], row["true_positives"], row["false_positives"]) == (
        4,
        2,
        1,
    )
    (count,) = connection.execute("SELECT count(*) FROM agent_performance").fetchone()
    assert count == 1


def test_an_empty_period_rolls_up_to_nothing(connection: sqlite3.Connection) -> None:
    row = DecisionRepository(connection).roll_up("nobody", "2025", 0, 1, NOW_MS)
    assert (row["total_decisions"], row["accuracy_percent"]) == (0, None)


def test_tool_calls_and_risk_events_come_back_newest_first(connection: sqlite3.Connection) -> None:
    tools, risks = ToolExecutionRepository(connection), RiskEventRepository(connection)
    for number in range(3):
        tools.record(
            ToolExecution(
                tool_name="get_portfolio",
                tool_class="read",
                arguments={"n": number},
                result={"equity": "10000"},
                ok=number != 1,
                breaker_status="SAFE",
                breaker_epoch=0,
                execution_time_ms=1,
            ),
            NOW_MS + number,
        )
        risks.record("max_position_pct", "too big", NOW_MS, limit="10", value=str(number))
    assert [json.loads(row["arguments"])["n"] for row in tools.latest()] == [2, 1, 0]
    assert [row["ok"] for row in tools.latest()] == [1, 0, 1]
    assert [row["value"] for row in risks.latest(rule="max_position_pct")] == ["2", "1", "0"]
    assert risks.latest(rule="another") == []


def test_a_false_trip_stays_one_after_it_is_cleared(connection: sqlite3.Connection) -> None:
    events = BreakerEventRepository(connection)
    event_id = events.insert(
        BreakerEventRow(
            time_ms=NOW_MS,
            kind="trip",
            epoch=1,
            from_status="SAFE",
            to_status="TRIGGERED",
            actor="llm",
            reason="a headline",
            trigger_type="llm",
            status="triggered",
        )
    )
    events.update(event_id, false_trigger=True, capital_saved=Decimal("-12.50"))
    events.mark_cleared(event_id, NOW_MS + 9_500)
    row = events.get(event_id)
    assert row is not None
    assert (row["status"], row["downtime_seconds"]) == ("false_trigger", 9.5)
    totals = events.totals(NOW_MS - 1)
    assert (totals.trips, totals.false_trips, totals.trips_since) == (1, 1, 1)
    assert totals.capital_saved == Decimal("-12.50")
    with pytest.raises(StoreError, match="no circuit breaker event 77"):
        events.update(77, orders_cancelled=1)


def test_equal_values_have_equal_json_and_numbers_no_exponent() -> None:
    assert to_json({"b": Decimal("1E-7"), "a": (1, 2)}) == '{"a":[1,2],"b":"0.0000001"}'
    assert to_text(1e-8) == "0.00000001"
    assert to_text(1e22) == "10000000000000000000000"
    assert to_text(None) is None


@pytest.mark.parametrize("kind", list(SpikeType))
def test_a_spike_of_any_kind_is_stored_with_its_trigger_and_context(
    connection: sqlite3.Connection, kind: SpikeType
) -> None:
    found = spike().model_copy(
        update={
            "type": kind,
            "severity": SpikeSeverity.MAJOR,
            "trigger_value": 6.5,
            "trigger_limit": 2.0,
            "co_movement": CoMovement.ISOLATED,
            "isolated_share": 0.9,
            "btc_move_pct": -0.1,
            "pump_likelihood": 0.7,
            "pump_features": {"burst": 2.5},
            "evidence": "3 to 1",
        }
    )
    repository = SpikeRepository(connection)
    assert repository.insert(found)
    (row,) = repository.latest()
    assert (row["spike_type"], row["severity"], row["co_movement"]) == (kind, "major", "isolated")
    assert (row["trigger_value"], row["trigger_limit"]) == (6.5, 2.0)
    assert (row["isolated_share"], row["btc_move_percent"]) == (0.9, -0.1)
    assert (row["pump_likelihood"], row["evidence"]) == (0.7, "3 to 1")
    assert json.loads(row["pump_features"]) == {"burst": 2.5}
