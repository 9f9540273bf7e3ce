"""Rules that listen to more than trades: liquidations, funding, pegs, futures, thin trading."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from trading.market.config import CrashDetectionConfig
from trading.market.crash_signals import CrashSignals
from trading.model.market import Tick
from trading.model.metrics import Metric
from trading.model.signals import FundingRate, FuturesPrice, Liquidation

MakeRig = Callable[..., Any]
CALM = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0}
HOUR_MS = 3_600_000


@pytest.fixture
def rig(make_rig: MakeRig) -> Any:
    rig = make_rig()
    rig.calm(CALM)
    return rig


def metric(rig: Any, name: str) -> Metric:
    found: Metric = next(one for one in rig.second().metrics if one.name == name)
    return found


def liquidate(rig: Any, millions: float, symbol: str = "BTCUSDT") -> None:
    rig.engine.on_liquidation(Liquidation(symbol, True, millions * 1e6, rig.clock.now_ms()))


def wait(rig: Any, seconds: int) -> None:
    rig.clock.advance_to(rig.clock.now_ms() + seconds * 1000)


def fund(rig: Any, symbol: str, rate: float, next_ms: int = 10 * HOUR_MS) -> None:
    rig.engine.on_funding(FundingRate(symbol, rate, next_ms, rig.clock.now_ms()))


def test_without_its_sources_no_rule_is_ready(rig: Any) -> None:
    metrics = {one.name: one for one in rig.second().metrics}
    for name in ("liquidations_1h", "funding_8h", "stablecoin_peg", "btc_futures_gap"):
        assert not metrics[name].ready, name
    assert rig.engine.liquidations_1h_usd() is None
    assert rig.rules == []


def test_half_a_billion_of_liquidations_within_an_hour_is_a_crash(rig: Any) -> None:
    rig.engine.on_futures_connected()
    for _ in range(49):
        liquidate(rig, 10.0)
    rig.second()
    assert rig.rules == []
    liquidate(rig, 10.0, "DOGEUSDT")  # of any contract, watched or not
    rig.second()
    assert rig.rules == ["liquidations_1h"]
    assert "500 M USD" in rig.crashes[0].reason


def test_liquidations_leave_the_sum_after_an_hour(rig: Any) -> None:
    rig.engine.on_futures_connected()
    liquidate(rig, 300.0)
    wait(rig, 1800)
    liquidate(rig, 100.0)
    assert metric(rig, "liquidations_1h").value == 400e6
    wait(rig, 1800)
    assert metric(rig, "liquidations_1h").value == 100e6
    wait(rig, 1800)
    assert metric(rig, "liquidations_1h").value == 0.0


def test_the_sum_is_known_once_half_an_hour_was_heard(rig: Any) -> None:
    rig.engine.on_futures_connected()
    wait(rig, 1700)
    assert not metric(rig, "liquidations_1h").ready
    assert rig.engine.liquidations_1h_usd() == math.inf  # nobody takes silence for calm
    wait(rig, 100)
    assert metric(rig, "liquidations_1h").ready
    assert rig.engine.liquidations_1h_usd() == 0.0


def test_a_lost_stream_makes_the_sum_unknown_until_it_was_heard_long_enough(rig: Any) -> None:
    rig.engine.on_futures_connected()
    wait(rig, 3600)
    rig.engine.on_futures_lost()
    assert not metric(rig, "liquidations_1h").ready
    assert rig.engine.liquidations_1h_usd() == 0.0  # most of the hour was heard all the same
    wait(rig, 600)
    rig.engine.on_futures_connected()
    assert metric(rig, "liquidations_1h").ready  # fifty minutes of the last hour
    rig.engine.on_futures_lost()
    wait(rig, 7200)
    rig.engine.on_futures_connected()
    assert not metric(rig, "liquidations_1h").ready


@pytest.mark.parametrize("millions", [-600.0, math.nan, math.inf])
def test_impossible_liquidations_do_not_count(rig: Any, millions: float) -> None:
    rig.engine.on_futures_connected()
    liquidate(rig, millions)
    assert metric(rig, "liquidations_1h").value == 0.0


def test_liquidations_from_the_future_do_not_count(rig: Any) -> None:
    rig.engine.on_liquidation(Liquidation("BTCUSDT", True, 6e8, rig.clock.now_ms() + 60_000))
    assert metric(rig, "liquidations_1h").value == 0.0


def test_extreme_funding_of_btc_is_a_crash_of_either_sign(rig: Any) -> None:
    fund(rig, "ETHUSDT", 0.004)
    fund(rig, "BTCUSDT", -0.0101)
    rig.second()
    assert rig.rules == ["funding_8h"]


def test_funding_is_counted_for_eight_hours_whatever_the_interval(rig: Any) -> None:
    fund(rig, "BTCUSDT", 0.002, next_ms=8 * HOUR_MS)
    assert metric(rig, "funding_8h").value == pytest.approx(0.2)
    fund(rig, "BTCUSDT", 0.002, next_ms=9 * HOUR_MS)  # settles every hour
    assert metric(rig, "funding_8h").value == pytest.approx(1.6)


def test_one_small_coin_with_extreme_funding_is_not_the_market(rig: Any) -> None:
    fund(rig, "BTCUSDT", 0.0001)
    fund(rig, "BIOUSDT", 0.02)
    assert metric(rig, "funding_8h").value == pytest.approx(0.01)
    for number in range(8):
        fund(rig, f"ALT{number}USDT", 0.012)
    assert metric(rig, "funding_8h").value == pytest.approx(1.2)


def test_old_funding_is_not_known(rig: Any) -> None:
    fund(rig, "BTCUSDT", 0.005)
    wait(rig, 60)
    assert not metric(rig, "funding_8h").ready


def dollar(rig: Any, price: float, after_ms: int = 1000, symbol: str = "USDCUSDT") -> None:
    rig.trade(symbol, price, after_ms=after_ms)


def test_a_stablecoin_that_stays_off_its_peg_is_a_crash(rig: Any) -> None:
    for _ in range(30):
        dollar(rig, 0.96)
    rig.engine.advance(rig.clock.now_ms())
    assert "stablecoin_peg" not in rig.rules
    dollar(rig, 0.96)
    rig.engine.advance(rig.clock.now_ms())
    assert rig.rules == ["stablecoin_peg"]
    assert "USDCUSDT is 4.0 % off its peg" in rig.crashes[0].reason


def test_all_other_dollars_rising_is_the_quote_asset_losing_its_peg(rig: Any) -> None:
    for _ in range(31):
        dollar(rig, 1.035)
    rig.engine.advance(rig.clock.now_ms())
    assert rig.rules == ["stablecoin_peg"]


def test_a_wick_of_a_stablecoin_is_no_lost_peg(rig: Any) -> None:
    for second in range(60):
        dollar(rig, 0.80 if second % 20 == 7 else 0.9998)
        rig.engine.advance(rig.clock.now_ms())
    assert rig.rules == []


def test_a_single_bad_trade_of_a_quiet_stablecoin_does_not_count(rig: Any) -> None:
    dollar(rig, 0.90)
    wait(rig, 120)
    assert metric(rig, "stablecoin_peg").value == 0.0


def test_a_stablecoin_without_trades_is_not_known(rig: Any) -> None:
    dollar(rig, 1.0)
    assert metric(rig, "stablecoin_peg").ready
    wait(rig, 601)
    assert not metric(rig, "stablecoin_peg").ready


def futures(rig: Any, price: float, seconds: int) -> None:
    """Mark prices and spot trades of BTC, once a second."""
    for _ in range(seconds):
        rig.trade("BTCUSDT", 60_000.0, after_ms=1000)
        rig.engine.on_futures_price(FuturesPrice("BTCUSDT", price, rig.clock.now_ms()))
        rig.engine.advance(rig.clock.now_ms())


def test_spot_and_futures_that_stay_apart_are_a_crash(rig: Any) -> None:
    futures(rig, 56_500.0, 10)
    assert rig.rules == []
    futures(rig, 56_500.0, 1)
    assert rig.rules == ["btc_futures_gap"]


def test_a_short_distance_between_spot_and_futures_is_none(rig: Any) -> None:
    for _ in range(5):
        futures(rig, 56_500.0, 9)
        futures(rig, 59_990.0, 1)
    assert rig.rules == []


def test_a_lost_futures_stream_begins_the_hold_anew(rig: Any) -> None:
    futures(rig, 56_500.0, 9)
    rig.engine.on_futures_lost()
    futures(rig, 56_500.0, 9)
    assert rig.rules == []


def test_prices_of_other_contracts_are_no_witness(rig: Any) -> None:
    signals = CrashSignals(CrashDetectionConfig(), {"BTCUSDT": "btc"}, ())
    signals.on_futures_price(FuturesPrice("SOLUSDT", 1.0, 0), None, 0)
    assert signals.futures_fall_pct("BTCUSDT", 0, 0) is None


def test_trading_that_has_dried_up_is_a_crash(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.calm(CALM, volume=60.0)
    for _ in range(16):
        for symbol, price in CALM.items():
            rig.engine.on_tick(Tick(symbol, price, 5.0, rig.clock.now_ms()))
        wait(rig, 60)
        rig.engine.advance(rig.clock.now_ms())
    assert rig.rules == ["volume_collapse"]
    assert "12 times less" in rig.crashes[0].reason


def test_silence_is_not_thin_trading(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.calm(CALM, volume=60.0)
    wait(rig, 20 * 60)
    for symbol, price in CALM.items():
        rig.trade(symbol, price)
    assert not metric(rig, "volume_collapse").ready


def test_one_leader_alone_may_be_quiet(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.calm(CALM, volume=60.0)
    for _ in range(16):
        rig.engine.on_tick(Tick("BTCUSDT", 60_000.0, 60.0, rig.clock.now_ms()))
        rig.engine.on_tick(Tick("ETHUSDT", 3_000.0, 1.0, rig.clock.now_ms()))
        wait(rig, 60)
        rig.engine.advance(rig.clock.now_ms())
    assert rig.rules == []


def test_a_breach_whose_source_is_lost_is_not_over(rig: Any) -> None:
    fund(rig, "BTCUSDT", 0.02)
    rig.second()
    for _ in range(700):
        rig.second()
    assert rig.engine.active_breaches == ("funding_8h",)
