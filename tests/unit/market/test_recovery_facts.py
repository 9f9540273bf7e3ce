"""What the market says about whether a crash is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trading.market.recovery import flat_minutes, largest_fall
from trading.model.market import Bar

MakeRig = Callable[..., Any]
CALM = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0}


def bar(minute: int, high: float, low: float) -> Bar:
    return Bar("BTCUSDT", minute * 60_000, 60_000, low, high, low, high, 1.0)


def hold(rig: Any, price: float, minutes: int, quantity: float = 30.0) -> None:
    """Trades of BTC at ``price`` twice a minute, and of ETH beside them."""
    for _ in range(minutes * 2):
        rig.trade("BTCUSDT", price, after_ms=30_000, quantity=quantity)
        rig.trade("ETHUSDT", 3_000.0, after_ms=0, quantity=quantity)
    rig.engine.advance(rig.clock.now_ms())


@pytest.fixture
def crashed(make_rig: MakeRig) -> Any:
    """BTC has just fallen from 60,000 to 48,000 within two minutes."""
    rig = make_rig()
    rig.calm(CALM)
    for step in range(1, 25):
        rig.trade("BTCUSDT", 60_000.0 - 500 * step, after_ms=5_000)
    rig.trade("ETHUSDT", 3_000.0, after_ms=0)
    return rig


def test_the_largest_fall_is_from_a_high_to_a_later_low() -> None:
    bars = [bar(0, 80, 60), bar(1, 100, 95), bar(2, 96, 90), bar(3, 120, 110), bar(4, 115, 100)]
    assert largest_fall(bars) == (25.0, 80, 60)
    assert largest_fall(bars[1:])[1:] == (120, 100)
    assert largest_fall([])[0] == 0.0


def test_flat_minutes_count_back_to_the_last_leap() -> None:
    bars = [bar(0, 100, 99), bar(1, 110, 109), bar(2, 111, 109), bar(3, 110, 108)]
    assert flat_minutes(bars) == 3
    assert flat_minutes(bars[1:]) == 3
    assert flat_minutes([bar(0, 110, 100)]) == 0


def test_right_after_a_crash_nothing_is_regained(crashed: Any) -> None:
    facts = crashed.engine.recovery_facts()
    assert facts.btc_regained_share == 0.0
    assert facts.further_fall_30m_pct == pytest.approx(20.0, abs=0.1)
    assert facts.flat_minutes <= 1.0


def test_half_of_the_fall_back_is_a_share_of_one_half(crashed: Any) -> None:
    hold(crashed, 54_000.0, 2)
    assert crashed.engine.recovery_facts().btc_regained_share == pytest.approx(0.5, abs=0.01)


def test_thirty_quiet_minutes_end_the_further_fall(crashed: Any) -> None:
    hold(crashed, 48_500.0, 32)
    facts = crashed.engine.recovery_facts()
    assert facts.further_fall_30m_pct < 0.1
    assert facts.flat_minutes >= 30


def test_volume_is_compared_with_the_usual_minute(crashed: Any) -> None:
    hold(crashed, 48_500.0, 40, quantity=15.0)
    share = crashed.engine.recovery_facts().volume_share_of_normal
    assert share == pytest.approx(0.5, abs=0.02)


def test_without_any_data_nothing_has_recovered(make_rig: MakeRig) -> None:
    facts = make_rig().engine.recovery_facts()
    assert facts.btc_regained_share == 0.0
