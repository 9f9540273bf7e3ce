"""The crash rules on recorded crashes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from trading.simulator.recorded_market import RecordedMarket

RunMarket = Callable[..., Any]


def ms(*parts: int) -> int:
    return round(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type]


def starts(shortly_before_ms: int) -> pytest.MarkDecorator:
    """Begin the window there, or (long) where it begins."""
    whole = pytest.param(None, marks=pytest.mark.long, id="whole window")
    return pytest.mark.parametrize(
        "start_ms", [pytest.param(shortly_before_ms, id="the hours before"), whole]
    )


def first_trips(run: Any) -> dict[str, int]:
    """Each rule that tripped, and when it did for the first time."""
    return {rule: time_ms for time_ms, rule in reversed(run.crashes)}


# Hours before the crash; or the whole window, which begins on the day before.
BEFORE_BLACK_THURSDAY = starts(ms(2020, 3, 12, 5, 0))
BEFORE_OCTOBER_2025 = starts(ms(2025, 10, 10, 15, 0))


@BEFORE_BLACK_THURSDAY
def test_black_thursday_trips_on_breadth_and_on_btc_and_eth(
    recorded_data: Path, run_market: RunMarket, start_ms: int | None
) -> None:
    market = RecordedMarket.load(recorded_data, window="2020-03-12", start_ms=start_ms)
    run = run_market(market, ms(2020, 3, 12, 10, 50))
    trips = first_trips(run)
    assert trips["breadth_1h"] == ms(2020, 3, 12, 10, 43, 31)
    # BTC is 15 % below its one-hour high for the first time within the minute 10:45.
    assert trips["btc_drawdown_1h"] == ms(2020, 3, 12, 10, 45, 30)
    assert trips["eth_drawdown_1h"] == ms(2020, 3, 12, 10, 44, 30)
    assert run.crashes[0][0] <= min(trips.values())
    assert run.problems == {""}


@BEFORE_BLACK_THURSDAY
def test_black_thursday_trips_without_any_other_pair_too(
    recorded_data: Path, run_market: RunMarket, start_ms: int | None
) -> None:
    market = RecordedMarket.load(recorded_data, window="2020-03-12", start_ms=start_ms, symbols=())
    run = run_market(market, ms(2020, 3, 12, 10, 46))
    assert market.symbols == ("BTCUSDT", "ETHUSDT")
    assert first_trips(run)["eth_drawdown_1h"] == ms(2020, 3, 12, 10, 44, 30)
    assert "breadth_1h" not in first_trips(run)


@BEFORE_OCTOBER_2025
def test_breadth_catches_the_crash_of_october_2025_that_btc_and_eth_miss(
    recorded_data: Path, run_market: RunMarket, start_ms: int | None
) -> None:
    market = RecordedMarket.load(recorded_data, window="2025-10-10", start_ms=start_ms)
    assert len(market.symbols) > 20
    run = run_market(market, ms(2025, 10, 10, 22, 0))
    trips = first_trips(run)
    assert not [rule for rule in trips if rule.startswith(("btc_", "eth_"))]
    assert ms(2025, 10, 10, 21, 10) < trips["breadth_1h"] < ms(2025, 10, 10, 21, 20)
    assert min(trips.values()) > ms(2025, 10, 10, 21, 0), "before the fall nothing trips"


def test_a_quiet_time_trips_nothing(recorded_data: Path, run_market: RunMarket) -> None:
    market = RecordedMarket.load(recorded_data, window="quiet-2025-06", symbols=())
    run = run_market(market, market.start_ms + 24 * 3_600_000)
    assert run.crashes == []
    assert run.problems == {""}
