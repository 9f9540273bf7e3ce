"""The daily compliance report says what the order path did, refused and was told."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from order_path import START_MS, OrderPath

from crews.cli.app import run
from trading.clock import DAY_MS, iso
from trading.model.breaker import Actor
from trading.model.operations import ENTRIES
from trading.risk.compliance_config import ComplianceConfig
from trading.storage.audit_anchor import AuditAnchor
from trading.storage.audit_log import AuditLog
from trading.storage.day_report import DayReporter

TODAY_MS = START_MS - START_MS % DAY_MS


async def a_day(path: OrderPath) -> None:
    """One round trip, two refusals, a trip, an operator's halt."""
    await path.service.propose(path.proposal())
    await path.service.close_position("BTCUSDT", "test")
    await path.service.operations.stop(ENTRIES, "lunch")
    for symbol in ("ETHUSDT", "SOLUSDT"):
        await path.service.propose(path.proposal(symbol))
    path.breaker.trigger("fall", actor=Actor.RULE)


async def test_a_day_is_summed_up_and_the_next_one_is_empty(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await a_day(path)
        with path.database() as connection:
            report = DayReporter(connection).report(TODAY_MS)
            tomorrow = DayReporter(connection).report(TODAY_MS + DAY_MS)
        (venue,) = report.venues
        assert (venue.entries, venue.closed_trades) == (1, 1)
        fills = path.rows("SELECT price, quantity FROM fills")
        total = sum(Decimal(row["price"]) * Decimal(row["quantity"]) for row in fills)
        assert venue.fill_notional == total
        assert set(venue.fees) == {"BTC", "USDT"}
        assert [(one.rule, one.count) for one in report.refusals] == [("entries_halted", 2)]
        assert report.refusals[0].limit == "entries allowed"
        (trip,) = report.breaker
        assert trip.details == "SAFE → TRIGGERED, epoch 1: fall"
        assert tomorrow.venues == ()
        assert tomorrow.refusals == ()
        assert tomorrow.first_entry is None


async def test_the_command_prints_the_day_its_limits_and_whether_the_log_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with OrderPath(tmp_path) as path:
        await a_day(path)
        with path.database() as connection:
            AuditAnchor(path.storage.path).advance(AuditLog(connection))
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "config" / "crewai_config.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump({"storage": {"path": "store.sqlite3"}}))

    def report(*arguments: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert run(["compliance", "report", *arguments, "--json"]) == code
        return json.loads(capsys.readouterr().out)

    day = iso(TODAY_MS)[:10]
    found = report("--day", day)
    assert found["report"]["day"] == day
    assert found["report"]["venues"][0]["entries"] == 1
    assert found["limits"]["max_daily_trades"] == ComplianceConfig().max_daily_trades
    assert found["audit"]["intact"]
    assert report("--day", "yesterday", code=4)["error"] == "UsageError"
    capsys.readouterr()
    assert run(["compliance", "report", "--day", day]) == 0
    assert "entries_halted" in capsys.readouterr().out
    with path.database() as connection:
        connection.execute("UPDATE fills SET price = '1'")
    assert not report("--day", day, code=1)["audit"]["intact"]
