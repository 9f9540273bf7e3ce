"""Every tool reads the breaker before anything else, and while TRIGGERED refuses or only reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from memory_client import (
    SYMBOL,
    MemoryTradingClient,
    make_claim,
    make_snapshot,
    make_spike,
)

from tools import mcp_tools
from tools.base import ToolClass, TradingTool
from tools.binance_tools import ClosePosition, PlaceEntryOrder
from tools.circuit_breaker_tools import CheckCircuitBreakerStatus
from tools.registry import TOOL_NAMES, TOOL_TYPES, all_tools
from tools.run_context import RunContext, run_scope
from trading.model.breaker import BreakerSnapshot

TRADE = {
    "symbol": SYMBOL,
    "notional": 100.0,
    "stop_loss_pct": 2.0,
    "take_profit_pct": 4.0,
    "confidence": 0.8,
    "reasoning": "a test of the tool",
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "trigger_circuit_breaker": {"reason": "a test of the tool"},
    "set_circuit_breaker_warning": {"reason": "a test of the tool"},
    "start_circuit_breaker_recovery": {"reason": "a test of the tool"},
    "clear_circuit_breaker": {"reason": "a test of the tool"},
    "calculate_market_drawdown": {"symbol": "BTCUSDT"},
    "get_market_windows": {"symbol": SYMBOL},
    "get_order_book": {"symbol": SYMBOL},
    "place_entry_order": TRADE,
    "cancel_order": {"client_order_id": "sg-1", "reason": "a test of the tool"},
    "close_position": {"symbol": SYMBOL, "reason": "a test of the tool"},
    "analyze_spike_context": {"symbol": SYMBOL},
    "summarize_technicals": {"symbol": SYMBOL},
    "get_futures_data": {"symbol": SYMBOL},
    "analyze_correlation": {"symbols": ["BTCUSDT", SYMBOL]},
    "detect_manipulation": {"symbol": SYMBOL},
    "match_spike_history": {"symbol": SYMBOL},
    "get_news_sentiment": {"symbol": SYMBOL},
    "get_social_sentiment": {"symbol": SYMBOL},
    "get_large_transfers": {"asset": "SOL"},
    "calculate_risk_metrics": {"symbol": SYMBOL},
    "calculate_slippage": {"symbol": SYMBOL, "notional": 1000.0},
    "optimize_position_size": {
        "symbol": SYMBOL,
        "stop_loss_pct": 2.0,
        "take_profit_pct": 4.0,
        "confidence": 0.8,
        "win_probability": 0.6,
    },
    "calculate_position_size": {
        "symbol": SYMBOL,
        "stop_loss_pct": 2.0,
        "take_profit_pct": 4.0,
        "confidence": 0.8,
    },
    "evaluate_trade_risk": TRADE,
}


def run_of(client: MemoryTradingClient, **fields: Any) -> RunContext:
    claim = make_claim(**fields)
    return RunContext("spike_trading", claim.epoch, claim.deadline_ms, claim.spike)


def call(tool: TradingTool, **arguments: Any) -> dict[str, Any]:
    answer = json.loads(tool.run(**(arguments or ARGUMENTS.get(tool.name, {}))))
    assert isinstance(answer, dict)
    return answer


def answers_under(
    client: MemoryTradingClient, snapshot: BreakerSnapshot, *, epoch: int
) -> dict[str, dict[str, Any]]:
    """What every tool answers under ``snapshot``, in a run of ``epoch``."""
    answers = {}
    with run_scope(run_of(client, epoch=epoch)):
        for tool in all_tools(client):
            client.snapshot = snapshot
            answers[tool.name] = call(tool)
    return answers


def check_halted(tool: TradingTool, client: MemoryTradingClient) -> None:
    """What must hold for a tool that is called while the breaker is TRIGGERED."""
    client.snapshot = make_snapshot("TRIGGERED", 7, reason="crash")
    with run_scope(run_of(client, epoch=7)):
        answer = call(tool)
    assert client.names()[:1] == ["breaker_snapshot"], "something else came before the breaker"
    assert client.changes() == [], f"{tool.name} changed something: {client.changes()}"
    assert answer["breaker"] == {"status": "TRIGGERED", "epoch": 7}
    if tool.tool_class in (ToolClass.ANALYSE, ToolClass.INCREASE_RISK, ToolClass.REDUCE_RISK):
        assert answer["ok"] is False
        assert answer["error"] == "TradingHaltedError"


@pytest.mark.parametrize("name", TOOL_NAMES)
def test_a_tool_called_while_triggered_refuses_or_only_reads(name: str) -> None:
    client = MemoryTradingClient()
    tool = next(tool for tool in all_tools(client) if tool.name == name)
    check_halted(tool, client)


class _SkipsTheBreaker(ClosePosition):
    """A broken tool: acts without looking."""

    def _run(self, **kwargs: Any) -> str:
        self._client.close_position(kwargs["symbol"], kwargs["reason"])
        return json.dumps({"ok": True, "breaker": {"status": "TRIGGERED", "epoch": 7}})


class _NeverRefuses(PlaceEntryOrder):
    """A broken tool: reads the breaker and does not care."""

    def refusal(self, snapshot: Any) -> str | None:
        return None


class _LooksLate(CheckCircuitBreakerStatus):
    """A broken tool: works first, then reads the breaker."""

    def _run(self, **kwargs: Any) -> str:
        self._client.market()
        return super()._run(**kwargs)


@pytest.mark.parametrize("mutant", [_SkipsTheBreaker, _NeverRefuses, _LooksLate])
def test_the_halted_check_catches_a_broken_tool(mutant: type[TradingTool]) -> None:
    client = MemoryTradingClient()
    with pytest.raises(AssertionError):
        check_halted(mutant(client), client)


def test_the_registry_holds_every_tool_class_there_is() -> None:
    def leaves(kind: type[TradingTool]) -> set[type[TradingTool]]:
        below = [k for k in kind.__subclasses__() if k.__module__.startswith("tools.")]
        named = {kind} if "name" in kind.model_fields and kind is not TradingTool else set()
        return named.union(*(leaves(k) for k in below)) if below else named

    abstract = {kind for kind in leaves(TradingTool) if kind.__name__.startswith("_")}
    by_configuration = {mcp_tools.ForeignTool, mcp_tools.RiskyForeignTool}
    assert leaves(TradingTool) - abstract - by_configuration == set(TOOL_TYPES)


def test_recovering_at_stage_zero_allows_no_entry_and_no_analysis_for_one() -> None:
    client = MemoryTradingClient()
    answers = answers_under(client, make_snapshot("RECOVERING", 3, size_multiplier=0.0), epoch=3)
    refused = {name for name, answer in answers.items() if not answer["ok"]}
    assert refused == {
        "place_entry_order",
        "analyze_spike_context",
        "summarize_technicals",
        "analyze_correlation",
        "detect_manipulation",
        "match_spike_history",
        "calculate_risk_metrics",
        "calculate_slippage",
        "calculate_position_size",
        "optimize_position_size",
        "evaluate_trade_risk",
    }
    assert "propose_trade" not in client.changes()


def test_no_tool_eases_the_breaker_in_any_state() -> None:
    for status in ("SAFE", "WARNING", "TRIGGERED", "RECOVERING"):
        client = MemoryTradingClient()
        client.snapshot = make_snapshot(status, 1)
        client.recovery_met = True
        for tool in all_tools(client):
            with run_scope(run_of(client, epoch=1)):
                call(tool)
            client.snapshot = make_snapshot(status, 1)
        assert not {"recover", "clear"} & set(client.changes())


def test_no_answer_is_ever_cached() -> None:
    for tool in all_tools(MemoryTradingClient()):
        assert tool.cache_function({}, "anything") is False


def test_every_call_leaves_a_record_with_the_breaker_it_saw() -> None:
    client = MemoryTradingClient()
    client.snapshot = make_snapshot("WARNING", 4)
    spike = make_spike()
    with run_scope(run_of(client, epoch=4)):
        for tool in all_tools(client, "some_agent"):
            client.snapshot = make_snapshot("WARNING", 4)
            call(tool)
    assert [record.tool_name for record in client.executions] == list(TOOL_NAMES)
    assert {record.breaker_epoch for record in client.executions} == {4}
    assert {record.agent_name for record in client.executions} == {"some_agent"}
    assert {record.spike_event_id for record in client.executions} == {spike.id}


def test_a_stale_epoch_refuses_the_order_tool_only() -> None:
    answers = answers_under(MemoryTradingClient(), make_snapshot("SAFE", 2), epoch=1)
    assert answers["place_entry_order"]["error"] == "StaleEpochError"
    assert [name for name, answer in answers.items() if not answer["ok"]] == ["place_entry_order"]


@pytest.mark.parametrize("reason", ["", "x", "falling, " * 500], ids=["empty", "short", "endless"])
def test_a_models_trip_is_not_refused_for_how_its_reason_reads(reason: str) -> None:
    client = MemoryTradingClient()
    tool = next(tool for tool in all_tools(client) if tool.name == "trigger_circuit_breaker")
    with run_scope(run_of(client)):
        answer = call(tool, reason=reason)
    assert answer["ok"] is True
    assert "trip" in client.names()
