"""Volatility, volume and likeness before an entry, from one-minute bars."""

from __future__ import annotations

import asyncio
import math
import threading

import pytest

from trading.model.market import Bar
from trading.node.conditions import correlation, volatility_pct
from trading.node.order_thread import OrderThread


def bars(closes: list[float], first_minute: int = 0) -> list[Bar]:
    return [
        Bar("ABCUSDT", (first_minute + n) * 60_000, 60_000, close, close, close, close, 1.0)
        for n, close in enumerate(closes)
    ]


def waves(count: int, phase: float = 0.0) -> list[float]:
    return [100 * math.exp(0.01 * math.sin(n + phase)) for n in range(count)]


def test_volatility_is_the_deviation_of_one_minute_returns() -> None:
    up_and_down = [100.0 * (1.01 if n % 2 else 1.0) for n in range(41)]
    assert volatility_pct(bars(up_and_down)) == pytest.approx(100 * math.log(1.01), rel=1e-3)


def test_too_few_bars_say_nothing() -> None:
    assert volatility_pct(bars(waves(20))) is None
    assert correlation(bars(waves(20)), bars(waves(20))) is None


def test_the_same_moves_correlate_and_opposite_moves_do_not() -> None:
    one = waves(61)
    assert correlation(bars(one), bars([2 * price for price in one])) == pytest.approx(1.0)
    assert correlation(bars(one), bars([1 / price for price in one])) == pytest.approx(-1.0)


def test_only_minutes_that_both_have_count() -> None:
    one = waves(80)
    late = bars(one[30:], first_minute=30)
    assert correlation(bars(one[:70]), late) == pytest.approx(1.0)
    assert correlation(bars(one[:40]), late) is None


def test_a_pair_that_does_not_move_moves_with_nobody() -> None:
    assert correlation(bars([100.0] * 61), bars(waves(61))) == 0.0


async def test_the_order_thread_asks_on_the_main_loop() -> None:
    orders = OrderThread(asyncio.get_running_loop())
    try:
        asked = await orders.call(orders.on_main(threading.current_thread))
    finally:
        orders.stop()
    assert asked is threading.current_thread()
