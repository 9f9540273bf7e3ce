"""The terminal view, drawn as text."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from memory_client import START_MS, make_spike
from rich.console import Console

from crews.live.view import render
from trading.api.schemas import (
    ActivityEntry,
    BreakerView,
    ComponentHealth,
    CoreStatus,
    Portfolio,
    SpikeView,
)
from trading.model.breaker import BreakerSnapshot, BreakerStatus
from trading.model.metrics import MarketSnapshot, Metric
from trading.model.order import OrderReport, OrderStatus, OrderType, Position, Side
from trading.model.spike import SpikeStatus

RULES = [f"{coin}_drawdown_{span}" for coin in ("btc", "eth") for span in ("5m", "1h", "4h")]
METRICS = tuple(
    Metric(name=name, value=12.3, hard_limit=15, soft_limit=9, unit="%", ready=True)
    for name in (*RULES, "market_index_4h", "breadth_1h")
)


def status(problem: str = "") -> CoreStatus:
    market = MarketSnapshot(
        time_ms=START_MS,
        metrics=METRICS,
        prices={},
        breadth_falling=0,
        breadth_tracked=12,
        feed_age_ms=5,
        healthy=not problem,
        problem=problem,
    )
    position = Position(
        symbol="LINKUSDT",
        quantity=Decimal("80.1"),
        average_entry_price=Decimal("12.58"),
        opened_at_ms=START_MS,
        stop_price=Decimal("12.28"),
    )
    stop = OrderReport(
        client_order_id="sg-1",
        venue_order_id="1",
        symbol="LINKUSDT",
        side=Side.SELL,
        type=OrderType.STOP_LOSS,
        status=OrderStatus.NEW,
        quantity=Decimal("80.1"),
        trigger_price=Decimal("12.28"),
        time_ms=START_MS,
    )
    money = Decimal("10000")
    portfolio = Portfolio(
        quote_asset="USDT",
        equity=money,
        free=money,
        balances=(),
        positions=(position,),
        open_orders=(stop,),
        reserved_exposure=Decimal(0),
        exposure=Decimal(0),
        realized_pnl=Decimal(0),
        unrealized_pnl=Decimal(0),
        prices={},
    )
    spike = make_spike(symbol="BTCUSDT")
    breaker = BreakerSnapshot(
        status=BreakerStatus.TRIGGERED,
        epoch=7,
        reason="fell [/x] far",
        changed_at_ms=START_MS,
        size_multiplier=0,
    )
    return CoreStatus(
        time_ms=START_MS,
        venue="sim",
        dry_run=False,
        account="sim",
        process_id=1,
        started_at_ms=START_MS,
        breaker=BreakerView(snapshot=breaker, market=market),
        portfolio=portfolio,
        spikes=(SpikeView(spike=spike, status=SpikeStatus.TRADED, note="X +1 %: bought"),),
        activity=(ActivityEntry(time_ms=START_MS, source="spike_crew", text="saw [/y] it"),),
        components=(ComponentHealth(name="feed", ok=False, detail="silent for 9 s"),),
        counters={"entries sent": 3, "entries refused": 0},
    )


def drawn(shown: CoreStatus, width: int, height: int, note: str = "") -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, record=True)
    console.print(render(shown, note))
    return console.export_text().rstrip("\n").split("\n")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (120, 40), (200, 60)])
def test_every_usual_terminal_shows_all_that_matters(width: int, height: int) -> None:
    lines = drawn(status(), width, height)
    assert len(lines) == height
    text = "\n".join(lines)
    for wanted in (
        "TRIGGERED   epoch 7",
        "not quiescent yet",
        "market index 4h",
        "breadth 1h",
        "12.3 of 15 %",
        "LINKUSDT",
        "12.28",
        "stop loss",
        "BTCUSDT",
        "+4.2 %",
        "traded bought",
        "spike_crew saw [/y] it",
        "entries sent 3",
        "✖ feed silent for 9 s",
    ):
        assert wanted in text, wanted
    assert "entries refused" not in text


def test_a_trip_that_has_come_to_rest_is_shown_as_quiescent() -> None:
    shown = status()
    rested = shown.breaker.model_copy(update={"quiescent_at_ms": START_MS})
    text = "\n".join(drawn(shown.model_copy(update={"breaker": rested}), 100, 30))
    assert "quiescent" in text
    assert "not quiescent" not in text


@pytest.mark.parametrize(("width", "height"), [(20, 5), (60, 15), (40, 60)])
def test_a_tiny_terminal_still_shows_the_breaker(width: int, height: int) -> None:
    assert "TRIGGERED" in "\n".join(drawn(status(), width, height))


def test_brackets_in_a_problem_or_a_note_are_shown_as_written() -> None:
    text = "\n".join(drawn(status("quiet [/z]"), 120, 40, note="core ended [/n]"))
    assert "fell [/x] far" in text
    assert "quiet [/z]" in text
    assert "core ended [/n]" in text


def test_what_only_starts_is_not_shown_as_failed() -> None:
    crews = ComponentHealth(name="crews", ok=False, starting=True)
    header = drawn(status().model_copy(update={"components": (crews,)}), 120, 40)[3]
    assert "◌ crews starting" in header
    assert "✖" not in header
