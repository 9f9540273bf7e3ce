"""How a perpetual's price, mark price and funding follow from its index; what the crowd does."""

from __future__ import annotations

from decimal import Decimal
from statistics import median

import pytest
from futures_market import START_MS, SYMBOL, build_bench

from trading.clock import MINUTE_MS
from trading.model.market import Bar
from trading.simulator.futures.contracts import BTC_TIERS, make_contract
from trading.simulator.futures.crowd import Crowd
from trading.simulator.futures.exchange import FuturesExchange
from trading.simulator.futures.prices import FUNDING_CAP, PerpetualPrice
from trading.simulator.futures_config import FuturesConfig
from trading.simulator.instruments import make_instrument
from trading.simulator.server.usdm import exchange_info


def followed(prices: list[float], every_ms: int = 1_000, **options: float) -> PerpetualPrice:
    """The price after its index has gone through ``prices``."""
    perpetual = PerpetualPrice(SYMBOL, FuturesConfig.model_validate(options))
    for step, price in enumerate(prices):
        perpetual.advance(price, START_MS + step * every_ms)
    return perpetual


def test_a_calm_market_has_a_small_premium_and_the_usual_funding() -> None:
    calm = followed([100.0] * 4_000)
    assert 0 < calm.basis < 0.001
    assert calm.funding_rate == pytest.approx(0.0001)
    assert calm.mark == pytest.approx(calm.contract, rel=0.0005)


def test_contracts_fall_deeper_than_spot_and_come_back() -> None:
    fallen = followed([100.0] * 600 + [90.0] * 5)
    assert fallen.basis < -0.003
    recovered = followed([100.0] * 600 + [90.0] * 1_500)
    assert recovered.basis > 0
    assert followed([100.0] * 600 + [110.0] * 5).basis > 0.004


def test_the_mark_price_is_the_median_of_its_three_prices() -> None:
    for path in ([100.0] * 50, [100.0] * 600 + [90.0] * 5, [100.0] * 600 + [110.0] * 5):
        price = followed(path)
        left = (price.next_funding_ms - price._last_ms) / (8 * 3_600_000)
        with_funding = price.index * (1 + price.funding_rate * left)
        assert price.mark == median((with_funding, price.index + price._gap, price.contract))


def test_forced_orders_push_the_contract_and_not_the_mark() -> None:
    price = followed([100.0] * 600)
    mark = price.mark
    price.push(-0.01)
    price.advance(100.0, START_MS + 600_000)
    assert price.contract < 99.2
    assert price.mark == pytest.approx(mark, rel=0.001)
    for second in range(300):
        price.advance(100.0, START_MS + 601_000 + second * 1_000)
    assert price.contract == pytest.approx(100.03, abs=0.05)


def test_funding_follows_the_mean_premium_within_its_cap() -> None:
    rising = [100.0 * 1.01**step for step in range(300)]
    assert 0.0005 < followed(rising, every_ms=60_000, overreaction=1.0).funding_rate <= FUNDING_CAP
    falling = [100.0 * 0.99**step for step in range(300)]
    assert -FUNDING_CAP <= followed(falling, every_ms=60_000, overreaction=1.0).funding_rate < 0


def test_the_same_seed_gives_the_same_prices() -> None:
    path = [100.0, 101.0, 99.0] * 50
    assert followed(path, seed=3).contract == followed(path, seed=3).contract
    assert followed(path, seed=3).contract != followed(path, seed=4).contract


def test_past_minutes_of_spot_give_past_minutes_past_funding_and_open_interest() -> None:
    bench = build_bench()
    pair = bench.exchange.contracts[SYMBOL].instrument
    first = START_MS // MINUTE_MS * MINUTE_MS - 600 * MINUTE_MS
    opens = range(first, first + 600 * MINUTE_MS, MINUTE_MS)
    bars = [Bar(SYMBOL, at, MINUTE_MS, 100.0, 101.0, 99.0, 100.0, 10.0) for at in opens]
    fresh = FuturesExchange(FuturesConfig(), [pair], bench.clock)
    fresh.load_index_history(SYMBOL, bars)
    assert len(fresh.tape(SYMBOL).candles) == 600
    assert len(fresh.prices[SYMBOL].settlements) == 2  # the one before the first minute, too
    day_of_contracts = 10 * 1440
    assert float(fresh.open_interest(SYMBOL)) == pytest.approx(3 * day_of_contracts, rel=0.2)


def test_a_position_that_was_forced_out_is_gone() -> None:
    crowd = Crowd(3.0)
    for minute in range(1, 500):
        crowd.live(100.0, 10.0, minute * MINUTE_MS)
    before = crowd.open_interest
    assert crowd.forced_out(100.0) == (0.0, 0.0)
    longs, shorts = crowd.forced_out(80.0)
    assert (longs > 0.2 * before, shorts) == (True, 0.0)
    assert crowd.forced_out(80.0) == (0.0, 0.0)
    assert crowd.long_share < 0.5


def test_brackets_are_continuous_and_bound_leverage() -> None:
    contract = make_contract(make_instrument("BTCUSDT", 50_000.0))
    for cap, leverage, rate in BTC_TIERS[:-1]:
        edge = Decimal(cap)
        assert contract.maintenance_margin(edge) == pytest.approx(
            contract.maintenance_margin(edge + Decimal("0.01")), abs=Decimal("0.01")
        )
        assert contract.bracket_of(edge).rate == Decimal(rate)
        assert contract.max_notional(leverage) == cap


def test_the_steps_of_the_cheapest_coins_are_written_without_exponents() -> None:
    rows = exchange_info.filters(make_contract(make_instrument("SHIBUSDT", 0.0000123)))
    steps = {row["filterType"]: row.get("tickSize", row.get("stepSize")) for row in rows}
    assert (steps["PRICE_FILTER"], steps["LOT_SIZE"]) == ("0.000000001", "1")
