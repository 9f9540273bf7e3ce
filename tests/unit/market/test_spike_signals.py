"""Spikes from futures prices, order books, liquidations and headlines, through the engine."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.market.config import (
    BookImbalanceConfig,
    SpikeDetectionConfig,
)
from trading.market.liquidation_cascade import RollingLiquidations
from trading.model.signals import BookTop, FuturesPrice, Headline, Liquidation, asset_of
from trading.model.spike import SpikeDirection, SpikeSeverity, SpikeType

MakeRig = Callable[..., Any]
SOL = "SOLUSDT"
CALM = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0, SOL: 100.0}


@pytest.fixture
def rig(make_rig: MakeRig) -> Any:
    # Of moves by trades alone only what these pairs, which hardly trade, can show.
    trades = {"min_z_score": 3.0, "price_min_volume_multiple": 1.0, "min_notional_usd": 1_000.0}
    kinds = tuple(kind for kind in SpikeType if kind is not SpikeType.VOLUME)
    rig = make_rig(tuple(CALM), spikes=SpikeDetectionConfig(types=kinds, **trades))
    rig.calm(CALM)
    for symbol, price in CALM.items():
        rig.trade(symbol, price)
    return rig


def futures(rig: Any, price: float, seconds: int, *, trades: bool = True) -> None:
    """A futures price a second, and a trade at the last price, so that spot stays fresh."""
    for _ in range(seconds):
        if trades:
            rig.trade(SOL, 100.0, after_ms=1000)
        else:
            rig.second()
        rig.engine.on_futures_price(FuturesPrice(SOL, price, rig.clock.now_ms()))


def book(
    rig: Any, bid_usd: float, ask_usd: float, seconds: float, step_ms: int = 500, levels: int = 10
) -> None:
    for _ in range(int(seconds * 1000 / step_ms)):
        rig.clock.advance_to(rig.clock.now_ms() + step_ms)
        rig.engine.on_book(
            BookTop(
                SOL,
                tuple((p, bid_usd / levels / p) for p in (99.9 - n / 10 for n in range(levels))),
                tuple((p, ask_usd / levels / p) for p in (100.1 + n / 10 for n in range(levels))),
                rig.clock.now_ms(),
            )
        )


def liquidate(rig: Any, usd: float, *, is_long: bool = True, after_ms: int = 1000) -> None:
    rig.clock.advance_to(rig.clock.now_ms() + after_ms)
    rig.engine.on_liquidation(Liquidation(SOL, is_long, usd, rig.clock.now_ms()))


def headline(rig: Any, symbols: tuple[str, ...] = (SOL,), age_ms: int = 0) -> None:
    rig.engine.on_headline(Headline("1", symbols, "SOL listed", rig.clock.now_ms() - age_ms))


def rise(rig: Any, to: float, seconds: int) -> None:
    """Evenly from 100, too slowly and too small in each minute for a price spike of its own."""
    for second in range(1, seconds + 1):
        rig.trade(SOL, 100.0 + (to - 100.0) * second / seconds, after_ms=1000)


def test_futures_above_spot_for_long_enough_are_a_spike_up(rig: Any) -> None:
    futures(rig, 102.5, 10)
    assert rig.spikes == []
    futures(rig, 102.5, 1)
    (spike,) = rig.spikes
    assert (spike.type, spike.direction) == (SpikeType.DIVERGENCE, SpikeDirection.UP)
    assert spike.trigger_value == pytest.approx(2.5)
    assert spike.trigger_limit == 2.0
    assert spike.severity is SpikeSeverity.MINOR
    assert "+2.50 % against spot" in spike.evidence


def test_futures_below_spot_are_a_spike_down(rig: Any) -> None:
    futures(rig, 95.0, 12)
    (spike,) = rig.spikes
    assert spike.direction is SpikeDirection.DOWN
    assert spike.severity is SpikeSeverity.MAJOR


def test_a_divergence_that_does_not_last_is_none(rig: Any) -> None:
    for _ in range(5):
        futures(rig, 102.5, 9)
        futures(rig, 100.0, 1)
    assert rig.spikes == []


def test_a_divergence_that_changes_sides_starts_anew(rig: Any) -> None:
    for _ in range(3):
        futures(rig, 102.5, 8)
        futures(rig, 97.5, 8)
    assert rig.spikes == []


def test_a_spot_price_that_is_too_old_diverges_from_nothing(rig: Any) -> None:
    futures(rig, 102.5, 60, trades=False)
    assert rig.spikes == []


def test_a_pause_of_the_futures_feed_starts_the_hold_anew(rig: Any) -> None:
    futures(rig, 102.5, 8)
    for _ in range(8):
        rig.trade(SOL, 100.0, after_ms=1000)
    futures(rig, 102.5, 8)
    assert rig.spikes == []


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_futures_price_ends_the_hold(rig: Any, price: float) -> None:
    futures(rig, 102.5, 9)
    rig.engine.on_futures_price(FuturesPrice(SOL, price, rig.clock.now_ms()))
    futures(rig, 102.5, 9)
    assert rig.spikes == []


def test_a_heavy_bid_side_that_stays_is_a_spike_up(rig: Any) -> None:
    book(rig, 3_100_000, 1_000_000, 5)
    assert rig.spikes == []
    book(rig, 3_100_000, 1_000_000, 1)
    (spike,) = rig.spikes
    assert (spike.type, spike.direction) == (SpikeType.IMBALANCE, SpikeDirection.UP)
    assert spike.trigger_value == pytest.approx(3.1)


def test_a_heavy_ask_side_that_stays_is_a_spike_down(rig: Any) -> None:
    book(rig, 300_000, 1_500_000, 6)
    assert [spike.direction for spike in rig.spikes] == [SpikeDirection.DOWN]


@pytest.mark.parametrize(
    ("bid_usd", "ask_usd"), [(2_900_000, 1_000_000), (999_000, 100_000), (1.0, 1.0)]
)
def test_an_even_or_a_thin_book_is_none(rig: Any, bid_usd: float, ask_usd: float) -> None:
    book(rig, bid_usd, ask_usd, 20)
    assert rig.spikes == []


def test_only_the_best_levels_of_the_book_count(rig: Any) -> None:
    book(rig, 6_000_000, 6_000_000, 1, levels=20)
    config = SpikeDetectionConfig().imbalance
    # The heavy bids stand from the eleventh level on.
    bids = tuple((99.9 - n / 10, 100.0 if n < config.levels else 1e6) for n in range(20))
    asks = tuple((100.1 + n / 10, 100.0) for n in range(20))
    for _ in range(20):
        rig.clock.advance_to(rig.clock.now_ms() + 500)
        rig.engine.on_book(BookTop(SOL, bids, asks, rig.clock.now_ms()))
    assert rig.spikes == []


def test_an_imbalance_that_vanishes_between_looks_is_none(rig: Any) -> None:
    for _ in range(10):
        book(rig, 3_100_000, 1_000_000, 4)
        book(rig, 1_000_000, 1_000_000, 0.5)
    assert rig.spikes == []


def test_views_of_the_book_too_far_apart_do_not_make_a_hold(rig: Any) -> None:
    book(rig, 3_100_000, 1_000_000, 60, step_ms=4_000)
    assert rig.spikes == []


def test_a_crossed_or_empty_book_ends_the_hold(rig: Any) -> None:
    for bids, asks in (
        (((100.2, 1e5),), ((100.1, 1.0),)),
        (((99.9, 1e5),), ()),
    ):
        book(rig, 3_100_000, 1_000_000, 4)
        rig.engine.on_book(BookTop(SOL, bids, asks, rig.clock.now_ms()))
    book(rig, 3_100_000, 1_000_000, 4)
    assert rig.spikes == []


def test_liquidated_longs_beyond_the_limit_are_a_spike_down(rig: Any) -> None:
    for _ in range(9):
        liquidate(rig, 5e6)
    assert rig.spikes == []
    liquidate(rig, 5e6)
    (spike,) = rig.spikes
    assert (spike.type, spike.direction) == (SpikeType.LIQUIDATION, SpikeDirection.DOWN)
    assert spike.trigger_value == pytest.approx(50e6)
    assert spike.timeframe_minutes == 5


def test_liquidated_shorts_drive_the_price_up(rig: Any) -> None:
    liquidate(rig, 60e6, is_long=False)
    assert [spike.direction for spike in rig.spikes] == [SpikeDirection.UP]


def test_liquidations_older_than_five_minutes_do_not_count(rig: Any) -> None:
    for _ in range(20):
        liquidate(rig, 9e6, after_ms=60_000)
    assert rig.spikes == []


@given(
    st.lists(
        st.tuples(st.integers(0, 200_000), st.integers(1, 10**9), st.booleans()),
        min_size=1,
        max_size=60,
    )
)
def test_the_rolling_sums_of_liquidations_are_exact(
    orders: list[tuple[int, int, bool]],
) -> None:
    sums, now_ms, seen = RollingLiquidations(), 0, []
    for pause_ms, usd, is_long in orders:
        now_ms += pause_ms
        sums.add(Liquidation(SOL, is_long, float(usd), now_ms))
        seen.append((now_ms, usd, is_long))
        alive = Counter(
            {
                side: sum(u for t, u, s in seen if s is side and t > now_ms - 300_000)
                for side in (True, False)
            }
        )
        assert (sums.longs_usd, sums.shorts_usd) == (alive[True], alive[False])


def test_a_move_after_a_headline_is_a_news_spike(make_rig: MakeRig) -> None:
    rig = news_rig(make_rig)
    headline(rig)
    rise(rig, 105.2, 100)
    rig.second()
    (spike,) = rig.spikes
    assert (spike.type, spike.direction) == (SpikeType.NEWS, SpikeDirection.UP)
    assert spike.timeframe_minutes == 2
    assert "headline 1" in spike.evidence
    assert "SOL listed" not in spike.evidence  # agents with order tools read it


def test_a_move_just_before_a_headline_is_one_too(make_rig: MakeRig) -> None:
    rig = news_rig(make_rig)
    rise(rig, 105.2, 100)
    assert rig.spikes == []
    headline(rig)
    assert [spike.type for spike in rig.spikes] == [SpikeType.NEWS]


def test_a_move_without_a_headline_of_the_pair_is_none(make_rig: MakeRig) -> None:
    rig = news_rig(make_rig)
    headline(rig, ("ETHUSDT", "DOGEUSDT"))
    rise(rig, 105.2, 100)
    rig.second()
    assert rig.spikes == []


def test_an_old_headline_is_none(make_rig: MakeRig) -> None:
    rig = news_rig(make_rig)
    headline(rig, age_ms=130_000)
    rise(rig, 105.2, 100)
    rig.second()
    assert rig.spikes == []


def test_a_move_that_takes_longer_than_two_minutes_is_none(make_rig: MakeRig) -> None:
    rig = news_rig(make_rig)
    rise(rig, 105.2, 180)
    headline(rig)
    rig.second()
    assert rig.spikes == []


def news_rig(make_rig: MakeRig) -> Any:
    """Only headlines make spikes here: a move of 5 % is a price spike as well."""
    rig = make_rig(tuple(CALM), spikes=SpikeDetectionConfig(types=(SpikeType.NEWS,)))
    rig.calm(CALM)
    rig.trade(SOL, 100.0)
    return rig


def test_one_move_is_one_spike_whatever_else_is_seen(rig: Any) -> None:
    liquidate(rig, 60e6, is_long=False)
    futures(rig, 102.5, 12)
    book(rig, 3_100_000, 1_000_000, 6)
    assert [spike.type for spike in rig.spikes] == [SpikeType.LIQUIDATION]


def test_a_spike_of_another_kind_quiets_the_price_too_and_only_new_moves_count(rig: Any) -> None:
    liquidate(rig, 60e6, is_long=False)
    rise(rig, 104.0, 30)
    assert [spike.type for spike in rig.spikes] == [SpikeType.LIQUIDATION]
    for _ in range(300):
        rig.trade(SOL, 104.0, after_ms=1000)
    assert len(rig.spikes) == 1
    for step in range(1, 21):
        rig.trade(SOL, 104.0 + step * 0.2, after_ms=500, quantity=20.0)
    assert [spike.type for spike in rig.spikes] == [SpikeType.LIQUIDATION, SpikeType.PRICE]
    assert rig.spikes[1].price_from == pytest.approx(104.0)


def test_the_classes_of_severity_follow_the_share_of_the_limit(make_rig: MakeRig) -> None:
    found = []
    for usd in (60e6, 80e6, 130e6, 201e6):
        rig = make_rig(tuple(CALM))
        rig.calm(CALM)
        rig.trade(SOL, 100.0)
        liquidate(rig, usd)
        found.append(rig.spikes[0].severity)
    assert found == list(SpikeSeverity)


@pytest.mark.parametrize(
    "spikes",
    [SpikeDetectionConfig(enabled=False), SpikeDetectionConfig(types=(SpikeType.PRICE,))],
)
def test_kinds_that_are_switched_off_are_not_looked_for(
    make_rig: MakeRig, spikes: SpikeDetectionConfig
) -> None:
    rig = make_rig(tuple(CALM), spikes=spikes)
    rig.calm(CALM)
    rig.trade(SOL, 100.0)
    futures(rig, 102.5, 12)
    book(rig, 9e6, 1e6, 6)
    liquidate(rig, 90e6)
    assert rig.spikes == []


def test_events_of_pairs_that_are_not_watched_are_ignored(rig: Any) -> None:
    now_ms = rig.clock.now_ms()
    rig.engine.on_liquidation(Liquidation("XYZUSDT", True, 90e6, now_ms))
    rig.engine.on_futures_price(FuturesPrice("XYZUSDT", 5.0, now_ms))
    rig.engine.on_book(BookTop("XYZUSDT", ((1.0, 1.0),), ((2.0, 1.0),), now_ms))
    assert rig.spikes == []


def test_an_event_far_ahead_of_the_clock_is_ignored(rig: Any) -> None:
    rig.engine.on_liquidation(Liquidation(SOL, True, 90e6, rig.clock.now_ms() + 3_600_000))
    assert rig.spikes == []


def test_a_ratio_of_one_is_no_imbalance_to_ask_for() -> None:
    with pytest.raises(ValueError, match="ratio"):
        BookImbalanceConfig(ratio=1.0)


@pytest.mark.parametrize(
    ("contract", "asset"),
    [
        ("BTCUSDT", "BTC"),
        ("1000PEPEUSDT", "PEPE"),
        ("BTCUSD_PERP", "BTC"),
        ("BTCUSDT_260327", "BTC"),
        ("ETHUSDC", "ETH"),
        ("1INCHUSDT", "1INCH"),
        ("BTCDOM", "BTCDOM"),
    ],
)
def test_the_coin_behind_a_contract_is_known_by_its_name(contract: str, asset: str) -> None:
    assert asset_of(contract) == asset
