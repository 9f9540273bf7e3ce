"""Spikes, through the engine, trade by trade."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from trading.clock import VirtualClock
from trading.events import CrashDetected, EventBus, SpikeDetected
from trading.market.config import (
    CrashDetectionConfig,
    MarketConfig,
    SpikeDetectionConfig,
    SpikeThresholds,
)
from trading.market.engine import MarketEngine
from trading.market.examination import Examination
from trading.market.spike_detector import confidence
from trading.market.symbol_state import SymbolState
from trading.model.market import Bar, Tick
from trading.model.spike import SpikeDirection, SpikeType

MakeRig = Callable[..., Any]
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
CALM = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0, "SOLUSDT": 100.0}
# Of tests whose pairs trade a hundred dollars a second: what is asked of a spike, not how much.
SENSITIVE: dict[str, Any] = {
    "min_z_score": 3.0,
    "price_min_volume_multiple": 1.0,
    "min_notional_usd": 1_000.0,
    "volume_multiple": 3.0,
    "volume_min_move_share": 0.5,
    "min_confidence": 0.6,
}
PRICE_ONLY = SpikeDetectionConfig(types=(SpikeType.PRICE,), **SENSITIVE)
VOLUME_ONLY = SpikeDetectionConfig(types=(SpikeType.VOLUME,), **SENSITIVE)


def move(rig: Any, symbol: str, to: float, steps: int = 20, quantity: float = 20.0) -> None:
    """From the last price to ``to``, a trade every half second."""
    start = rig.engine.last_price(symbol)
    for step in range(1, steps + 1):
        rig.trade(symbol, start + (to - start) * step / steps, after_ms=500, quantity=quantity)


@pytest.fixture
def rig(make_rig: MakeRig) -> Any:
    rig = make_rig(SYMBOLS, spikes=PRICE_ONLY)
    rig.calm(CALM)
    return rig


@pytest.fixture
def volume_rig(make_rig: MakeRig) -> Any:
    rig = make_rig(SYMBOLS, spikes=VOLUME_ONLY)
    rig.calm(CALM)
    return rig


def test_a_fast_rise_on_volume_is_a_spike_up(rig: Any) -> None:
    move(rig, "SOLUSDT", 103.0)
    (spike,) = rig.spikes
    assert spike.type is SpikeType.PRICE
    assert spike.direction is SpikeDirection.UP
    assert spike.timeframe_minutes == 1
    assert 2.0 <= spike.magnitude_pct < 3.0
    assert spike.price_from == pytest.approx(100.0, rel=1e-3)
    assert spike.z_score > 3
    assert 0.6 <= spike.confidence <= 1.0
    assert spike.detection_latency_ms == 0


def test_a_fast_fall_is_a_spike_down_with_a_negative_magnitude(rig: Any) -> None:
    move(rig, "SOLUSDT", 97.0)
    (spike,) = rig.spikes
    assert spike.direction is SpikeDirection.DOWN
    assert spike.magnitude_pct <= -2.0


def test_the_id_names_pair_time_direction_and_kind(rig: Any) -> None:
    move(rig, "SOLUSDT", 103.0)
    (spike,) = rig.spikes
    assert spike.id == f"spk-SOLUSDT-{spike.detected_at_ms}-up-price"


def test_what_is_a_spike_for_btc_is_none_for_an_alt(rig: Any) -> None:
    move(rig, "SOLUSDT", 101.5)
    assert rig.spikes == []
    move(rig, "BTCUSDT", 60_900.0)
    assert [spike.symbol for spike in rig.spikes] == ["BTCUSDT"]


def test_a_slow_rise_beyond_the_longer_threshold_is_a_spike(rig: Any) -> None:
    for step in range(1, 29):
        rig.trade("SOLUSDT", 100.0 + step * 0.2, after_ms=25_000, quantity=100.0)
    assert rig.spikes[0].timeframe_minutes == 15
    assert rig.spikes[0].magnitude_pct >= 5.0


def test_a_move_that_is_usual_for_the_pair_is_no_spike(make_rig: MakeRig) -> None:
    rig = make_rig(SYMBOLS, spikes=PRICE_ONLY)
    rig.calm(CALM, wobble=0.011)  # 2.2 % a minute, up and down
    move(rig, "SOLUSDT", 101.2)
    assert rig.spikes == []


def test_a_pair_and_direction_is_quiet_for_the_cool_down(rig: Any) -> None:
    move(rig, "SOLUSDT", 103.0)
    move(rig, "SOLUSDT", 110.0)
    assert [spike.direction for spike in rig.spikes] == [SpikeDirection.UP]
    move(rig, "SOLUSDT", 104.0)
    assert [spike.direction for spike in rig.spikes] == [SpikeDirection.UP, SpikeDirection.DOWN]


def test_after_the_cool_down_an_old_move_is_not_reported_again(rig: Any) -> None:
    move(rig, "SOLUSDT", 108.0)
    for _ in range(400):
        rig.trade("SOLUSDT", 108.0, after_ms=1000)
    assert len(rig.spikes) == 1
    move(rig, "SOLUSDT", 112.0)
    assert [spike.direction for spike in rig.spikes] == [SpikeDirection.UP] * 2
    assert rig.spikes[1].price_from == pytest.approx(108.0)


def test_much_volume_with_a_smaller_move_is_a_volume_spike_at_its_trade(volume_rig: Any) -> None:
    move(volume_rig, "SOLUSDT", 100.9, quantity=60.0)
    assert volume_rig.spikes == []
    move(volume_rig, "SOLUSDT", 101.1, quantity=60.0)
    (spike,) = volume_rig.spikes
    assert spike.type is SpikeType.VOLUME
    assert spike.direction is SpikeDirection.UP
    assert spike.volume_multiple >= 3.0
    assert spike.magnitude_pct >= 1.0
    assert spike.detection_latency_ms == 0


def test_a_move_that_was_there_before_the_volume_is_one_too(volume_rig: Any) -> None:
    move(volume_rig, "SOLUSDT", 101.5, quantity=0.1)
    assert volume_rig.spikes == []
    volume_rig.trade("SOLUSDT", 101.5, quantity=900.0)
    assert [spike.type for spike in volume_rig.spikes] == [SpikeType.VOLUME]


def test_much_volume_without_a_move_is_none(volume_rig: Any) -> None:
    move(volume_rig, "SOLUSDT", 100.05, quantity=200.0)
    volume_rig.second()
    assert volume_rig.spikes == []


def test_much_volume_that_is_usual_for_the_day_is_none(make_rig: MakeRig) -> None:
    """Many times the mean, and yet within five deviations of the pair's uneven minutes."""
    rig = make_rig(SYMBOLS, spikes=VOLUME_ONLY)
    start_ms = rig.start_ms
    rig.engine.on_bar_history(
        "SOLUSDT",
        [
            Bar("SOLUSDT", start_ms - at * 60_000, 60_000, 100.0, 100.0, 100.0, 100.0, volume)
            for at in range(300, 0, -1)
            for volume in [6_000.0 if at % 20 == 0 else 1.0]
        ],
    )
    rig.trade("SOLUSDT", 100.0)
    move(rig, "SOLUSDT", 101.5, quantity=100.0)
    assert rig.engine.symbol_stats("SOLUSDT").windows["1m"].volume_multiple > 3.0
    assert rig.spikes == []


