"""A person takes over a running core from the command line: consents, pauses, halts, sells all."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from json_channel import PASSWORD, JsonChannel, json_channel
from live_instance import LiveInstance, eventually, live_instance

from crews.cli.app import run
from trading.model.decision import ProposalOutcome, ProposalResult, TradeProposal

TEN_MINUTES_MS = 600_000
LONG_MS = 3_000_000  # of market time: five minutes for a busy machine


@pytest.fixture
def phone() -> Iterator[JsonChannel]:
    with json_channel() as channel:
        yield channel


@pytest.fixture
def instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phone: JsonChannel
) -> Iterator[LiveInstance]:
    """Without crews, model and Redis; entries wait for a person. The command line finds it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOTIFY_URL", phone.url)
    file = tmp_path / "config" / "crewai_config.yaml"
    file.parent.mkdir()
    settings = {"storage": {"path": "store.sqlite3"}, "api": {"runtime_directory": "run"}}
    file.write_text(yaml.safe_dump(settings))
    with live_instance(
        tmp_path,
        with_workers=False,
        speed=10.0,
        compliance__approval_mode="semi-auto",
        compliance__approval_timeout_s=LONG_MS / 1000,
        crash_detection__stale_after_ms=TEN_MINUTES_MS,
        risk__price_collar_pct=20.0,
        risk__max_slippage_pct=5.0,
        risk__max_spike_age_ms=LONG_MS,
        risk__max_decision_horizon_ms=LONG_MS,
        execution__entry_time_to_live_ms=LONG_MS,
        execution__liquidation__slice_pause_ms=50,
    ) as running:
        yield running


