"""Bars of the past in the windows, and what the engine tells of a pair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.errors import MarketDataError
from trading.market.pseudo_ticks import bar_ticks
from trading.model.market import Bar

MakeRig = Callable[..., Any]
MINUTE_MS = 60_000
PRICES = st.floats(0.001, 1e5)


@given(prices=st.tuples(PRICES, PRICES, PRICES, PRICES), volume=st.floats(0, 1e6))
def test_a_bars_trades_have_its_prices_volume_and_time(
    prices: tuple[float, float, float, float], volume: float
) -> None:
    opened, closed = prices[:2]
    bar = Bar("X2USDT", 120_000, MINUTE_MS, opened, max(prices), min(prices), closed, volume)
    ticks = bar_ticks(bar)
    assert ticks[0].price == opened
    assert ticks[-1].price == closed
    assert max(tick.price for tick in ticks) == bar.high
    assert min(tick.price for tick in ticks) == bar.low
    assert sum(tick.quantity for tick in ticks) == pytest.approx(volume)
    times = [tick.time_ms for tick in ticks]
    assert times == [120_000, 135_000, 150_000, 179_999]


def test_a_rising_bar_sees_its_low_first_and_a_falling_one_its_high() -> None:
    rising = Bar("X2USDT", 0, MINUTE_MS, 10.0, 13.0, 9.0, 12.0, 1.0)
    falling = Bar("X2USDT", 0, MINUTE_MS, 12.0, 13.0, 9.0, 10.0, 1.0)
    assert [tick.price for tick in bar_ticks(rising)] == [10.0, 9.0, 13.0, 12.0]
    assert [tick.price for tick in bar_ticks(falling)] == [12.0, 13.0, 9.0, 10.0]


def test_all_windows_are_ready_after_four_hours_of_bars(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.calm({"BTCUSDT": 60_000.0}, minutes=240)
    stats = rig.engine.symbol_stats("BTCUSDT")
    assert all(window.ready for window in stats.windows.values())
    assert set(stats.windows) == {"1m", "5m", "15m", "1h", "4h"}
    assert stats.windows["1h"].volume == pytest.approx(60 * 60.0, rel=0.01)
    assert stats.windows["1h"].volume_multiple == pytest.approx(1.0, abs=0.02)


def test_bars_that_arrive_after_the_first_trades_fill_what_is_before_them(
    make_rig: MakeRig,
) -> None:
    rig = make_rig()
    rig.trade("BTCUSDT", 60_000.0, after_ms=500)
    rig.trade("BTCUSDT", 60_010.0, after_ms=500)
    rig.calm({"BTCUSDT": 63_000.0}, minutes=240, wobble=0.0)
    stats = rig.engine.symbol_stats("BTCUSDT")
    assert stats.last_price == 60_010.0
    assert stats.windows["4h"].high == 63_000.0
    assert rig.engine.last_price("BTCUSDT") == 60_010.0
    assert rig.engine.bars("BTCUSDT", 2)[-1].open == 60_000.0


def test_a_bar_that_is_still_open_does_not_reach_into_the_future(make_rig: MakeRig) -> None:
    rig = make_rig()
    start = rig.start_ms
    rig.clock.advance_to(start + 20_000)
    rig.engine.on_bar_history(
        "BTCUSDT", [Bar("BTCUSDT", start, MINUTE_MS, 100.0, 102.0, 99.0, 101.0, 4.0)]
    )
    rig.trade("BTCUSDT", 101.5, after_ms=100)
    assert rig.engine.symbol_stats("BTCUSDT").windows["1m"].last == 101.5
    (bar,) = rig.engine.bars("BTCUSDT")
    assert (bar.open, bar.high, bar.low, bar.close) == (100.0, 102.0, 99.0, 101.5)


def test_bars_of_another_length_are_refused(make_rig: MakeRig) -> None:
    hourly = Bar("BTCUSDT", 0, 3_600_000, 1.0, 1.0, 1.0, 1.0, 1.0)
    with pytest.raises(MarketDataError, match="one-minute bars"):
        make_rig().engine.on_bar_history("BTCUSDT", [hourly])


def test_statistics_of_an_unknown_or_untraded_pair_are_refused(make_rig: MakeRig) -> None:
    engine = make_rig().engine
    with pytest.raises(MarketDataError, match="not watched"):
        engine.symbol_stats("SHIBUSDT")
    with pytest.raises(MarketDataError, match="not traded yet"):
        engine.symbol_stats("BTCUSDT")


def test_the_last_bars_come_oldest_first_with_the_open_one(make_rig: MakeRig) -> None:
    rig = make_rig()
    for minute in range(5):
        rig.trade("BTCUSDT", 100.0 + minute, after_ms=MINUTE_MS)
    assert [bar.close for bar in rig.engine.bars("BTCUSDT", 3)] == [102.0, 103.0, 104.0]
    assert rig.engine.bars("BTCUSDT", 0) == ()
    assert rig.engine.bars("SHIBUSDT", 3) == ()


def test_the_next_trade_is_judged_by_highs_that_were_backfilled(make_rig: MakeRig) -> None:
    rig = make_rig()
    for _ in range(3):
        rig.trade("BTCUSDT", 60_000.0)
    rig.calm({"BTCUSDT": 75_000.0}, minutes=240)
    rig.trade("BTCUSDT", 60_000.0)
    rig.trade("BTCUSDT", 60_000.0, after_ms=3_000)
    assert "btc_drawdown_1h" in rig.rules