@pytest.mark.parametrize(
    "config",
    [
        SpikeDetectionConfig(enabled=False, **SENSITIVE),
        SpikeDetectionConfig(types=(), **SENSITIVE),
        PRICE_ONLY.model_copy(update={"default_thresholds": SpikeThresholds(one_minute_pct=50)}),
    ],
)
def test_settings_turn_spikes_off(make_rig: MakeRig, config: SpikeDetectionConfig) -> None:
    rig = make_rig(SYMBOLS, spikes=config)
    rig.calm(CALM)
    move(rig, "SOLUSDT", 102.9, quantity=0.0)
    rig.second()
    assert rig.spikes == []


def test_confidence_grows_with_each_of_its_parts_up_to_one() -> None:
    config = SpikeDetectionConfig(**SENSITIVE)
    assert confidence(config, 1.0, 3.0, 3.0) == pytest.approx(0.5)
    assert confidence(config, 2.0, 6.0, 6.0) == pytest.approx(1.0)
    assert confidence(config, 99.0, -99.0, 99.0) == pytest.approx(1.0)
    base = confidence(config, 1.0, 3.0, 1.0)
    for more in ((1.5, 3.0, 1.0), (1.0, 4.0, 1.0), (1.0, 3.0, 2.0)):
        assert confidence(config, *more) > base


def _events(always_look: bool, wide_guard: bool, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Events of a wild walk, with the guard prices as they are, never trusted, or too wide."""
    clock, bus, seen = VirtualClock(1_700_000_040_000), EventBus(), []
    bus.subscribe(SpikeDetected, lambda event: seen.append(event.spike.id))
    bus.subscribe(CrashDetected, lambda event: seen.append(f"{event.rule} {clock.now_ms()}"))
    loose = {**SENSITIVE, "min_confidence": 0.0, "min_z_score": 0.0, "min_notional_usd": 0.0}
    spikes = SpikeDetectionConfig(cooldown_s=60, **loose)
    market = MarketConfig(symbols=SYMBOLS)
    engine = MarketEngine(market, spikes, CrashDetectionConfig(), clock, bus)
    honest = Examination.examine

    def examine(self: Examination, state: SymbolState, *args: Any) -> None:
        honest(self, state, *args)
        if always_look:
            state.guard_low, state.guard_high = float("inf"), 0.0
        if wide_guard:
            state.guard_low, state.guard_high = 0.0, float("inf")

    monkeypatch.setattr(Examination, "examine", examine)
    rng, prices = random.Random(7), dict(CALM)
    for second in range(3_000):
        for _ in range(4):
            symbol = rng.choice(SYMBOLS)
            prices[symbol] *= 1 + rng.gauss(0, 0.002)
            clock.advance_to(clock.now_ms() + 250)
            engine.on_tick(Tick(symbol, prices[symbol], 1.0, clock.now_ms()))
        if second % 5 == 0:
            engine.advance(clock.now_ms())
    return seen


def test_looking_only_outside_the_guard_prices_misses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guarded = _events(False, False, monkeypatch)
    assert len(guarded) > 40
    assert guarded == _events(True, False, monkeypatch)


def test_guard_prices_that_are_too_wide_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _events(False, True, monkeypatch) != _events(True, False, monkeypatch)
