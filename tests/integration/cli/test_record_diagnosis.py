"""What ``doctor`` says of the audit log and of the notification channels."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from json_channel import PASSWORD

from crews.checks import Level
from crews.cli.app import run
from crews.config_loader import load_config
from crews.record_diagnosis import check_audit, check_notifications


def test_an_audit_log_that_was_edited_fails_the_check(folder: Path) -> None:
    assert check_audit(load_config()) == [], "no store, nothing to say"
    assert run(["init"]) == 0
    (whole,) = check_audit(load_config())
    assert whole.level is Level.OK
    connection = sqlite3.connect(folder / "data/test.sqlite3", isolation_level=None)
    connection.execute("DROP TRIGGER audit_log_is_never_edited")
    connection.execute("UPDATE audit_log SET actor = 'nobody' WHERE seq = 2")
    connection.close()
    (edited,) = check_audit(load_config())
    assert edited.level is Level.FAIL
    assert "entry 2 was edited" in edited.detail


@pytest.mark.parametrize(
    ("address", "level", "said"),
    [
        (None, Level.OK, "off: NOTIFY_URL is not set"),
        (f"json://user:{PASSWORD}@host/", Level.OK, "warning and above"),
        (f"nonsense://user:{PASSWORD}@host/", Level.FAIL, "no address that apprise knows"),
    ],
)
def test_a_channel_is_off_ready_or_wrong_and_its_address_is_not_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, address: str | None, level: Level, said: str
) -> None:
    if address is not None:
        monkeypatch.setenv("NOTIFY_URL", address)
    (finding,) = check_notifications(load_config())
    assert finding.level is level
    assert said in finding.detail
    assert PASSWORD not in finding.detail
