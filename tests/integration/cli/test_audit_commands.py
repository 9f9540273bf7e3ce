"""``audit``: verify, show, head and accept, on a store without a core."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crews.cli.app import run

Capture = pytest.CaptureFixture[str]
Ask = Callable[..., Any]


@pytest.fixture
def ask(folder: Path, capsys: Capture) -> Ask:
    """Runs a command with ``--json`` on a store in which an operator has tripped once."""
    assert run(["init"]) == 0
    assert run(["breaker", "trip", "--reason", "test"]) == 0

    def ask_once(*arguments: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert run([*arguments, "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return ask_once


def _tamper(folder: Path, statement: str) -> None:
    connection = sqlite3.connect(folder / "data/test.sqlite3", isolation_level=None)
    for name in ("audit_log_is_never_edited", "audit_log_is_never_cut"):
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement)
    connection.close()


def test_a_trip_by_the_operator_is_shown_and_the_log_is_intact(ask: Ask) -> None:
    report = ask("audit", "verify")
    assert report["intact"]
    assert report["findings"] == []
    (entry,) = ask("audit", "show", "--kind", "breaker")["entries"]
    assert (entry["actor"], entry["subject"]) == ("operator", "trip")
    assert json.loads(entry["payload"])["reason"] == "test"


def test_an_edited_entry_is_named_and_the_exit_code_says_so(ask: Ask, folder: Path) -> None:
    _tamper(folder, "UPDATE audit_log SET actor = 'rule' WHERE kind = 'breaker'")
    report = ask("audit", "verify", code=1)
    assert not report["intact"]
    assert "edited" in {finding["kind"] for finding in report["findings"]}
    assert run(["audit", "verify"]) == 1


def test_a_head_kept_elsewhere_is_compared(ask: Ask, folder: Path) -> None:
    head = ask("audit", "head")
    kept = f"{head['seq']}:{head['hash']}"
    assert ask("audit", "verify", "--head", kept)["intact"]
    findings = ask("audit", "verify", "--head", f"{head['seq']}:{'0' * 64}", code=1)["findings"]
    assert findings[0]["seq"] == head["seq"]
    assert run(["audit", "verify", "--head", "nonsense"]) == 4


def test_a_restored_backup_is_accepted_with_a_reason_that_stays_in_the_log(
    ask: Ask, folder: Path
) -> None:
    head = ask("audit", "head")
    record = folder / "data/test.sqlite3.audit-head"
    record.write_text(json.dumps({"seq": head["seq"] + 40, "hash": "f" * 64}))
    assert ask("audit", "verify", code=1)["findings"][0]["kind"] == "truncated"
    assert run(["audit", "accept", "--reason", " "]) == 4
    assert run(["audit", "accept", "--reason", "backup of Tuesday", "--json"]) == 4
    accepted = ask("audit", "accept", "--reason", "backup of Tuesday", "--yes")
    assert "the log now ends at" in accepted["findings"][0]["message"]
    assert ask("audit", "verify")["intact"]
    (entry,) = ask("audit", "show", "--kind", "anchor")["entries"]
    said = json.loads(entry["payload"])
    assert (said["reason"], said["findings"]) == ("backup of Tuesday", 1)
    assert said["first_findings"] == [accepted["findings"][0]["message"]]
    assert entry["actor"] == "operator"


def test_nothing_is_accepted_before_a_person_has_seen_what_is_wrong_and_agreed(
    ask: Ask, folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    _tamper(folder, "UPDATE audit_log SET actor = 'rule' WHERE kind = 'breaker'")
    before = ask("audit", "verify", code=1)["head"]
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert run(["audit", "accept", "--reason", "looks fine"]) != 0
    assert "edited: entry" in capsys.readouterr().out
    assert ask("audit", "verify", code=1)["head"] == before
    ask("audit", "accept", "--reason", "looks fine", "--yes")
    findings = ask("audit", "verify", code=1)["findings"]
    assert "edited" in {finding["kind"] for finding in findings}, "accepting mends nothing"
