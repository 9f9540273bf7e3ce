"""What the running core adds to the audit log, and what it does when the log was tampered with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from trading.clock import VirtualClock
from trading.model.breaker import BreakerStatus, Latch
from trading.node.audit import AUDIT_RULE, CoreAudit
from trading.node.board import Board
from trading.node.records import Records
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.risk_config import RiskConfig
from trading.storage.audit_anchor import AuditAnchor
from trading.storage.audit_log import AuditLog
from trading.storage.config import StorageConfig
from trading.storage.database import open_database

NOW_MS = 1_760_000_000_000


class Core:
    """The core's audit over a real store; the records are written at once."""

    def __init__(self, folder: Path) -> None:
        clock = VirtualClock(NOW_MS)
        self.storage = StorageConfig(path=folder / "store.sqlite3")
        create_store(self.storage, clock)
        self.breaker = CircuitBreaker.open(CircuitBreakerConfig(), clock, self.storage)
        self.records = Records(self.storage, inline=True)
        self.board = Board(clock)
        self.audit = CoreAudit(self.records, self.storage.path, self.breaker, self.board)
        self.connection = open_database(self.storage)
        self.log = AuditLog(self.connection)
        self.anchor = AuditAnchor(self.storage.path)

    def tamper(self, statement: str) -> None:
        for name in ("audit_log_is_never_edited", "audit_log_is_never_cut"):
            self.connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        self.connection.execute(statement)


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    core = Core(tmp_path)
    yield core
    core.records.close()
    core.breaker.close()
    core.connection.close()


def test_the_first_configuration_is_recorded_whole_and_later_ones_by_what_changed(
    core: Core,
) -> None:
    core.audit.configuration(RiskConfig(), NOW_MS)
    core.audit.configuration(RiskConfig(), NOW_MS)
    core.audit.configuration(RiskConfig(max_daily_loss_pct=3.0), NOW_MS)
    first, last = (
        json.loads(entry.payload)["changed"]
        for entry in reversed(core.log.latest(kind="configuration"))
    )
    assert {name.partition(".")[0] for name in first} >= {
        name for name, value in RiskConfig() if value != {}
    }
    assert last == {"max_daily_loss_pct": [5.0, 3.0]}


def test_an_operators_command_is_recorded_with_its_reason(core: Core) -> None:
    core.audit.operator("breaker clear", {"reason": "checked", "epoch": 2}, NOW_MS)
    (entry,) = core.log.latest(kind="operator")
    assert (entry.actor, entry.subject) == ("operator", "breaker clear")
    assert json.loads(entry.payload) == {"reason": "checked", "epoch": 2}


def test_the_head_is_noted_about_once_a_second(core: Core) -> None:
    core.audit.advance(0)
    core.log.append("operator", "x", {}, NOW_MS)
    core.audit.advance(999)
    assert core.anchor.read() != core.log.head()
    core.audit.advance(1_000)
    assert core.anchor.read() == core.log.head()


def test_a_log_that_was_cut_while_the_core_runs_halts_it_until_an_operator_has_looked(
    core: Core,
) -> None:
    core.log.append("operator", "x", {}, NOW_MS)
    core.audit.advance(0)
    core.tamper("DELETE FROM audit_log WHERE kind = 'operator'")
    core.audit.advance(1_000)
    snapshot = core.breaker.snapshot
    assert (snapshot.status, snapshot.latch) == (BreakerStatus.TRIGGERED, Latch.MANUAL)
    assert core.breaker.get_trigger_info() is not None
    assert (core.breaker.get_trigger_info() or {})["rule"] == AUDIT_RULE
    epoch = snapshot.epoch
    core.audit.advance(2_000)
    assert core.breaker.snapshot.epoch == epoch, "one trip for one finding"


def test_a_core_without_a_head_record_begins_one_and_says_so_in_the_log(core: Core) -> None:
    core.anchor.path.unlink()
    core.audit.advance(0)
    (entry,) = core.log.latest(kind="anchor")
    assert entry.subject == "no head record"
    assert core.anchor.read() == core.log.head()
    assert core.breaker.snapshot.status is BreakerStatus.SAFE
