"""What the analysis and risk tools make of the core's answers."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from memory_client import START_MS, SYMBOL, MemoryTradingClient, make_claim, make_spike

from tools import risk_math
from tools.registry import tools_named
from tools.run_context import RunContext, run_scope
from trading.model.history import PastSpike
from trading.model.news import NewsKind, NewsView
from trading.model.order import Position

PUMP = {
    "thinness": 3.0,
    "speed": math.log(0.5),
    "rush_share": 0.6,
    "burst": math.log(50),
    "pre_move": math.log1p(4.0),
    "isolated": 1.0,
}


def ask(client: MemoryTradingClient, name: str, /, spike: Any = None, **arguments: Any) -> Any:
    (tool,) = tools_named(client, [name])
    claim = make_claim(spike or make_spike())
    run = RunContext("spike_trading", claim.epoch, claim.deadline_ms, claim.spike)
    with run_scope(run):
        return json.loads(tool.run(**arguments))


def past(outcome: str, pnl: str | None, distance: float) -> PastSpike:
    return PastSpike(
        id=f"spk-{distance}",
        symbol=SYMBOL,
        detected_at_ms=START_MS - 1,
        magnitude_pct=4.0,
        timeframe_minutes=5,
        volume_multiple=5.0,
        pump_likelihood=None,
        status="traded",
        outcome=outcome,
        pnl=pnl,
        distance=distance,
    )


def position(symbol: str, quantity: str, entry: str, stop: str | None) -> Position:
    return Position(
        symbol=symbol,
        quantity=Decimal(quantity),
        average_entry_price=Decimal(entry),
        opened_at_ms=START_MS,
        stop_price=None if stop is None else Decimal(stop),
    )


def test_the_book_tool_says_what_rests_near_and_what_orders_would_move() -> None:
    answer = ask(MemoryTradingClient(), "get_order_book", symbol=SYMBOL, depth=1)
    assert answer["depth"]["0.1%"]["asks"] == pytest.approx(104.21 * 1000)
    assert answer["impact_pct"]["1,000"]["buy"] == pytest.approx(0.0096, abs=1e-4)
    # 100,000 is within the 104,210 shown.
    assert answer["impact_pct"]["100,000"]["buy"] is not None


def test_an_order_beyond_the_shown_book_has_no_impact_figure() -> None:
    client = MemoryTradingClient()
    client.ask_depth = Decimal(10)
    assert ask(client, "get_order_book", symbol=SYMBOL)["impact_pct"]["10,000"]["buy"] is None


def test_pairs_that_move_alike_are_one_bet() -> None:
    answer = ask(MemoryTradingClient(), "analyze_correlation", symbols=["ETHUSDT", SYMBOL])
    assert answer["correlations"] == [["ETHUSDT", SYMBOL, 1.0]]
    assert answer["betas"][SYMBOL] == pytest.approx(1.0)
    assert answer["mean_correlation"] == 1.0


@pytest.mark.parametrize(
    "symbols", [["BTCUSDT"], ["BTCUSDT", "BTCUSDT"], ["BTCUSDT", "../etc/passwd"], "BTCUSDT"]
)
def test_correlation_takes_two_or_more_distinct_pairs_and_no_other_text(symbols: Any) -> None:
    client = MemoryTradingClient()
    assert ask(client, "analyze_correlation", symbols=symbols)["error"] == "InvalidArguments"
    assert "history" not in client.names()


def test_a_pump_is_named_by_the_features_that_speak_for_it() -> None:
    client = MemoryTradingClient()
    client.pump_likelihood, client.pump_features = 0.9, PUMP
    answer = ask(client, "detect_manipulation", symbol=SYMBOL)
    assert answer["pump_and_dump_likelihood"] == 0.9
    assert len(answer["warning_signs"]) == 5


def test_a_burst_of_posts_and_a_thin_book_raise_the_score() -> None:
    client = MemoryTradingClient()
    client.pump_likelihood = 0.5
    assert ask(client, "detect_manipulation", symbol=SYMBOL)["score"] == 0.5
    client.ask_depth = Decimal(10)  # 1,042 USD
    view = NewsView(
        symbol=SYMBOL, kind=NewsKind.SOCIAL, time_ms=START_MS, configured=True, burst=8.0
    )
    client.news_views[NewsKind.SOCIAL] = view
    answer = ask(client, "detect_manipulation", symbol=SYMBOL)
    assert answer["score"] == pytest.approx(0.595)
    assert answer["warning_signs"] == [
        "8 times the usual number of posts",
        "1,042 USD are offered within 1 %",
    ]


def test_the_manipulation_score_is_the_worse_of_the_spikes_and_of_now() -> None:
    client = MemoryTradingClient()
    spike = make_spike(pump_likelihood=0.8, pump_features=PUMP)
    answer = ask(client, "detect_manipulation", spike=spike, symbol=SYMBOL)
    assert answer["pump_and_dump_likelihood"] == 0.8
    assert answer["features"]["rush_share"] == 0.6


def test_an_unknown_pump_likelihood_is_said_to_be_unknown() -> None:
    client = MemoryTradingClient()
    client.pump_likelihood = None
    answer = ask(client, "detect_manipulation", symbol=SYMBOL)
    assert answer["pump_and_dump_likelihood"] is None
    assert answer["problem"]


def test_past_spikes_are_asked_for_by_the_runs_own_figures_and_summed_up() -> None:
    client = MemoryTradingClient()
    client.past = (past("profitable", "12.5", 0.1), past("unprofitable", "-2.5", 0.2))
    client.past += (past("pending", None, 0.3),)
    answer = ask(client, "match_spike_history", symbol=SYMBOL)
    (pattern,) = [argument for name, argument in client.calls if name == "past_spikes"]
    assert (pattern.magnitude_pct, pattern.before_ms) == (4.2, START_MS)
    assert (answer["closed"], answer["win_rate"], answer["mean_pnl"]) == (2, 0.5, 5.0)


def test_without_closed_trades_there_is_no_win_rate() -> None:
    answer = ask(MemoryTradingClient(), "match_spike_history", symbol=SYMBOL)
    assert answer["win_rate"] is None
    assert answer["mean_pnl"] is None


def test_slippage_beyond_the_book_is_said_with_the_share_that_fits() -> None:
    client = MemoryTradingClient()
    client.ask_depth = Decimal(1)
    answer = ask(client, "calculate_slippage", symbol=SYMBOL, notional=1042.1)
    assert answer["filled_share"] == pytest.approx(0.1)
    assert answer["largest_notional_within_limit"] == pytest.approx(104.21)


def test_the_portfolio_names_positions_without_a_stop_and_what_the_stops_would_cost() -> None:
    client = MemoryTradingClient()
    client.positions = (position(SYMBOL, "10", "100", "99.2"),)
    answer = ask(client, "analyze_portfolio")
    assert answer["positions"][0]["unrealized_pnl"] == pytest.approx(42.0)
    assert answer["loss_if_all_stops_pct"] == pytest.approx(0.5)  # 10 × (104.2 - 99.2) of 10,000
    assert answer["without_stop"] == []
    client.positions = (position(SYMBOL, "10", "100", None),)
    assert ask(client, "analyze_portfolio")["without_stop"] == [SYMBOL]


def test_a_position_without_a_price_makes_the_portfolio_unknown() -> None:
    client = MemoryTradingClient()
    client.positions = (position("DOGEUSDT", "10", "100", None),)
    answer = ask(client, "analyze_portfolio")
    assert answer["error"] == "MarketDataError"


def test_stability_gives_every_metrics_distance_to_its_limit() -> None:
    answer = ask(MemoryTradingClient(), "check_market_stability")
    assert answer["distances"] == [
        {
            "metric": "btc_drawdown_1h",
            "value": 1.5,
            "warning_at": 9.0,
            "halt_at": 15.0,
            "left": 13.5,
            "unit": "%",
        }
    ]
    assert answer["not_ready"] == ["eth_drawdown_1h"]
    assert answer["guardian"]["status"] == "SAFE"


SIZE = {"symbol": SYMBOL, "stop_loss_pct": 2.0, "take_profit_pct": 4.0, "confidence": 0.8}


def test_the_best_size_is_the_least_of_its_limits() -> None:
    client = MemoryTradingClient()
    answer = ask(client, "optimize_position_size", win_probability=0.6, **SIZE)
    # Kelly 0.6 - 0.4 / 2 = 0.4, a quarter of it at 2 % stop: half the equity five times over.
    assert answer["kelly_fraction"] == 0.4
    assert answer["limits"]["kelly"] == pytest.approx(50_000)
    assert (answer["binding"], answer["best_notional"]) == ("risk_engine", 2000.0)
    client.ask_depth = Decimal(1)
    answer = ask(client, "optimize_position_size", win_probability=0.6, **SIZE)
    assert (answer["binding"], answer["best_notional"]) == ("order_book", 104.21)


def test_a_bet_that_does_not_pay_gets_no_size() -> None:
    answer = ask(MemoryTradingClient(), "optimize_position_size", win_probability=0.3, **SIZE)
    assert (answer["binding"], answer["best_notional"]) == ("kelly", 0.0)


def test_risk_figures_follow_their_definitions() -> None:
    returns = [float(n) for n in range(-10, 90)]
    assert risk_math.value_at_risk_pct(returns, 0.95) == 6.0
    assert risk_math.expected_shortfall_pct(returns, 0.95) == 8.0
    assert risk_math.value_at_risk_pct(returns[:50], 0.99) is None
    assert risk_math.max_drawdown_pct([100, 120, 90, 110]) == pytest.approx(25.0)
    assert risk_math.downside_deviation_pct([3.0, -4.0]) == pytest.approx(math.sqrt(8))
    assert risk_math.concentration([50.0, 50.0]) == pytest.approx(0.5)


def test_every_figure_of_a_risk_answer_is_there_with_enough_bars() -> None:
    answer = ask(MemoryTradingClient(), "calculate_risk_metrics", symbol=SYMBOL, minutes=300)
    assert answer["bars"] == 300
    assert all(value is not None for value in answer.values())
