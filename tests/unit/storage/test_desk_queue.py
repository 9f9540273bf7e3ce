"""What waits for a note of the safety desk, on a real store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from trading.clock import DAY_MS, HOUR_MS, MINUTE_MS, VirtualClock
from trading.errors import RecordNotFoundError
from trading.model.desk import DeskKind, DeskNote, DeskQuery, DeskSubject, NoteOutcome
from trading.model.reconciliation import (
    AssetComparison,
    ReconciliationOutcome,
    ReconciliationReport,
)
from trading.model.recovery import ErrorPattern, RecoveryStatus
from trading.risk.breaker_store import create_store
from trading.storage.config import StorageConfig
from trading.storage.database import open_database
from trading.storage.desk_note_repository import DeskNoteRepository
from trading.storage.desk_queue import DeskQueue
from trading.storage.desk_reader import DeskReader
from trading.storage.reconciliation_repository import ReconciliationRepository
from trading.storage.risk_event_repository import RiskEventRepository
from trading.storage.simulation_repository import SimulationRepository

NOON_MS = 1_700_000_000_000 - 1_700_000_000_000 % DAY_MS + 12 * HOUR_MS
ALL = tuple(DeskKind)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    storage = StorageConfig(path=tmp_path / "store.sqlite3")
    create_store(storage, VirtualClock(NOON_MS))
    connection = open_database(storage, durable=False, check=False)
    yield connection
    connection.close()


def waits(
    connection: sqlite3.Connection,
    now_ms: int = NOON_MS,
    *kinds: DeskKind,
    most: int = 100,
    recovery: RecoveryStatus | None = None,
) -> DeskSubject | None:
    query = DeskQuery(kinds=kinds or ALL, most_per_hour=most)
    return DeskQueue(connection).next(query, now_ms, recovery)


def refuse(
    connection: sqlite3.Connection, at_ms: int, symbol: str = "SOLUSDT", **fields: Any
) -> int:
    values = {"severity": "notice", "limit": "0.3", "value": "0.4", "spike_event_id": "s"}
    return RiskEventRepository(connection).record(
        "max_spread_pct", "too wide", at_ms, symbol=symbol, **{**values, **fields}
    )


def compare(connection: sqlite3.Connection, at_ms: int, outcome: str) -> int:
    asset = AssetComparison(
        asset="SOL",
        ours=Decimal("9.5"),
        external=Decimal(0),
        dust=Decimal(0),
        venue=Decimal(7),
        tolerance=Decimal("0.1"),
        price=Decimal("104.2"),
    )
    report = ReconciliationReport(
        time_ms=at_ms, cause="test", outcome=ReconciliationOutcome(outcome), assets=(asset,)
    )
    return ReconciliationRepository(connection, "sim").record(report)


def note(connection: sqlite3.Connection, subject: DeskSubject, at_ms: int = NOON_MS) -> None:
    DeskNoteRepository(connection).record(
        DeskNote(
            kind=subject.kind,
            subject_id=subject.id,
            subject_key=subject.key,
            subject_title=subject.title,
            subject_at_ms=subject.at_ms,
            occasion="event",
            agent_name="x",
            outcome=NoteOutcome.EXPLAINED,
            decided_by="test",
            prompt_version="1",
            prompt_hash="0",
        ),
        at_ms,
    )


def test_nothing_waits_in_a_new_store(connection: sqlite3.Connection) -> None:
    assert waits(connection) is None


def test_refusals_of_one_rule_and_pair_get_one_note_an_hour(
    connection: sqlite3.Connection,
) -> None:
    refuse(connection, NOON_MS - 5)
    newest = refuse(connection, NOON_MS - 1)
    found = waits(connection)
    assert found is not None
    assert (found.kind, found.id) == (DeskKind.REFUSAL, str(newest))
    assert found.facts["refusals_by_this_rule"]["last_hour"] == 2
    note(connection, found)
    assert waits(connection) is None
    refuse(connection, NOON_MS + 30 * MINUTE_MS)
    assert waits(connection, NOON_MS + 31 * MINUTE_MS) is None
    other = refuse(connection, NOON_MS + 30 * MINUTE_MS, "ETHUSDT")
    found = waits(connection, NOON_MS + 31 * MINUTE_MS)
    assert found is not None
    assert found.id == str(other)
    note(connection, found, NOON_MS + 31 * MINUTE_MS)
    later = refuse(connection, NOON_MS + 61 * MINUTE_MS)
    found = waits(connection, NOON_MS + 62 * MINUTE_MS)
    assert found is not None
    assert found.id == str(later)


def test_a_risk_event_that_refused_no_entry_is_no_refusal(connection: sqlite3.Connection) -> None:
    refuse(connection, NOON_MS - 1, spike_event_id=None)
    refuse(connection, NOON_MS - 1, severity="info")
    assert waits(connection, NOON_MS, DeskKind.REFUSAL) is None


def test_a_comparison_that_corrected_or_latched_waits_before_anything_else(
    connection: sqlite3.Connection,
) -> None:
    refuse(connection, NOON_MS - 1)
    for outcome in ("clean", "differs", "incomplete"):
        compare(connection, NOON_MS - 10, outcome)
    fixed, latched = (compare(connection, NOON_MS - 5, name) for name in ("fixed", "latched"))
    for expected in (fixed, latched):
        found = waits(connection)
        assert found is not None
        assert (found.kind, found.id) == (DeskKind.RECONCILIATION, str(expected))
        assert found.facts["assets"][0]["difference"] == "-2.5"
        note(connection, found)
    found = waits(connection)
    assert found is not None
    assert found.kind is DeskKind.REFUSAL


def test_errors_wait_once_they_repeat_and_again_when_another_joins_them(
    connection: sqlite3.Connection,
) -> None:
    for _ in range(2):
        refuse(connection, NOON_MS - 5, spike_event_id=None, severity="critical")
    assert waits(connection, NOON_MS, DeskKind.ERRORS) is None
    refuse(connection, NOON_MS - 4, spike_event_id=None, severity="critical")
    found = waits(connection, NOON_MS, DeskKind.ERRORS)
    assert found is not None
    assert [one["name"] for one in found.facts["patterns"]] == ["risk event max_spread_pct"]
    note(connection, found)
    pattern = ErrorPattern(
        service="rest",
        kind="transient",
        code=-1001,
        count=5,
        last_at_ms=NOON_MS,
        last_message="internal error",
        suggestion="look at the venue's status page",
    )
    recovery = RecoveryStatus(patterns=(pattern,))
    soon, later = NOON_MS + 5 * MINUTE_MS, NOON_MS + 61 * MINUTE_MS
    assert waits(connection, soon, DeskKind.ERRORS, recovery=recovery) is None
    assert waits(connection, later, DeskKind.ERRORS) is None
    found = waits(connection, later, DeskKind.ERRORS, recovery=recovery)
    assert found is not None
    assert found.facts["patterns"][0]["name"] == "rest transient -1001"


def test_a_day_waits_when_it_is_over_and_the_last_simulation_when_it_has_ended(
    connection: sqlite3.Connection,
) -> None:
    refuse(connection, NOON_MS)
    assert waits(connection, NOON_MS, DeskKind.DAY) is None
    tomorrow = NOON_MS + DAY_MS
    found = waits(connection, tomorrow, DeskKind.DAY)
    assert found is not None
    assert found.at_ms == NOON_MS - 12 * HOUR_MS
    note(connection, found, tomorrow)
    assert waits(connection, tomorrow, DeskKind.DAY) is None

    simulations = SimulationRepository(connection)
    session = simulations.begin("sim", "generated", "USDT", Decimal(10_000), NOON_MS)
    assert waits(connection, NOON_MS + 2, DeskKind.SESSION) is None
    simulations.end(session, Decimal(9_990), NOON_MS + 1)
    found = waits(connection, NOON_MS + 2, DeskKind.SESSION)
    assert found is not None
    assert found.facts["session"]["final_balance"] == "9990"
    note(connection, found)
    assert waits(connection, NOON_MS + 2, DeskKind.SESSION) is None


def test_an_hour_has_no_more_notes_than_it_may_have(connection: sqlite3.Connection) -> None:
    refuse(connection, NOON_MS - 1)
    found = waits(connection, most=1)
    assert found is not None
    note(connection, found)
    refuse(connection, NOON_MS - 1, "ETHUSDT")
    assert waits(connection, most=1) is None
    assert waits(connection, most=2) is not None
    assert waits(connection, NOON_MS + HOUR_MS - 2, most=1) is None


@pytest.mark.parametrize("kind", ALL)
def test_what_is_not_recorded_is_named(connection: sqlite3.Connection, kind: DeskKind) -> None:
    reader = DeskReader(connection)
    for name in ("77", "1999-01-01", "x'; DROP TABLE orders"):
        with pytest.raises(RecordNotFoundError, match=r"77|1999|DROP"):
            reader.subject(kind, name)
