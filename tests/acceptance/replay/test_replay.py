"""`replay` on recorded crashes: deterministic, halted when it must be, and honest about it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from openai_server import OpenAiServer, Refusal
from replayed import needs_data, replay
from rich.console import Console

from crews.config_loader import load_config
from crews.replay import run_replay
from crews.replay.options import ReplayOptions
from crews.replay.report import ReplayReport
from crews.replay.text import replay_tables
from crews.replay.world import RecordingExchange
from crews.report.content import Asked, build_report
from trading.clock import VirtualClock
from trading.errors import ConfigurationError, MarketDataError
from trading.model.breaker import BreakerSnapshot, BreakerStatus
from trading.model.market import Tick
from trading.model.order import OrderType, Side
from trading.simulator.config import SimulatorConfig
from trading.simulator.instruments import make_instrument
from trading.simulator.orders import NewOrder
from trading.storage.config import StorageConfig
from trading.storage.database import open_read_only

CRASH = ("--from", "2020-03-12T09:50", "--to", "2020-03-12T11:15")


@needs_data
@pytest.mark.timeout(400)
def test_the_same_crash_replayed_twice_gives_the_same_trace_and_no_entry_while_halted(
    tmp_path: Path,
) -> None:
    trace = tmp_path / "trace.jsonl"
    page, store = tmp_path / "page.html", tmp_path / "replay.sqlite3"
    first = replay(*CRASH, "--trace", str(trace), "--report", str(page), "--store", str(store))
    second = replay(*CRASH)

    assert first["trace_sha256"] == second["trace_sha256"]
    assert first["trace_sha256"] == hashlib.sha256(trace.read_bytes()).hexdigest()
    assert {trip["rule"] for trip in first["trips"]} >= {"btc_drawdown_1h", "eth_drawdown_1h"}
    assert all(trip.keys() >= {"at", "reason", "rule", "epoch"} for trip in first["trips"])
    assert first["entries_after_trip_while_halted"] == 0
    assert first["halted_minutes"] > 20
    assert first["spikes"] > 0
    assert first["crew_runs"] > 0
    assert first["agent_decisions"] >= first["crew_runs"]
    assert first["agent_failures"] == 0
    assert first["tool_calls"] > 0
    assert float(first["capital_saved"]) == pytest.approx(
        float(first["equity_end"]) - float(first["equity_end_without_breaker"])
    )
    assert_the_page_and_the_store_tell_of(first, page, store)


def assert_the_page_and_the_store_tell_of(
    replayed: dict[str, Any], page: Path, store: Path
) -> None:
    connection = open_read_only(StorageConfig(path=store))
    report = build_report(connection, Asked("USDT", "BTCUSDT"))
    connection.close()
    assert report.replay is not None
    assert report.replay["trace_sha256"] == replayed["trace_sha256"]
    assert report.trips + report.retrips == len(replayed["trips"])
    assert report.round_trips.count == replayed["trades_closed"]
    assert report.equity_end == pytest.approx(float(replayed["equity_end"]))
    twin = report.curves.without_breaker
    assert twin[-1][1] == pytest.approx(float(replayed["equity_end_without_breaker"]))
    assert len(twin) == len(report.curves.equity) > 60
    assert report.account is not None
    assert -100 * report.account.max_drawdown == pytest.approx(
        replayed["max_drawdown_pct"], abs=0.01
    )
    assert report.holding is not None
    assert report.holding.max_drawdown < -0.2  # it was a crash
    text = page.read_text(encoding="utf-8")
    assert replayed["trace_sha256"] in text
    assert "the same run without a breaker" in text


def test_the_recorder_at_the_exchange_would_show_an_entry_that_arrives_while_halted() -> None:
    """The figure that must be 0 is counted where orders arrive, whatever sent them."""
    clock = VirtualClock(1_700_000_000_000)
    instrument = make_instrument("SOLUSDT", 100.0)
    exchange = RecordingExchange(SimulatorConfig(), [instrument], clock)
    exchange.open_account("a")
    exchange.on_tick(Tick("SOLUSDT", 100.0, 1.0, clock.now_ms()))
    order = NewOrder(
        symbol="SOLUSDT", side=Side.BUY, type=OrderType.MARKET, quantity=Decimal("0.1")
    )
    exchange.breaker_now = snapshot(BreakerStatus.SAFE, 1.0)
    exchange.submit("a", order)
    assert exchange.entries_while_halted == 0
    exchange.breaker_now = snapshot(BreakerStatus.TRIGGERED, 0.0)
    exchange.submit("a", order)
    assert (exchange.entries_sent, exchange.entries_while_halted) == (2, 1)


def snapshot(status: BreakerStatus, size_multiplier: float) -> BreakerSnapshot:
    return BreakerSnapshot(status=status, epoch=1, changed_at_ms=0, size_multiplier=size_multiplier)


@needs_data
@pytest.mark.timeout(200)
def test_a_model_that_never_answers_is_told_of_and_not_only_as_the_one_that_decided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CREWAI_LLM_PROVIDER", "openai_compatible")
    with OpenAiServer(brain=lambda _messages: Refusal(401)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        report = replay("--from", "2020-03-12T10:30", "--to", "2020-03-12T10:40")
    assert report["agent_failures"] > 0
    assert "401" in report["last_failure"]
    told = StringIO()
    Console(file=told, width=100).print(*replay_tables(ReplayReport.model_validate(report)))
    assert f"{report['agent_failures']} of the decisions" in told.getvalue()


def test_a_folder_without_data_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MarketDataError, match=str(tmp_path)):
        run_replay(load_config(), ReplayOptions(data=tmp_path, window="2020-03-12"))


@pytest.mark.parametrize("name", ["report", "store", "trace"])
def test_a_place_that_is_not_there_is_refused_before_anything_is_replayed(
    tmp_path: Path, name: str
) -> None:
    nowhere = tmp_path / "nowhere" / "file"
    with pytest.raises(ConfigurationError, match=f"--{name} = {nowhere}"):
        run_replay(load_config(), replace(ReplayOptions(data=tmp_path), **{name: nowhere}))


def test_a_store_that_is_there_already_is_never_replayed_into(tmp_path: Path) -> None:
    mine = tmp_path / "mine.sqlite3"
    mine.write_text("precious")
    with pytest.raises(ConfigurationError, match="is there already"):
        run_replay(load_config(), ReplayOptions(data=tmp_path, store=mine))
    assert mine.read_text() == "precious"
