"""Bars from trades, and what is usual for a pair."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.market.minute_bars import MIN_BASELINE_SAMPLES, MinuteBars, Moments
from trading.model.market import Bar

MINUTE_MS = 60_000


def test_a_bar_holds_first_highest_lowest_and_last_trade_of_its_minute() -> None:
    bars = MinuteBars("BTCUSDT", 60)
    for offset_ms, price in ((0, 100.0), (20_000, 103.0), (40_000, 98.0), (59_999, 101.0)):
        bars.add(offset_ms, price, 2.0)
    bars.add(60_000, 102.0, 1.0)
    closed, current = bars.last(5)
    assert closed == Bar("BTCUSDT", 0, MINUTE_MS, 100.0, 103.0, 98.0, 101.0, 8.0)
    assert current == Bar("BTCUSDT", 60_000, MINUTE_MS, 102.0, 102.0, 102.0, 102.0, 1.0)


def test_a_minute_without_trades_is_flat_and_has_no_volume() -> None:
    bars = MinuteBars("BTCUSDT", 60)
    bars.add(0, 100.0, 1.0)
    bars.add(200_000, 110.0, 1.0)
    assert [(bar.open_time_ms, bar.close, bar.volume) for bar in bars.last(9)] == [
        (0, 100.0, 1.0),
        (60_000, 100.0, 0.0),
        (120_000, 100.0, 0.0),
        (180_000, 110.0, 1.0),
    ]


def test_a_gap_longer_than_the_baseline_starts_it_again() -> None:
    bars = MinuteBars("BTCUSDT", 60)
    bars.add(0, 100.0, 1.0)
    bars.add(100 * MINUTE_MS, 50.0, 1.0)
    assert [bar.close for bar in bars.last(9)] == [50.0]


def test_rolling_moments_equal_those_of_the_last_samples() -> None:
    rng, moments, samples = random.Random(1), Moments(50), []
    for _ in range(500):
        samples.append(rng.gauss(3.0, 2.0))
        moments.add(samples[-1])
        recent = samples[-50:]
        assert moments.mean == pytest.approx(statistics.fmean(recent))
        assert moments.deviation == pytest.approx(statistics.pstdev(recent))


def test_z_score_and_volume_multiple_compare_with_the_pairs_own_past() -> None:
    rng, bars, price, closes = random.Random(2), MinuteBars("BTCUSDT", 1440), 100.0, []
    for minute in range(200):
        price *= 1 + rng.gauss(0, 0.001)
        closes.append(price)
        bars.add(minute * MINUTE_MS, price, 10.0)
    bars.add(200 * MINUTE_MS, price, 0.0)  # closes the last minute
    returns = [later / earlier - 1 for earlier, later in zip(closes, closes[5:], strict=False)]
    expected = (0.02 - statistics.fmean(returns)) / statistics.pstdev(returns)
    assert bars.z_score(1, 0.02) == pytest.approx(expected)
    assert bars.volume_multiple(1, 150.0) == pytest.approx(3.0)


def test_too_short_a_past_says_nothing() -> None:
    bars = MinuteBars("BTCUSDT", 1440)
    for minute in range(MIN_BASELINE_SAMPLES):
        bars.add(minute * MINUTE_MS, 100.0 + minute % 2, 1.0)
    assert not bars.has_baseline(0)
    assert bars.z_score(0, 0.5) == 0.0
    assert bars.volume_multiple(0, 1e9) == 0.0


def test_backfilled_minutes_keep_what_was_traded_here() -> None:
    bars = MinuteBars("BTCUSDT", 60)
    bars.add(120_000, 100.0, 5.0)
    bars.add(180_000, 101.0, 5.0)
    bars.load(
        [Bar("BTCUSDT", at, MINUTE_MS, 90.0, 91.0, 89.0, 90.0, 7.0) for at in (0, 60_000, 120_000)]
    )
    assert [(bar.open_time_ms, bar.close) for bar in bars.last(9)] == [
        (0, 90.0),
        (60_000, 90.0),
        (120_000, 100.0),
        (180_000, 101.0),
    ]


@given(
    past=st.lists(st.floats(0.0, 1e6), min_size=1, max_size=90),
    coming=st.lists(st.floats(0.0, 1e6), max_size=11),
)
def test_no_volume_below_the_least_unusual_one_becomes_unusual_within_the_minutes_named(
    past: list[float], coming: list[float]
) -> None:
    bars = MinuteBars("BTCUSDT", 60)
    for minute, volume in enumerate(past):
        bars.add(minute * MINUTE_MS, 100.0, volume)
    bars.add(len(past) * MINUTE_MS, 100.0, 0.0)
    least = bars.least_unusual_volume(len(coming) + 1, 3.0, 5.0)
    below = min(least * (1.0 - 1e-9), 1e9)
    for minute, volume in enumerate([*coming, 0.0], len(past)):
        assert bars.volume_multiple(0, below) < 3.0 or bars.volume_z_score(below) < 5.0
        bars.add(minute * MINUTE_MS, 100.0, volume)
        bars.add((minute + 1) * MINUTE_MS, 100.0, 0.0)


@given(
    trades=st.lists(
        st.tuples(st.integers(0, 40_000), st.floats(1.0, 2.0), st.floats(0.0, 9.0)), min_size=1
    ),
    kind=st.sampled_from([list, np.array]),
)
def test_a_batch_gives_the_bars_that_its_trades_give_one_by_one(
    trades: list[tuple[int, float, float]], kind: Callable[[list[float]], Any]
) -> None:
    single, batched, times, now_ms = MinuteBars("BTCUSDT", 60), MinuteBars("BTCUSDT", 60), [], 0
    for pause_ms, price, quantity in trades:
        now_ms += pause_ms
        times.append(now_ms)
        single.add(now_ms, price, quantity)
    _, prices, quantities = zip(*trades, strict=True)
    batched.extend(kind(times), kind(list(prices)), kind(list(quantities)))
    assert batched.last(99) == single.last(99)
    assert batched.usual_volume == single.usual_volume
