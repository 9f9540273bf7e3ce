"""The generated market: reproducible, in order, and doing what its script says."""

from __future__ import annotations

import statistics
from itertools import islice, pairwise, takewhile

import pytest

from trading.model.market import Tick
from trading.simulator.generated_market import GeneratedMarket
from trading.simulator.market_config import MarketGeneratorConfig, Scenario
from trading.simulator.market_source import MarketSource
from trading.simulator.scenarios import SCRIPTS

START_MS = 1_700_000_000_000


def market(
    scenario: Scenario = Scenario.DEFAULT, seed: int = 1, **other: object
) -> GeneratedMarket:
    settings = {"scenario": scenario, "seed": seed, **other}
    return GeneratedMarket(MarketGeneratorConfig.model_validate(settings), START_MS)


def ticks_until(source: MarketSource, seconds: float) -> list[Tick]:
    end_ms = source.start_ms + seconds * 1000
    return list(takewhile(lambda tick: tick.time_ms < end_ms, source.ticks()))


def prices_at(source: MarketSource, seconds: float) -> dict[str, float]:
    return {tick.symbol: tick.price for tick in ticks_until(source, seconds)}


def test_the_same_seed_gives_the_same_market() -> None:
    assert ticks_until(market(seed=5), 60) == ticks_until(market(seed=5), 60)
    assert market(seed=5).history() == market(seed=5).history()


def test_one_market_can_be_read_twice() -> None:
    source = market()
    assert list(islice(source.ticks(), 500)) == list(islice(source.ticks(), 500))


def test_another_seed_gives_another_market() -> None:
    assert ticks_until(market(seed=5), 10) != ticks_until(market(seed=6), 10)
    assert market(seed=5).history() != market(seed=6).history()


def test_ticks_come_in_time_order_from_the_start_on() -> None:
    times = [tick.time_ms for tick in ticks_until(market(), 120)]
    assert times == sorted(times)
    assert START_MS <= times[0] < START_MS + 1000


@pytest.mark.parametrize(
    ("scenario", "is_calm"), [(Scenario.CALM, True), (Scenario.DEFAULT, False)]
)
def test_a_calm_market_alone_stays_calm_after_its_script(scenario: Scenario, is_calm: bool) -> None:
    """With seed 1 the random regimes that follow other scripts bring a crash within hours."""
    sparse = market(scenario, ticks_per_second=0.05, symbols=("BTCUSDT", "ETHUSDT"))
    script_s = sum(segment.duration_s for segment in SCRIPTS[scenario])
    later = [tick for tick in ticks_until(sparse, 6 * 3_600) if tick.symbol == "BTCUSDT"]
    prices = [t.price for t in later if t.time_ms > sparse.start_ms + script_s * 1_000]
    assert (min(prices) > 0.95 * max(prices)) == is_calm


def test_every_pair_trades_a_few_times_a_second_within_its_decimals() -> None:
    source = market(Scenario.CALM)
    ticks = ticks_until(source, 60)
    assert len(source.symbols) >= 12
    for symbol in source.symbols:
        own = [tick for tick in ticks if tick.symbol == symbol]
        assert 1.5 * 60 < len(own) < 8 * 60
        assert all(tick.quantity > 0 for tick in own)
        decimals = source.price_decimals[symbol]
        assert all(tick.price == round(tick.price, decimals) for tick in own)


def test_history_covers_more_than_four_hours_and_meets_the_first_ticks() -> None:
    source = market()
    first = prices_at(source, 5)
    for symbol, bars in source.history().items():
        assert len(bars) == 300
        opens = [bar.open_time_ms for bar in bars]
        assert opens == list(range(opens[0], opens[0] + 300 * 60_000, 60_000))
        assert START_MS - 60_000 < bars[-1].close_time_ms <= START_MS
        assert first[symbol] == pytest.approx(bars[-1].close, rel=0.005)


def test_history_has_the_volume_of_calm_trading() -> None:
    source = market(Scenario.CALM)
    traded = sum(tick.quantity for tick in ticks_until(source, 600) if tick.symbol == "BTCUSDT")
    usual = statistics.fmean(bar.volume for bar in source.history()["BTCUSDT"])
    assert traded / 10 == pytest.approx(usual, rel=0.25)


def test_pairs_move_together() -> None:
    history = market().history()
    btc, sol = ([bar.close for bar in history[symbol]] for symbol in ("BTCUSDT", "SOLUSDT"))
    returns = [
        [later / earlier - 1 for earlier, later in pairwise(closes)] for closes in (btc, sol)
    ]
    assert statistics.correlation(*returns) > 0.5


def test_the_flash_crash_takes_a_fifth_off_btc_within_a_minute() -> None:
    source = market(Scenario.FLASH_CRASH)
    before, after = prices_at(source, 29), prices_at(source, 91)
    assert before["BTCUSDT"] == pytest.approx(65_000, rel=0.01)
    assert after["BTCUSDT"] / before["BTCUSDT"] - 1 == pytest.approx(-0.20, abs=0.02)
    assert after["SOLUSDT"] / before["SOLUSDT"] < 0.80


def test_the_slow_crash_takes_its_time() -> None:
    source = market(Scenario.SLOW_CRASH)
    before, later = prices_at(source, 60), prices_at(source, 360)
    assert 0.93 < later["BTCUSDT"] / before["BTCUSDT"] < 0.99


def test_a_pump_lifts_one_pair_on_eight_times_its_volume() -> None:
    source = market(Scenario.PUMP_AND_DUMP)
    ticks = ticks_until(source, 58)

    def volume(start_s: int, end_s: int) -> float:
        span = range(START_MS + start_s * 1000, START_MS + end_s * 1000)
        own = [tick for tick in ticks if tick.symbol == "DOGEUSDT" and tick.time_ms in span]
        return sum(tick.quantity for tick in own) / (end_s - start_s)

    assert volume(30, 58) == pytest.approx(8 * volume(0, 30), rel=0.3)
    before, top = prices_at(source, 30), prices_at(source, 58)
    assert top["DOGEUSDT"] / before["DOGEUSDT"] > 1.08
    assert top["LTCUSDT"] / before["LTCUSDT"] == pytest.approx(1.0, abs=0.01)


def test_a_market_that_is_not_endless_ends_with_its_script() -> None:
    source = market(Scenario.FLASH_CRASH, endless=False, ticks_per_second=0.2)
    last_ms = max(tick.time_ms for tick in source.ticks())
    assert source.end_ms is not None
    assert source.end_ms - 5_000 < last_ms < source.end_ms


def test_an_endless_market_goes_on_after_its_script() -> None:
    source = market(Scenario.PUMP_AND_DUMP, ticks_per_second=0.2)
    assert source.end_ms is None
    assert any(tick.time_ms > START_MS + 3_000_000 for tick in source.ticks())


def test_pairs_without_a_profile_of_their_own_trade_too() -> None:
    source = market(symbols=("BTCUSDT", "ETHUSDT", "PEPEUSDT"))
    assert prices_at(source, 10)["PEPEUSDT"] == pytest.approx(10.0, rel=0.01)
