"""What is known of a pair's futures market, and that nothing old or absent passes for a figure."""

from __future__ import annotations

import math

import pytest

from trading.clock import VirtualClock
from trading.market.config import CrashDetectionConfig
from trading.market.futures_board import FuturesBoard
from trading.model.signals import FundingRate, FuturesPrice, Liquidation, OpenInterest

NOW = 1_700_000_000_000
MINUTE = 60_000


class Setting:
    def __init__(self, total: float | None = 0.0) -> None:
        self.clock = VirtualClock(NOW)
        self.spot: float | None = 100.0
        self.board = FuturesBoard(
            ["BTCUSDT"],
            CrashDetectionConfig(),
            self.clock,
            spot=lambda _: self.spot,
            total_1h_usd=lambda: total,
        )

    def price(self, price: float = 101.0) -> None:
        self.board.on_futures_price(FuturesPrice("BTCUSDT", price, self.clock.now_ms()))


def test_without_a_stream_nothing_is_said_of_futures() -> None:
    view = Setting(total=None).board.futures("BTCUSDT")
    assert view.problem == "no futures stream on this venue"
    assert view.mark_price is None
    assert view.liquidations is None


def test_mark_price_divergence_and_funding_stand_beside_each_other() -> None:
    setting = Setting()
    setting.price()
    setting.board.on_funding(FundingRate("BTCUSDT", 0.0001, NOW + 1000, NOW))
    view = setting.board.futures("BTCUSDT")
    assert view.divergence_pct == pytest.approx(1.0)
    assert view.funding_rate_pct == pytest.approx(0.01)
    assert view.problem == ""


def test_an_old_mark_price_is_no_mark_price() -> None:
    setting = Setting()
    setting.price()
    setting.clock.advance_to(NOW + CrashDetectionConfig().futures_gap.stale_after_s * 1000 + 1)
    assert setting.board.futures("BTCUSDT").mark_price is None


def test_without_a_fresh_spot_price_the_divergence_is_unknown() -> None:
    setting = Setting()
    setting.price()
    setting.spot = None
    assert setting.board.futures("BTCUSDT").divergence_pct is None


def test_open_interest_is_compared_with_the_oldest_of_the_hour_and_forgotten_when_stale() -> None:
    setting = Setting()
    for minute, coins in ((0, 999.0), (30, 1000.0), (89, 1100.0)):
        setting.clock.advance_to(NOW + minute * MINUTE)
        setting.board.on_open_interest(OpenInterest("BTCUSDT", coins, setting.clock.now_ms()))
    setting.price()
    view = setting.board.futures("BTCUSDT")
    assert view.open_interest_change_1h_pct == pytest.approx(10.0)
    assert view.open_interest_usd == pytest.approx(1100 * 101)
    setting.clock.advance_to(NOW + 93 * MINUTE)
    setting.price()
    assert setting.board.futures("BTCUSDT").open_interest is None


def test_forced_orders_are_summed_by_side_and_age() -> None:
    setting = Setting()
    for ago, is_long, usd in ((70, True, 1e6), (20, True, 2e6), (1, False, 3e6)):
        setting.board.on_liquidation(Liquidation("BTCUSDT", is_long, usd, NOW - ago * MINUTE))
    sums = setting.board.liquidations().pairs["BTCUSDT"]
    assert (sums.longs_1h_usd, sums.shorts_1h_usd) == (2e6, 3e6)
    assert (sums.longs_5m_usd, sums.shorts_5m_usd) == (0.0, 3e6)


def test_an_hour_of_which_too_little_was_heard_has_no_total() -> None:
    view = Setting(total=math.inf).board.liquidations()
    assert view.total_1h_usd is None
    assert "too little" in view.problem


@pytest.mark.parametrize("figure", [math.nan, math.inf, -1.0])
def test_impossible_figures_are_not_taken(figure: float) -> None:
    setting = Setting()
    setting.price(figure)
    setting.board.on_liquidation(Liquidation("BTCUSDT", True, figure, NOW))
    setting.board.on_open_interest(OpenInterest("BTCUSDT", figure, NOW))
    assert setting.board.futures("BTCUSDT").mark_price is None
    assert setting.board.liquidations().pairs == {}
