"""``emergency`` where no core runs: what tightens is stored, what needs the exchange says so."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from audited_store import NOW_MS, limited, people_decide, proposal
from served_breaker import BreakerService, serving_breaker

from crews.cli.app import run
from trading.api.schemas import ControlResult, OperatorCommand, ResumeCommand
from trading.model.operations import Controls
from trading.storage.approval_repository import ApprovalRepository
from trading.storage.config import StorageConfig
from trading.storage.database import open_database

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def store(folder: Path) -> Path:
    assert run(["init"]) == 0
    return folder


def _json(capsys: Capture, *arguments: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert run([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_halts_and_pauses_are_stored_once_and_lifted_with_a_reason(
    store: Path, capsys: Capture
) -> None:
    assert _json(capsys, "emergency", "halt-entries", "--reason", "not today")["changed"]
    assert not _json(capsys, "emergency", "halt-entries", "--reason", "again")["changed"]
    _json(capsys, "emergency", "pause-agents", "risk_assessor")
    controls = _json(capsys, "emergency", "status")["controls"]
    assert [(one["name"], one["reason"]) for one in controls] == [
        ("entries", "not today"),
        ("agent:risk_assessor", "paused by the operator"),
    ]
    assert run(["emergency", "resume-entries", "--reason", " "]) == 4
    _json(capsys, "emergency", "resume-entries", "--reason", "a new day")
    _json(capsys, "emergency", "resume-agents", "--reason", "a new day")
    assert _json(capsys, "emergency", "status")["controls"] == []
    entries = _json(capsys, "audit", "show", "--kind", "control")["entries"]
    assert {entry["actor"] for entry in entries} == {"operator"}
    assert _json(capsys, "audit", "verify")["intact"]


def test_approvals_are_listed_where_no_core_runs(store: Path, capsys: Capture) -> None:
    assert _json(capsys, "approvals", "list")["approvals"] == []
    connection = open_database(StorageConfig(path=store / "data/test.sqlite3"))
    people_decide(connection, venue="sim")
    connection.close()
    listed = _json(capsys, "approvals", "list")["approvals"]
    assert [(one["id"], one["status"]) for one in listed] == [(2, "refused"), (1, "approved")]
    assert _json(capsys, "approvals", "list", "--pending")["approvals"] == []
    assert run(["approvals", "list"]) == 0
    assert "BTCUSDT" in capsys.readouterr().out


def test_what_waits_is_found_behind_newer_approvals_that_do_not(
    store: Path, capsys: Capture
) -> None:
    connection = open_database(StorageConfig(path=store / "data/test.sqlite3"))
    ApprovalRepository(connection, "sim").ask(
        proposal("first"), limited("first"), Decimal(50_000), NOW_MS + 60_000, NOW_MS
    )
    people_decide(connection, venue="sim")
    connection.close()
    newest = _json(capsys, "approvals", "list", "--limit", "1")["approvals"]
    assert [one["status"] for one in newest] == ["refused"]
    waiting = _json(capsys, "approvals", "list", "--pending", "--limit", "1")["approvals"]
    assert [(one["id"], one["status"]) for one in waiting] == [(1, "pending")]


def test_all_pauses_every_agent_and_an_unknown_one_is_refused_with_the_names(
    store: Path, capsys: Capture
) -> None:
    _json(capsys, "emergency", "pause-agents", "all")
    names = {one["name"] for one in _json(capsys, "emergency", "status")["controls"]}
    assert {"agent:market_guardian", "agent:strategy_executor"} <= names
    answer = _json(capsys, "emergency", "pause-agents", "nobody", code=4)
    assert "market_guardian" in answer["message"]


class Hung:
    """The operator's side of a core whose loop stands still."""

    def __init__(self, core: BreakerService) -> None:
        self._core = core

    async def halt_entries(self, command: OperatorCommand) -> ControlResult:
        await asyncio.to_thread(self._core.answers.wait)
        return ControlResult(changed=True, controls=Controls())

    async def resume_entries(self, command: ResumeCommand) -> ControlResult:
        return await self.halt_entries(OperatorCommand(reason=command.reason))


def test_a_hung_core_is_halted_through_the_store_and_eased_by_nobody(
    store: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crews.cli.emergency.BREAKER_TIMEOUT_S", 0.3)
    storage = StorageConfig(path=store / "data/test.sqlite3")
    with serving_breaker(storage, store / "data/run") as core:
        core.operations = Hung(core)  # type: ignore[attr-defined] # it serves the breaker alone
        core.answers.clear()
        answer = _json(capsys, "emergency", "halt-entries", "--reason", "now", code=5)
        assert "in the store" in answer["message"]
        assert run(["emergency", "resume-entries", "--reason", "no"]) == 5
    (control,) = _json(capsys, "emergency", "status")["controls"]
    assert (control["name"], control["reason"]) == ("entries", "now")


@pytest.mark.parametrize("command", [["cancel-orders"], ["liquidate", "--yes"]])
def test_what_needs_the_exchange_needs_a_core(
    store: Path, capsys: Capture, command: list[str]
) -> None:
    answer = _json(capsys, "emergency", *command, code=3)
    assert "crews.run live" in answer["message"]


def test_nobody_is_asked_to_confirm_what_no_core_can_do(store: Path, capsys: Capture) -> None:
    assert run(["emergency", "liquidate"]) == 3
    assert "Sell every position" not in "".join(capsys.readouterr())


def test_a_script_that_sells_everything_must_mean_it(store: Path, capsys: Capture) -> None:
    assert run(["emergency", "liquidate", "--json"]) == 4
    assert "--yes" in "".join(capsys.readouterr())


def test_a_reason_given_without_a_core_is_cleaned_like_one_given_to_it(
    store: Path, capsys: Capture
) -> None:
    reason = "a\x1b[31mred\nline" + "x" * 3_000
    _json(capsys, "emergency", "halt-entries", "--reason", reason)
    (control,) = _json(capsys, "emergency", "status")["controls"]
    assert "\x1b" not in control["reason"]
    assert "\n" not in control["reason"]
    assert len(control["reason"]) < 1_000
