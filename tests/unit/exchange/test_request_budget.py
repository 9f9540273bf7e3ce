"""Requests are counted in the venue's windows, and those that do not fit are not sent."""

from __future__ import annotations

import pytest

from trading.errors import RateLimitedError
from trading.exchange.binance.request_budget import (
    ESSENTIAL_SHARE,
    ORDER_COUNT_10S,
    ORDINARY_SHARE,
    USED_WEIGHT,
    WEIGHT_PER_MINUTE,
    RequestBudget,
)
from trading.exchange.binance.request_weights import UNKNOWN_WEIGHT, is_essential, weight_of

MINUTE_MS = 60_000
API = "https://api.binance.com/api/v3/"


class Venue:
    """A clock at the begin of a minute, and the budget on it."""

    def __init__(self, patience_s: float = 0.0) -> None:
        self.now_ms = 10 * MINUTE_MS
        self.budget = RequestBudget(patience_s, lambda: self.now_ms / 1000)


async def spent(budget: RequestBudget, weight: int, *, essential: bool) -> int:
    """How many requests of ``weight`` pass before one is refused."""
    count = 0
    while True:
        try:
            await budget.take(weight, essential=essential)
        except RateLimitedError:
            return count
        count += 1


async def test_ordinary_requests_leave_room_for_those_that_keep_us_safe() -> None:
    venue = Venue()
    assert (
        await spent(venue.budget, 100, essential=False) == WEIGHT_PER_MINUTE * ORDINARY_SHARE / 100
    )
    further = WEIGHT_PER_MINUTE * (ESSENTIAL_SHARE - ORDINARY_SHARE) / 100
    assert await spent(venue.budget, 100, essential=True) == round(further)


async def test_no_count_holds_a_cancel_back() -> None:
    venue = Venue()
    venue.budget.heed({USED_WEIGHT: "6000"})
    await venue.budget.take(weight_of("delete", API + "order", {}), essential=True)


async def test_the_next_minute_of_the_venue_begins_with_an_empty_count() -> None:
    venue = Venue()
    venue.budget.offset_ms = -1_000  # its clock is behind ours
    await spent(venue.budget, 100, essential=True)
    venue.now_ms += 999
    assert await spent(venue.budget, 100, essential=True) == 0
    venue.now_ms += 1
    assert await spent(venue.budget, 100, essential=True) > 0


async def test_a_refusal_says_when_the_next_minute_begins() -> None:
    venue = Venue()
    await spent(venue.budget, 100, essential=True)
    venue.now_ms += 45_000
    with pytest.raises(RateLimitedError, match="of 6000 request weight") as caught:
        await venue.budget.take(100, essential=True)
    assert caught.value.retry_after_s == 15


async def test_what_the_venue_counted_beyond_ours_counts() -> None:
    venue = Venue()
    venue.budget.heed({USED_WEIGHT: "5399"})
    assert await spent(venue.budget, 1, essential=True) == 1
    venue.budget.heed({USED_WEIGHT: "12"})  # an answer that was overtaken
    assert await spent(venue.budget, 1, essential=True) == 0


async def test_a_request_waits_for_a_window_that_is_near() -> None:
    venue = Venue(patience_s=5.0)
    venue.now_ms += MINUTE_MS - 50
    venue.budget.heed({USED_WEIGHT: "6000"})
    waited = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        venue.now_ms += round(seconds * 1000)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trading.exchange.binance.request_budget.asyncio.sleep", sleep)
        await venue.budget.take(20, essential=False)
    assert waited == [pytest.approx(0.051)]


async def test_the_limits_are_those_of_exchange_info() -> None:
    venue = Venue()
    venue.budget.learn(
        [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": 1000,
            },
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 10},
            {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 7},
            "nonsense",
        ]
    )
    assert await spent(venue.budget, 100, essential=True) == 9
    for _ in range(7):
        venue.budget.take_order(increases_risk=True)


def test_entries_leave_room_for_exits_in_the_order_count() -> None:
    venue = Venue()
    venue.budget.heed({ORDER_COUNT_10S: "70"})
    with pytest.raises(RateLimitedError, match="70 of 100 orders"):
        venue.budget.take_order(increases_risk=True)
    for _ in range(30):
        venue.budget.take_order(increases_risk=False)
    with pytest.raises(RateLimitedError, match="100 of 100 orders"):
        venue.budget.take_order(increases_risk=False)


@pytest.mark.parametrize(
    ("method", "path", "parameters", "weight"),
    [
        ("get", "openOrders", {"symbol": "BTCUSDT"}, 6),
        ("get", "openOrders", {"symbol": None}, 80),
        ("get", "myTrades", {"orderId": 7}, 5),
        ("get", "depth", {"limit": 20}, 5),
        ("get", "depth", {"limit": 1000}, 50),
        ("delete", "order", {}, 0),
        ("get", "somethingNew", {}, UNKNOWN_WEIGHT),
    ],
)
def test_a_request_weighs_what_its_parameters_make_it_weigh(
    method: str, path: str, parameters: dict[str, object], weight: int
) -> None:
    assert weight_of(method, API + path, parameters) == weight


def test_what_concerns_orders_and_the_account_is_essential() -> None:
    assert is_essential(API + "order")
    assert not is_essential(API + "klines")
