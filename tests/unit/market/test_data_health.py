"""Bad trades do not trip, real gaps do, and data that cannot be trusted is called so."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from trading.market.config import CrashDetectionConfig
from trading.model.market import Bar, Tick

MakeRig = Callable[..., Any]
CALM = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0}


@pytest.fixture
def rig(make_rig: MakeRig) -> Any:
    rig = make_rig()
    rig.calm(CALM)
    for symbol, price in CALM.items():
        rig.trade(symbol, price)
    return rig


def test_one_trade_at_a_mad_price_changes_nothing(rig: Any) -> None:
    rig.trade("BTCUSDT", 40_000.0)
    rig.trade("BTCUSDT", 59_990.0)
    assert rig.rules == []
    assert rig.spikes == []
    assert rig.engine.symbol_stats("BTCUSDT").windows["1m"].low >= 59_980.0
    assert rig.second().healthy


def test_a_gap_that_the_next_trades_confirm_is_a_crash(rig: Any) -> None:
    for price in (48_000.0, 47_900.0):
        rig.trade("BTCUSDT", price)
        assert rig.rules == []
    rig.trade("BTCUSDT", 47_950.0)
    rig.trade("BTCUSDT", 47_950.0, after_ms=3_000)
    assert "btc_drawdown_5m" in rig.rules
    assert rig.engine.last_price("BTCUSDT") == 47_950.0


def test_a_gap_that_keeps_falling_is_confirmed_too(rig: Any) -> None:
    for price in (50_000.0, 47_000.0, 44_000.0):
        rig.trade("BTCUSDT", price)
    rig.trade("BTCUSDT", 43_000.0, after_ms=3_000)
    assert "btc_drawdown_5m" in rig.rules


def test_mad_prices_that_do_not_agree_never_confirm_each_other(rig: Any) -> None:
    for price in (1.0, 30_000.0, 200.0, 900_000.0, 5.0):
        rig.trade("BTCUSDT", price)
    assert rig.rules == []
    assert rig.engine.last_price("BTCUSDT") == 60_000.0


def test_the_same_bad_trade_sent_again_confirms_nothing(rig: Any) -> None:
    bad = Tick("BTCUSDT", 40_000.0, 1.0, rig.clock.now_ms())
    for _ in range(5):
        rig.engine.on_tick(bad)
    assert rig.rules == []
    assert rig.engine.last_price("BTCUSDT") == 60_000.0


def test_a_fall_sent_twice_holds_no_longer_than_sent_once(rig: Any) -> None:
    rig.clock.advance_to(rig.clock.now_ms() + 100)
    deep = Tick("BTCUSDT", 54_001.0, 1.0, rig.clock.now_ms())
    rig.engine.on_tick(deep)  # not yet beyond the limit, which lies at 10 %
    deeper = Tick("BTCUSDT", 53_000.0, 1.0, rig.clock.now_ms())
    for _ in range(10):
        rig.engine.on_tick(deeper)
    assert rig.rules == []


def test_trades_out_of_order_count_from_the_latest_time_and_hold_for_none(rig: Any) -> None:
    now_ms = rig.clock.now_ms()
    rig.trade("BTCUSDT", 54_500.0)
    for late_ms in (60_000, 30_000, 10_000, 5_000):  # times that span more than the hold
        rig.engine.on_tick(Tick("BTCUSDT", 53_900.0, 1.0, now_ms - late_ms))
    assert rig.rules == []
    assert rig.engine.symbol_stats("BTCUSDT").windows["1m"].low == 53_900.0
    rig.trade("BTCUSDT", 53_900.0, after_ms=3_000)
    assert rig.rules == ["btc_drawdown_5m"]


def test_old_trades_that_keep_coming_do_not_end_a_silence(rig: Any) -> None:
    long_ago_ms = rig.clock.now_ms()
    for _ in range(12):
        rig.trade("ETHUSDT", 3_000.0)
        rig.engine.on_tick(Tick("BTCUSDT", 60_000.0, 1.0, long_ago_ms))
        snapshot = rig.second()
    assert not snapshot.healthy
    assert "stale: no trade of BTCUSDT" in snapshot.problem


def test_a_fall_over_a_gap_in_the_trades_counts(rig: Any) -> None:
    rig.trade("BTCUSDT", 53_000.0, after_ms=9_000)
    rig.trade("BTCUSDT", 53_000.0, after_ms=3_000)
    assert rig.rules == ["btc_drawdown_5m"]


def test_bars_fetched_after_a_gap_give_the_windows_the_high_that_was_missed(rig: Any) -> None:
    rig.trade("BTCUSDT", 60_000.0, after_ms=180_000)
    start_ms = rig.start_ms + 60_000
    rig.engine.on_bar_history(
        "BTCUSDT", [Bar("BTCUSDT", start_ms, 60_000, 6e4, 66_000.0, 6e4, 6e4, 5.0)]
    )
    metrics = {metric.name: metric for metric in rig.second().metrics}
    assert metrics["btc_drawdown_5m"].value == pytest.approx(100 * (1 - 60 / 66))


def test_a_large_move_after_a_pause_is_believed(rig: Any) -> None:
    rig.trade("BTCUSDT", 51_000.0, after_ms=15_000)  # 15 % within 15 s, as bars show it
    assert rig.engine.last_price("BTCUSDT") == 51_000.0


def test_repeated_bad_trades_of_btc_make_the_data_unhealthy_for_a_minute(rig: Any) -> None:
    for _ in range(3):
        rig.trade("BTCUSDT", 30_000.0)
        rig.trade("BTCUSDT", 60_000.0)
    snapshot = rig.second()
    assert not snapshot.healthy
    assert "insane" in snapshot.problem
    assert rig.rules == []
    for _ in range(61):
        rig.trade("BTCUSDT", 60_000.0)
        rig.trade("ETHUSDT", 3_000.0)
        snapshot = rig.second()
    assert snapshot.healthy


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
def test_impossible_prices_are_dropped(rig: Any, price: float) -> None:
    rig.trade("BTCUSDT", price)
    assert rig.engine.last_price("BTCUSDT") == 60_000.0


def test_a_trade_from_the_future_is_dropped(rig: Any) -> None:
    future_ms = rig.clock.now_ms() + 60_000
    rig.engine.on_tick(Tick("BTCUSDT", 59_000.0, 1.0, future_ms))
    assert rig.engine.last_price("BTCUSDT") == 60_000.0


def test_btc_without_trades_is_stale(rig: Any) -> None:
    for _ in range(11):
        rig.trade("ETHUSDT", 3_000.0)
        snapshot = rig.second()
    assert not snapshot.healthy
    assert "stale: no trade of BTCUSDT" in snapshot.problem
    assert snapshot.feed_age_ms == 1000
    rig.trade("BTCUSDT", 60_000.0)
    assert rig.second().healthy


def test_a_feed_that_never_starts_is_stale_after_the_same_time(make_rig: MakeRig) -> None:
    rig = make_rig(crash=CrashDetectionConfig(stale_after_ms=3_000))
    assert rig.engine.feed_age_ms is None
    assert rig.second().healthy
    for _ in range(3):
        snapshot = rig.second()
    assert not snapshot.healthy
    assert snapshot.feed_age_ms is None


def test_trades_of_other_pairs_are_ignored(rig: Any) -> None:
    rig.trade("SHIBUSDT", 1.0)
    assert rig.engine.last_price("SHIBUSDT") is None


def test_a_clock_that_goes_back_is_unsafe_data_and_not_endless_freshness(rig: Any) -> None:
    assert rig.second().healthy
    snapshot = rig.engine.advance(rig.clock.now_ms() - 3_600_000)
    assert not snapshot.healthy
    assert "clock" in snapshot.problem


def test_a_pair_whose_own_trades_stopped_has_no_price_to_enter_by(rig: Any) -> None:
    for _ in range(60):
        rig.trade("BTCUSDT", 60_000.0, after_ms=1_000)
    assert rig.engine.entry_price("ETHUSDT") == 3_000.0
    rig.trade("BTCUSDT", 60_000.0, after_ms=1_000)
    assert rig.engine.entry_price("ETHUSDT") is None
    assert rig.engine.last_price("ETHUSDT") == 3_000.0
    assert rig.engine.entry_price("BTCUSDT") == 60_000.0
    assert rig.engine.entry_price("NOSUCHUSDT") is None
