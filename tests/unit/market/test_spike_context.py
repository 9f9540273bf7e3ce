"""Whose move a spike is, and how much a rise looks like a pump."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.market.pump_likelihood import PumpFeatures, measure_pump, pump_likelihood
from trading.market.windows import RollingWindows
from trading.model.market import Bar
from trading.model.spike import CoMovement

MakeRig = Callable[..., Any]
SOL = "SOLUSDT"
CALM = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0, SOL: 100.0}


def together(rig: Any, beta: float, minutes: int = 200) -> None:
    """A past in which SOL moves ``beta`` times as much as BTC, minute by minute."""
    rng = random.Random(3)
    btc, sol = CALM["BTCUSDT"], CALM[SOL]
    bars: dict[str, list[Bar]] = {"BTCUSDT": [], SOL: []}
    for index in range(minutes, 0, -1):
        move = rng.gauss(0, 4e-4)
        at = rig.start_ms - index * 60_000
        for symbol, old, new in (
            ("BTCUSDT", btc, btc * (1 + move)),
            (SOL, sol, sol * (1 + beta * move)),
        ):
            bars[symbol].append(
                Bar(symbol, at, 60_000, old, max(old, new), min(old, new), new, 6000.0)
            )
        btc, sol = btc * (1 + move), sol * (1 + beta * move)
    for symbol, of_symbol in bars.items():
        rig.engine.on_bar_history(symbol, of_symbol)


def ramp(rig: Any, sol_pct: float, btc_pct: float, steps: int = 20) -> None:
    start = {symbol: rig.engine.last_price(symbol) for symbol in ("BTCUSDT", SOL)}
    for step in range(1, steps + 1):
        for symbol, pct in (("BTCUSDT", btc_pct), (SOL, sol_pct)):
            rig.trade(symbol, start[symbol] * (1 + pct / 100 * step / steps), 250, 6000.0)


@pytest.mark.parametrize(
    ("beta", "btc_pct", "kind"),
    [
        (2.0, 0.0, CoMovement.ISOLATED),
        (2.0, 0.9, CoMovement.MARKET),
        (2.0, 0.5, CoMovement.PARTLY),
        (2.0, -0.5, CoMovement.ISOLATED),
    ],
)
def test_a_move_is_held_against_what_btc_explains(
    make_rig: MakeRig, beta: float, btc_pct: float, kind: CoMovement
) -> None:
    rig = make_rig(tuple(CALM))
    together(rig, beta)
    ramp(rig, 2.4, btc_pct)
    spike = next(spike for spike in rig.spikes if spike.symbol == SOL)
    assert spike.co_movement is kind
    assert spike.isolated_share is not None
    explained = beta * spike.btc_move_pct / spike.magnitude_pct
    assert spike.isolated_share == pytest.approx(1 - max(0.0, explained), abs=0.03)


def test_btcs_own_move_is_the_markets(make_rig: MakeRig) -> None:
    rig = make_rig(tuple(CALM))
    together(rig, 2.0)
    ramp(rig, 0.0, 1.3)
    (spike,) = rig.spikes
    assert (spike.symbol, spike.co_movement) == ("BTCUSDT", CoMovement.MARKET)
    assert spike.isolated_share == 0.0


def test_without_a_fresh_btc_price_nobody_knows_whose_move_it_is(make_rig: MakeRig) -> None:
    rig = make_rig(tuple(CALM))
    together(rig, 2.0)
    rig.clock.advance_to(rig.clock.now_ms() + 120_000)
    start = rig.engine.last_price(SOL)
    for step in range(1, 21):
        rig.trade(SOL, start * (1 + 0.0015 * step), 250, 6000.0)
    (spike,) = rig.spikes
    assert spike.co_movement is CoMovement.UNKNOWN
    assert spike.isolated_share is None
    assert spike.pump_likelihood is None


def test_only_a_rise_can_be_a_pump(make_rig: MakeRig) -> None:
    rig = make_rig(tuple(CALM))
    together(rig, 2.0)
    ramp(rig, -2.6, 0.0)
    (spike,) = rig.spikes
    assert spike.pump_likelihood is None


def test_a_rush_through_a_thin_book_looks_more_like_a_pump_than_a_busy_rise(
    make_rig: MakeRig,
) -> None:
    found = {}
    for name, volume, pause_ms in (("thin", 6.0, 0), ("busy", 60_000.0, 400)):
        rig = make_rig(tuple(CALM))
        rig.calm(CALM, volume=volume)
        for symbol, price in CALM.items():
            rig.trade(symbol, price, quantity=volume / 60)
        for step in range(1, 31):
            # Ten trades at one moment each, every one a little higher.
            pause = 2_000 if step % 10 == 1 else pause_ms
            rig.trade(SOL, 100.0 * (1 + 0.001 * step), pause, volume * 5)
        found[name] = rig.spikes[0].pump_likelihood
    assert found["thin"] > 0.5 > found["busy"]


def test_without_a_past_there_is_nothing_to_compare_a_rise_with(make_rig: MakeRig) -> None:
    rig = make_rig(tuple(CALM))
    rig.trade(SOL, 100.0)
    state = rig.engine._states[SOL]
    assert measure_pump(state, 1.0, rig.clock.now_ms()) is None


TYPICAL = PumpFeatures(3.0, 0.0, 0.5, 3.0, 0.5, 0.9)


@pytest.mark.parametrize(
    ("feature", "more"),
    [("thinness", -1.0), ("speed", 1.0), ("rush_share", 0.3), ("burst", 1.0), ("isolated", 0.1)],
)
def test_each_feature_raises_the_likelihood(feature: str, more: float) -> None:
    changed = replace(TYPICAL, **{feature: getattr(TYPICAL, feature) + more})
    assert 0.0 < pump_likelihood(TYPICAL) < pump_likelihood(changed) < 1.0


def test_features_beyond_their_range_count_as_its_end() -> None:
    far = PumpFeatures(-50.0, 99.0, 9.0, 99.0, 99.0, 9.0)
    assert 0.0 < pump_likelihood(far) < 1.0


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), min_size=1, max_size=60),
    st.integers(1, 20),
    st.integers(0, 400),
)
def test_the_newest_trades_are_the_last_ones_within_the_time(
    trades: list[tuple[int, int]], count: int, within_ms: int
) -> None:
    windows, now_ms, seen = RollingWindows(), 0, []
    for pause_ms, quantity in trades:
        now_ms += pause_ms
        windows.add(now_ms, 100.0 + quantity, float(quantity))
        seen.append((now_ms, 100.0 + quantity, float(quantity)))
    expected = [trade for trade in seen if trade[0] >= now_ms - within_ms][-count:]
    assert list(windows.newest(count, now_ms - within_ms)) == expected