class Terminal:
    """The command line of another terminal."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> Any:
        self._capsys.readouterr()
        assert run([*arguments, "--json"]) == code
        return json.loads(self._capsys.readouterr().out)


def spike_of(instance: LiveInstance, symbol: str) -> str:
    instance.shock(symbol, 6.0, duration_s=60)

    def claimed() -> str | None:
        claim = instance.worker.claim_spike("test", 0.5)
        found = claim is not None and claim.spike.symbol == symbol and claim.spike.magnitude_pct > 0
        return claim.spike.id if claim is not None and found else None

    return eventually(claimed, 60, f"a spike of {symbol}")


def propose(instance: LiveInstance, symbol: str, spike_id: str) -> ProposalResult:
    now_ms = instance.worker.now_ms()
    return instance.worker.propose_trade(
        TradeProposal(
            spike_id=spike_id,
            symbol=symbol,
            entry_type="MARKET",
            notional=Decimal(500),
            stop_loss_pct=8.0,
            take_profit_pct=50.0,
            confidence=0.9,
            epoch=instance.worker.breaker_snapshot().epoch,
            decided_at_ms=now_ms,
            deadline_ms=now_ms + LONG_MS // 2,
            reasoning="a test's entry",
        )
    )


@pytest.mark.timeout(300)
def test_a_person_approves_pauses_halts_and_sells_everything(
    instance: LiveInstance, capsys: pytest.CaptureFixture[str], phone: JsonChannel, tmp_path: Path
) -> None:
    terminal = Terminal(capsys)
    spike_id = spike_of(instance, "SOLUSDT")
    assert propose(instance, "SOLUSDT", spike_id).outcome is ProposalOutcome.AWAITING_APPROVAL
    assert instance.received_orders() == []

    # No worker can say yes in the person's place: its socket has no such door.
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(instance.supervisor.paths.worker_socket)),
        base_url="http://core",
    ) as worker:
        for path in ("approvals/1/approve", "emergency/entries/resume", "emergency/liquidation"):
            assert worker.post(f"/v1/{path}", json={"reason": "let me"}).status_code == 404

    asked = phone.wait_for("Approve? Buy")
    assert "approvals approve 1" in asked["message"]
    (waiting,) = terminal("approvals", "list", "--pending")["approvals"]
    approved = terminal("approvals", "approve", str(waiting["id"]), "--reason", "looks fine")
    assert approved["result"]["outcome"] == "accepted"
    assert Decimal(approved["result"]["filled_quantity"]) > 0
    eventually(
        lambda: any(
            report.type == "STOP_LOSS" for report in instance.operator.portfolio().open_orders
        ),
        60,
        "the position has its stop",
    )

    # A trip says why, at what prices, with which positions, what was done and what comes next.
    phone.open.clear()  # the channel hangs, and nothing waits for it
    terminal("breaker", "trip", "--reason", "odd fills")
    assert terminal("breaker", "status")["snapshot"]["status"] == "TRIGGERED"
    assert phone.asked.wait(30)
    phone.open.set()
    halted = phone.wait_for("HALTED on sim: odd fills")
    for part in (
        "Reason: odd fills (operator)",
        "Prices: BTCUSDT ",
        "Positions: SOLUSDT ",
        "Done: no new entry is sent; open entries are cancelled; positions stay",
        "Next: nothing until a person releases the latch",
        "Audit log: ",
    ):
        assert part in halted["message"], halted
    phone.wait_for("The halt of epoch 1 has come to rest", 60)
    terminal("breaker", "clear", "--force", "--reason", "checked", "--epoch", "1")
    again = phone.wait_for("Trading again after 0:")
    assert "Result: SAFE, " in again["message"]
    assert "Capital saved: +" in again["message"] or "Capital saved: -" in again["message"]

    second = spike_of(instance, "ADAUSDT")
    assert propose(instance, "ADAUSDT", second).outcome is ProposalOutcome.AWAITING_APPROVAL
    terminal("emergency", "pause-agents", "risk_assessor", "--reason", "odd answers")
    refused = terminal("approvals", "approve", "2", code=1)
    assert refused["result"]["rule"] == "agent_paused"
    assert instance.worker.claim_spike("test", 0.2) is None
    assert instance.worker.controls().paused_agents == {"risk_assessor"}
    terminal("emergency", "resume-agents", "--reason", "looked into it")

    first = terminal("emergency", "halt-entries", "--reason", "going home")
    assert first["changed"]
    assert not terminal("emergency", "halt-entries")["changed"], "twice is once"
    report = terminal("emergency", "liquidate", "--yes", "--reason", "going home")
    assert report["status"] == "flat"
    (sold,) = report["positions"]
    assert sold["symbol"] == "SOLUSDT"
    assert Decimal(sold["sold"]) > 0
    assert sold["slippage_pct"] is not None
    assert "SOLUSDT" in phone.wait_for("Liquidation: flat")["message"]
    portfolio = instance.operator.portfolio()
    assert portfolio.positions == ()
    assert portfolio.open_orders == ()
    sides = [order["params"]["side"] for order in instance.received_orders()]
    assert sides.count("BUY") == 1

    terminal("emergency", "resume-entries", "--reason", "back")
    assert terminal("emergency", "status")["controls"] == []
    told = halted["message"].rsplit("Audit log: ", 1)[1].strip()
    report = terminal("audit", "verify", "--head", told)
    assert report["intact"], report["findings"]
    commands = {
        entry["subject"]
        for entry in terminal("audit", "show", "--kind", "operator", "--limit", "50")["entries"]
    }
    assert {"approval 1 given", "agents paused", "entries halted", "liquidation"} <= commands
    # A core that is killed cannot tell anybody; what started it does.
    os.kill(instance.supervisor.process_id("core"), signal.SIGKILL)
    eventually(
        lambda: instance.supervisor.check() or instance.supervisor.take_notes(), 60, "a new core"
    )
    phone.wait_for("spikeguard: core started again; it ended by SIGKILL")

    logs = "".join(log.read_text() for log in (tmp_path / "run" / "logs").glob("*.log"))
    assert "tripped by operator" in logs
    assert PASSWORD not in logs
