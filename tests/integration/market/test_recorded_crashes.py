"""The crash rules on recorded crashes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trading.simulator.recorded_market import RecordedMarket

RunMarket = Callable[..., Any]


def ms(*parts: int) -> int:
    return round(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type]


def test_black_thursday_trips_on_breadth_and_then_on_btc_and_eth(
    recorded_data: Path, run_market: RunMarket
) -> None:
    market = RecordedMarket.load(recorded_data, window="2020-03-12")
    run = run_market(market, ms(2020, 3, 12, 10, 50))
    assert run.crashes[0] == (ms(2020, 3, 12, 10, 43, 31), "breadth_1h")
    by_rule = {rule: time_ms for time_ms, rule in reversed(run.crashes)}
    # BTC is 15 % below its one-hour high for the first time within the minute 10:45.
    assert by_rule["btc_drawdown_1h"] == ms(2020, 3, 12, 10, 45, 30)
    assert by_rule["eth_drawdown_1h"] == ms(2020, 3, 12, 10, 44, 30)
    assert run.problems == {""}


def test_btc_and_eth_alone_trip_on_black_thursday_too(
    recorded_data: Path, run_market: RunMarket
) -> None:
    market = RecordedMarket.load(recorded_data, window="2020-03-12", symbols=())
    run = run_market(market, ms(2020, 3, 12, 10, 46))
    assert market.symbols == ("BTCUSDT", "ETHUSDT")
    assert run.crashes[0] == (ms(2020, 3, 12, 10, 44, 30), "eth_drawdown_1h")


def test_breadth_catches_the_crash_of_october_2025_that_btc_and_eth_miss(
    recorded_data: Path, run_market: RunMarket
) -> None:
    market = RecordedMarket.load(recorded_data, window="2025-10-10")
    assert len(market.symbols) > 20
    run = run_market(market, ms(2025, 10, 10, 22, 0))
    assert [rule for _, rule in run.crashes] == ["breadth_1h"]
    assert ms(2025, 10, 10, 21, 10) < run.crashes[0][0] < ms(2025, 10, 10, 21, 20)


def test_a_quiet_time_trips_nothing(recorded_data: Path, run_market: RunMarket) -> None:
    market = RecordedMarket.load(recorded_data, window="quiet-2025-06", symbols=())
    run = run_market(market, market.start_ms + 24 * 3_600_000)
    assert run.crashes == []
    assert run.problems == {""}
