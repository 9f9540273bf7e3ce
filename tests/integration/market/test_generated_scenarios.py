"""Generated scenarios really set off the default detectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trading.model.spike import SpikeDirection
from trading.simulator.generated_market import GeneratedMarket
from trading.simulator.market_config import MarketGeneratorConfig, Scenario

START_MS = 1_700_000_000_000
RunMarket = Callable[..., Any]


def market(scenario: Scenario, seed: int = 1) -> GeneratedMarket:
    return GeneratedMarket(MarketGeneratorConfig(scenario=scenario, seed=seed), START_MS)


def at_s(seconds: float) -> int:
    return START_MS + round(seconds * 1000)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_default_market_shows_spikes_within_two_minutes(
    run_market: RunMarket, seed: int
) -> None:
    run = run_market(market(Scenario.DEFAULT, seed), at_s(120))
    rising = [spike.symbol for spike in run.spikes if spike.direction is SpikeDirection.UP]
    assert {"SOLUSDT", "LINKUSDT"} <= set(rising)
    assert run.crashes == []
    assert run.problems == {""}


def test_the_default_market_crashes_after_fifteen_minutes(run_market: RunMarket) -> None:
    run = run_market(market(Scenario.DEFAULT), at_s(960))
    time_ms, rule = run.crashes[0]
    assert rule in {"btc_drawdown_5m", "market_index_1h"}
    assert at_s(900) < time_ms < at_s(930)


def test_a_calm_market_sets_nothing_off(run_market: RunMarket) -> None:
    run = run_market(market(Scenario.CALM), at_s(900))
    assert (run.crashes, run.spikes, run.problems) == ([], [], {""})


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_flash_crash_trips_within_its_minute(run_market: RunMarket, seed: int) -> None:
    run = run_market(market(Scenario.FLASH_CRASH, seed), at_s(90))
    assert at_s(30) < run.crashes[0][0] < at_s(60)


def test_the_slow_crash_trips_though_no_five_minutes_of_it_would(run_market: RunMarket) -> None:
    source = GeneratedMarket(
        MarketGeneratorConfig(scenario=Scenario.SLOW_CRASH, ticks_per_second=0.5), START_MS
    )
    run = run_market(source, at_s(2_460))
    rules = {rule for _, rule in run.crashes}
    assert "btc_drawdown_1h" in rules
    assert not rules & {"btc_drawdown_5m", "eth_drawdown_5m"}


def test_the_same_market_gives_the_same_spikes(run_market: RunMarket) -> None:
    first, second = (run_market(market(Scenario.PUMP_AND_DUMP), at_s(120)) for _ in range(2))
    assert first.spikes == second.spikes != []
