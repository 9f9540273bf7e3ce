"""Crash rules, through the engine, trade by trade."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trading.market.config import BreadthConfig, CrashDetectionConfig, MarketIndexConfig
from trading.market.crash_detector import CrashDetector
from trading.model.signals import FuturesPrice

MakeRig = Callable[..., Any]
ALTS = tuple(f"ALT{index}USDT" for index in range(10))
CALM = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0}


def fall(rig: Any, symbol: str, start: float, pct: float, steps: int = 40) -> None:
    """Down by ``pct`` in equal steps, one trade every 100 ms, and there it stays for 3 s."""
    for step in range(1, steps + 1):
        rig.trade(symbol, start * (1 - pct / 100 * step / steps))
    rig.trade(symbol, start * (1 - pct / 100), after_ms=3_000)


def test_a_fall_of_btc_beyond_its_five_minute_limit_is_a_crash(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.calm(CALM)
    fall(rig, "BTCUSDT", 60_000.0, 9.9)
    assert rig.rules == []
    fall(rig, "BTCUSDT", 54_060.0, 1.0, steps=10)
    assert rig.rules == ["btc_drawdown_5m"]
    assert "BTC fell 10" in rig.crashes[0].reason
    assert rig.engine.active_breaches == ("btc_drawdown_5m",)


def test_the_published_snapshot_holds_the_breached_metric(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.calm(CALM)
    fall(rig, "BTCUSDT", 60_000.0, 11.0)
    market = rig.crashes[0].market()
    assert market.worst.name == "btc_drawdown_5m"
    assert market.worst.is_breached
    assert market.prices["BTCUSDT"] <= 54_000


@pytest.mark.parametrize(
    ("symbol", "pause_ms", "pct", "rule"),
    [
        ("BTCUSDT", 60_000, 16.0, "btc_drawdown_1h"),
        ("BTCUSDT", 300_000, 21.0, "btc_drawdown_4h"),
        ("ETHUSDT", 60_000, 16.0, "eth_drawdown_1h"),
        ("ETHUSDT", 300_000, 26.0, "eth_drawdown_4h"),
    ],
)
def test_slower_falls_breach_the_longer_windows(
    make_rig: MakeRig, symbol: str, pause_ms: int, pct: float, rule: str
) -> None:
    rig = make_rig()
    rig.calm(CALM)
    start = CALM[symbol]
    for step in range(1, 41):
        rig.trade(symbol, start * (1 - pct / 100 * step / 40), after_ms=pause_ms)
    assert rig.rules == [rule]


def test_the_fall_counts_from_the_rolling_high_not_from_the_mean(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.calm(CALM)
    fall(rig, "BTCUSDT", 60_000.0, -6.0)  # up to 63,600
    fall(rig, "BTCUSDT", 63_600.0, 10.5)  # 56,922: only 5 % below the mean of the hour
    assert rig.rules == ["btc_drawdown_5m"]


def test_a_fall_that_does_not_hold_is_a_wick(make_rig: MakeRig) -> None:
    rig = make_rig(crash=CrashDetectionConfig(max_tick_jump_pct=50))
    rig.calm(CALM)
    for _ in range(20):  # 2 s below the limit
        rig.trade("BTCUSDT", 53_000.0)
    rig.trade("BTCUSDT", 59_000.0)
    rig.trade("BTCUSDT", 53_000.0, after_ms=1_000)
    assert rig.rules == []
    rig.trade("BTCUSDT", 52_900.0, after_ms=2_900)
    assert rig.rules == []
    rig.trade("BTCUSDT", 52_900.0)
    assert rig.rules == ["btc_drawdown_5m"]


def test_a_bounce_that_would_not_arm_the_rule_again_does_not_end_the_hold(
    make_rig: MakeRig,
) -> None:
    rig = make_rig(crash=CrashDetectionConfig(max_tick_jump_pct=50))
    rig.calm(CALM)
    rig.trade("BTCUSDT", 53_000.0)
    rig.trade("BTCUSDT", 54_900.0, after_ms=1_500)  # 8.5 % down, limit 10 %
    rig.trade("BTCUSDT", 53_000.0, after_ms=1_500)
    assert rig.rules == ["btc_drawdown_5m"]


def test_one_trade_alone_never_holds(make_rig: MakeRig) -> None:
    rig = make_rig(crash=CrashDetectionConfig(max_tick_jump_pct=50, confirmation_hold_ms=0))
    rig.calm(CALM)
    rig.trade("BTCUSDT", 53_000.0)
    assert rig.rules == []
    rig.trade("BTCUSDT", 53_000.0)
    assert rig.rules == ["btc_drawdown_5m"]


def test_the_other_leader_half_way_to_its_limit_confirms_at_once(make_rig: MakeRig) -> None:
    rig = make_rig(crash=CrashDetectionConfig(max_tick_jump_pct=50))
    rig.calm(CALM)
    rig.trade("ETHUSDT", 2_790.0)  # -7 %, limit 12 %
    rig.trade("BTCUSDT", 53_000.0)
    assert rig.rules == ["btc_drawdown_5m"]


def test_the_coins_own_futures_confirm_at_once(make_rig: MakeRig) -> None:
    rig = make_rig(crash=CrashDetectionConfig(max_tick_jump_pct=50))
    rig.calm(CALM)
    for price in (60_000.0, 56_000.0):  # -6.7 %, limit 10 %
        rig.engine.on_futures_price(FuturesPrice("BTCUSDT", price, rig.clock.now_ms()))
    rig.trade("BTCUSDT", 53_000.0)
    assert rig.rules == ["btc_drawdown_5m"]


def test_futures_that_were_heard_too_long_ago_confirm_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(crash=CrashDetectionConfig(max_tick_jump_pct=50))
    rig.calm(CALM)
    for price in (60_000.0, 56_000.0):
        rig.engine.on_futures_price(FuturesPrice("BTCUSDT", price, rig.clock.now_ms()))
    rig.trade("BTCUSDT", 53_000.0, after_ms=20_000)
    assert rig.rules == []


def test_the_other_pairs_falling_confirm_at_once(make_rig: MakeRig) -> None:
    rig = make_rig(("BTCUSDT", "ETHUSDT", *ALTS), crash=CrashDetectionConfig(max_tick_jump_pct=50))
    rig.calm(CALM | dict.fromkeys(ALTS, 10.0))
    for symbol in ALTS[:4]:  # a third of the pairs; half of them would trip by itself
        rig.trade(symbol, 8.3)
    rig.second()
    rig.trade("BTCUSDT", 53_000.0)
    assert rig.rules == ["btc_drawdown_5m"]


def test_a_fall_counts_even_without_any_history(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.trade("BTCUSDT", 60_000.0)
    fall(rig, "BTCUSDT", 60_000.0, 11.0)
    assert rig.rules == ["btc_drawdown_5m"]


def test_an_ongoing_breach_is_published_once_and_again_after_it_was_over(
    make_rig: MakeRig,
) -> None:
    rig = make_rig(crash=CrashDetectionConfig(rearm_after_s=10))
    rig.calm(CALM)
    fall(rig, "BTCUSDT", 60_000.0, 12.0)
    for _ in range(5):
        rig.trade("BTCUSDT", 53_000.0)
        rig.second()
    assert rig.rules == ["btc_drawdown_5m"]
    fall(rig, "BTCUSDT", 53_000.0, -10.0)
    for _ in range(12):
        rig.second()
    assert rig.engine.active_breaches == ()
    fall(rig, "BTCUSDT", 58_300.0, 11.5)
    assert rig.rules == ["btc_drawdown_5m"] * 2


def test_many_pairs_falling_trip_while_btc_and_eth_stand(make_rig: MakeRig) -> None:
    rig = make_rig(("BTCUSDT", "ETHUSDT", *ALTS), crash=CrashDetectionConfig(max_tick_jump_pct=50))
    rig.calm(CALM | dict.fromkeys(ALTS, 10.0))
    rig.second()
    for symbol in ALTS[:5]:
        rig.trade(symbol, 8.3)
    assert rig.second().breadth_falling == 5
    assert rig.rules == []
    rig.trade(ALTS[5], 8.3)
    snapshot = rig.second()
    assert rig.rules == ["breadth_1h"]
    assert (snapshot.breadth_falling, snapshot.breadth_tracked) == (6, 12)
    assert "6 of 12 pairs" in rig.crashes[0].reason


def test_breadth_says_nothing_with_too_few_pairs(make_rig: MakeRig) -> None:
    rig = make_rig(crash=CrashDetectionConfig(breadth=BreadthConfig(min_pairs=3)))
    rig.calm(CALM)
    snapshot = rig.second()
    breadth = next(metric for metric in snapshot.metrics if metric.name == "breadth_1h")
    assert not breadth.ready


def test_the_index_falls_by_the_weighted_returns(make_rig: MakeRig) -> None:
    rig = make_rig(("BTCUSDT", "ETHUSDT", *ALTS), crash=CrashDetectionConfig(max_tick_jump_pct=50))
    rig.calm(CALM | dict.fromkeys(ALTS, 10.0), wobble=0.0)
    rig.second()
    for symbol in ALTS:
        rig.trade(symbol, 5.0)
    snapshot = rig.second()
    for rule in ("market_index_1h", "market_index_4h"):
        index = next(metric for metric in snapshot.metrics if metric.name == rule)
        assert index.value == pytest.approx(15.0)


def test_one_coin_beside_btc_and_eth_is_not_the_market(make_rig: MakeRig) -> None:
    crash = CrashDetectionConfig(max_tick_jump_pct=50, max_tick_drift_pct_per_s=100)
    rig = make_rig(("BTCUSDT", "ETHUSDT", "LUNAUSDT"), crash=crash)
    rig.calm(CALM | {"LUNAUSDT": 80.0}, wobble=0.0)
    rig.second()
    for price in (60.0, 40.0, 25.0, 20.0):
        rig.trade("LUNAUSDT", price)
    metrics = {metric.name: metric for metric in rig.second().metrics}
    assert metrics["market_index_1h"].value == pytest.approx(75.0 * 0.05 / 0.75)
    assert rig.rules == []


def test_a_coin_that_falls_to_nothing_costs_the_index_its_weight_and_no_more(
    make_rig: MakeRig,
) -> None:
    crash = CrashDetectionConfig(max_tick_jump_pct=90, max_tick_drift_pct_per_s=100)
    rig = make_rig(("BTCUSDT", "ETHUSDT", "LUNAUSDT"), crash=crash)
    rig.calm(CALM | {"LUNAUSDT": 80.0}, wobble=0.0)
    rig.second()
    price = 80.0
    for _ in range(30):
        price /= 2
        rig.trade("LUNAUSDT", price)
        rig.second()
    metrics = {metric.name: metric for metric in rig.second().metrics}
    assert metrics["market_index_4h"].value == pytest.approx(100 * 0.05 / 0.75, abs=0.01)
    assert rig.rules == []


def test_a_coin_that_rises_a_hundredfold_and_falls_back_is_not_the_market(
    make_rig: MakeRig,
) -> None:
    crash = CrashDetectionConfig(max_tick_jump_pct=90, max_tick_drift_pct_per_s=100)
    rig = make_rig(("BTCUSDT", "ETHUSDT", "LUNAUSDT"), crash=crash)
    rig.calm(CALM | {"LUNAUSDT": 0.0001}, wobble=0.0)
    rig.second()
    for price in (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.005, 0.002, 0.001, 0.0002, 0.0001):
        rig.trade("LUNAUSDT", price)
        rig.second()
    assert rig.rules == []


def test_an_index_that_only_btc_moves_has_to_hold(make_rig: MakeRig) -> None:
    crash = CrashDetectionConfig(
        max_tick_jump_pct=50,
        market_index=MarketIndexConfig(fall_1h_pct=6.0),
        confirmation_hold_ms=5_000,
    )
    rig = make_rig(crash=crash)
    rig.calm(CALM, wobble=0.0)
    rig.second()
    rig.trade("BTCUSDT", 54_600.0)  # 9 %: 6.4 % of the index
    for _ in range(5):
        rig.second()
    assert rig.rules == []
    rig.second()
    assert rig.rules == ["market_index_1h"]


def test_an_index_that_both_leaders_move_is_believed_at_once(make_rig: MakeRig) -> None:
    crash = CrashDetectionConfig(market_index=MarketIndexConfig(fall_1h_pct=6.0))
    rig = make_rig(crash=crash)
    rig.calm(CALM, wobble=0.0)
    rig.second()
    rig.trade("BTCUSDT", 55_800.0)
    rig.trade("ETHUSDT", 2_800.0)
    rig.second()
    assert rig.rules == ["market_index_1h"]


def test_history_alone_gives_the_drawdowns(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.calm({"BTCUSDT": 66_000.0, "ETHUSDT": 3_000.0})
    rig.trade("BTCUSDT", 60_000.0, after_ms=1000)
    values = {metric.name: metric for metric in rig.second().metrics}
    assert values["btc_drawdown_4h"].value == pytest.approx(9.1, abs=0.1)
    assert values["btc_drawdown_4h"].ready


def test_metrics_carry_hard_and_soft_limits(make_rig: MakeRig) -> None:
    rig = make_rig()
    config = CrashDetectionConfig()
    metrics = {metric.name: metric for metric in rig.second().metrics}
    assert {name: metric.hard_limit for name, metric in metrics.items()} == {
        "btc_drawdown_5m": 10.0,
        "btc_drawdown_1h": 15.0,
        "btc_drawdown_4h": 20.0,
        "eth_drawdown_5m": 12.0,
        "eth_drawdown_1h": 15.0,
        "eth_drawdown_4h": 25.0,
        "market_index_1h": config.market_index.fall_1h_pct,
        "market_index_4h": config.market_index.fall_4h_pct,
        "breadth_1h": config.breadth.share * 100,
        "volume_collapse": 10.0,
        "liquidations_1h": 500e6,
        "funding_8h": 1.0,
        "stablecoin_peg": 3.0,
        "btc_futures_gap": 5.0,
        "eth_futures_gap": 5.0,
    }
    assert metrics["btc_drawdown_5m"].soft_limit == pytest.approx(6.0)
    assert not any(metric.ready for metric in metrics.values())


def test_a_detector_with_a_trip_price_too_low_is_found_out(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = CrashDetector.trip_price
    monkeypatch.setattr(
        CrashDetector, "trip_price", lambda self, leader: honest(self, leader) * 0.98
    )
    with pytest.raises(AssertionError):
        test_a_fall_of_btc_beyond_its_five_minute_limit_is_a_crash(make_rig)
