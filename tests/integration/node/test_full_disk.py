"""A store that takes nothing more: the operator hears of it, and is told no more than is so."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from core_in_process import CoreInProcess, core_in_process

from trading.api.schemas import ComponentHealth, TripCommand
from trading.model.breaker import BreakerStatus

PRICES = {"BTCUSDT": 50_000.0, "ETHUSDT": 2_000.0}


def refuse(connection: sqlite3.Connection, refused: bool = True) -> None:
    connection.execute(f"PRAGMA query_only = {int(refused)}")


def failing(core: CoreInProcess) -> ComponentHealth:
    """What ``status`` shows of the records once they fail."""
    end = time.monotonic() + 30
    while True:
        shown = [one for one in core.operator.status().components if one.name == "records"]
        if shown:
            return shown[0]
        assert time.monotonic() < end, "status shows nothing"
        time.sleep(0.05)


def test_records_that_are_not_written_show_in_status_and_in_a_critical_message(
    tmp_path: Path,
) -> None:
    with core_in_process(tmp_path, PRICES) as core:
        records = core.core.parts.records
        refuse(records._connection)
        records.write(lambda tables: tables.audit.append("operator", "test", {}, 1))
        shown = failing(core)
        assert not shown.ok
        assert "readonly" in shown.detail
        (line,) = [one for one in core.operator.status().activity if one.source == "store"]
        assert (line.level, "records are not written" in line.text) == ("critical", True)


def test_a_trip_that_the_store_does_not_take_halts_and_does_not_pass_for_stored(
    tmp_path: Path,
) -> None:
    with core_in_process(tmp_path, PRICES) as core:
        breaker = core.core.parts.breaker
        assert breaker._store is not None
        refuse(breaker._store._connection)
        result = core.operator.trip(TripCommand(reason="test"))
        assert result.snapshot.status is BreakerStatus.TRIGGERED
        assert "the store does not take it yet" in result.message
        refuse(breaker._store._connection, refused=False)
        end = time.monotonic() + 30
        while not breaker.is_stored:
            assert time.monotonic() < end, "it is stored as soon as the store takes it"
            time.sleep(0.05)
        assert core.operator.trip(TripCommand(reason="again")).message == "halted"
