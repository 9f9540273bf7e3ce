"""The order tool takes nothing on trust: numbers, symbol, epoch and approvals are on record."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from memory_client import (
    START_MS,
    SYMBOL,
    MemoryTradingClient,
    make_claim,
    make_snapshot,
    make_spike,
)

from tools.base import TradingTool
from tools.registry import tools_named
from tools.run_context import RunContext, run_scope
from trading.errors import ConfigurationError, CoreTimeoutError

TRADE = {
    "symbol": SYMBOL,
    "notional": 1000.0,
    "stop_loss_pct": 2.0,
    "take_profit_pct": 4.0,
    "confidence": 0.8,
    "reasoning": "momentum of its own",
}


class Desk:
    """A client, a run and the three tools on the way to an order."""

    def __init__(self, **spike: Any) -> None:
        self.client = MemoryTradingClient()
        claim = make_claim(make_spike(**spike))
        self.run = RunContext("spike_trading", claim.epoch, claim.deadline_ms, claim.spike)

    def call(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        (tool,) = tools_named(self.client, [name])
        with run_scope(self.run):
            answer: dict[str, Any] = json.loads(tool.run(**arguments))
        return answer

    def approve(self) -> None:
        assert self.call("check_market_stability")["stable"]
        assert self.call("evaluate_trade_risk", **TRADE)["approved"]


def test_an_approved_trade_is_proposed_with_the_runs_epoch_and_times() -> None:
    desk = Desk()
    desk.approve()
    answer = desk.call("place_entry_order", **TRADE)
    assert answer["outcome"] == "accepted"
    (proposal,) = desk.client.proposals
    assert proposal.epoch == desk.run.epoch
    assert proposal.decided_at_ms == START_MS
    assert proposal.deadline_ms == START_MS + 10_000
    assert proposal.spike_id == desk.run.spike_id


@pytest.mark.parametrize(
    "change",
    [
        {"notional": float("nan")},
        {"notional": float("inf")},
        {"notional": -5},
        {"stop_loss_pct": "NaN"},
        {"confidence": 7},
        {"confidence": float("nan")},
        {"epoch": 99},
        {"deadline_ms": 10**15},
        {"symbol": "SOLUSDT; DROP TABLE orders"},
        {"reasoning": "x" * 5000},
    ],
)
def test_malicious_arguments_are_refused_before_the_core_hears_of_them(
    change: dict[str, Any],
) -> None:
    desk = Desk()
    desk.approve()
    answer = desk.call("place_entry_order", **{**TRADE, **change})
    assert answer["error"] == "InvalidArguments"
    assert desk.client.changes() == []


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"symbol": "DOGEUSDT"}, "other_symbol"),
        ({"stop_loss_pct": 9.0}, "risk"),
        ({"take_profit_pct": 1.0}, "risk"),
    ],
)
def test_a_trade_with_other_numbers_than_the_approved_is_refused(
    change: dict[str, Any], rule: str
) -> None:
    desk = Desk()
    desk.approve()
    answer = desk.call("place_entry_order", **{**TRADE, **change})
    assert answer["ok"] is False
    assert answer["message"].startswith(f"{rule}:")
    assert desk.client.changes() == []


def test_a_larger_notional_than_evaluated_is_cut_to_the_evaluated_one() -> None:
    desk = Desk()
    desk.approve()
    desk.call("place_entry_order", **{**TRADE, "notional": 9_000_000.0})
    assert desk.client.proposals[0].notional == 1000


def test_an_order_without_a_risk_approval_is_refused() -> None:
    desk = Desk()
    desk.call("check_market_stability")
    assert desk.call("place_entry_order", **TRADE)["message"].startswith("risk:")
    desk.client.refuse_preview = True
    desk.call("evaluate_trade_risk", **TRADE)
    assert desk.call("place_entry_order", **TRADE)["message"].startswith("risk:")
    assert desk.client.changes() == []


def test_an_order_without_a_passed_stability_check_is_refused() -> None:
    desk = Desk()
    desk.call("evaluate_trade_risk", **TRADE)
    assert desk.call("place_entry_order", **TRADE)["message"].startswith("stability:")
    desk.client.healthy = False
    desk.call("check_market_stability")
    assert desk.call("place_entry_order", **TRADE)["message"].startswith("stability:")
    assert desk.client.changes() == []


def test_a_falling_spike_is_not_bought() -> None:
    desk = Desk(direction="down", magnitude_pct=-4.0)
    assert desk.call("evaluate_trade_risk", **TRADE)["message"].startswith("direction:")


def test_no_order_leaves_outside_a_run_or_after_its_deadline() -> None:
    desk = Desk()
    desk.approve()
    (tool,) = tools_named(desk.client, ["place_entry_order"])
    assert json.loads(tool.run(**TRADE))["message"].startswith("no_run:")
    desk.client.time_ms += 45_000
    assert desk.call("place_entry_order", **TRADE)["message"].startswith("deadline:")
    assert desk.client.changes() == []


def test_a_run_proposes_once_however_many_threads_ask() -> None:
    desk = Desk()
    desk.approve()
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        desk.call("place_entry_order", **TRADE)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(desk.client.proposals) == 1


def test_in_warning_the_breakers_cap_is_applied_once_and_not_twice() -> None:
    desk = Desk()
    desk.client.snapshot = make_snapshot("WARNING", 0)
    choice = {key: TRADE[key] for key in ("symbol", "stop_loss_pct", "take_profit_pct")}
    size = desk.call("calculate_position_size", **choice, confidence=0.8)
    assert size["approved_notional"] == 1000.0  # 2000 allowed, halved by WARNING
    trade = {**TRADE, "notional": size["notional_to_request"]}
    assert desk.call("evaluate_trade_risk", **trade)["approved_notional"] == 1000.0


def test_an_error_of_the_core_becomes_an_answer() -> None:
    desk = Desk()

    def fail(name: str) -> None:
        if name == "portfolio":
            raise CoreTimeoutError("no answer within 10 s")

    desk.client.on_call = fail
    answer = desk.call("get_portfolio")
    assert answer["ok"] is False
    assert answer["error"] == "CoreTimeoutError"
    assert answer["breaker"]["status"] == "SAFE"


def test_a_lost_record_does_not_lose_the_answer() -> None:
    desk = Desk()

    def fail(name: str) -> None:
        if name == "record_tool_execution":
            raise CoreTimeoutError("no answer within 10 s")

    desk.client.on_call = fail
    assert desk.call("get_portfolio")["ok"] is True


def test_an_unknown_tool_name_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="sell_everything"):
        tools_named(MemoryTradingClient(), ["sell_everything"])


def test_every_answer_is_strict_json() -> None:
    def no_constants(name: str) -> float:
        raise AssertionError(f"{name} in an answer")

    desk = Desk()
    tool: TradingTool
    for tool in tools_named(desk.client, ["get_market_windows", "analyze_spike_context"]):
        json.loads(tool.run(symbol=SYMBOL), parse_constant=no_constants)
