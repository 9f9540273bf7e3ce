"""Aligned windows, 429 with Retry-After, and a ban for who goes on."""

from __future__ import annotations

import pytest

from trading.simulator.server.config import RateLimitConfig
from trading.simulator.server.rate_limits import RateLimiter
from trading.simulator.server.wire_errors import WireError


class Wall:
    now_s = 600.0

    def __call__(self) -> float:
        return self.now_s


def limiter(wall: Wall) -> RateLimiter:
    config = RateLimitConfig(
        weight_per_minute=10, orders_per_10s=2, orders_per_day=3, calls_before_ban=2, ban_s=120
    )
    return RateLimiter(config, wall)


def test_weight_past_the_limit_is_refused_until_the_minute_is_over() -> None:
    wall = Wall()
    limits = limiter(wall)
    wall.now_s = 655.0
    assert limits.charge("ip", 10) == 10
    with pytest.raises(WireError) as caught:
        limits.charge("ip", 1)
    assert (caught.value.code, caught.value.status) == (-1003, 429)
    assert caught.value.retry_after_s == 6
    assert limits.charge("other", 1) == 1
    wall.now_s = 660.0  # aligned to the minute, not sixty seconds later
    assert limits.charge("ip", 1) == 1


def test_going_on_in_spite_of_429_brings_a_ban() -> None:
    wall = Wall()
    limits = limiter(wall)
    limits.charge("ip", 10)
    statuses = []
    for _ in range(4):
        with pytest.raises(WireError) as caught:
            limits.charge("ip", 1)
        statuses.append(caught.value.status)
    assert statuses == [429, 429, 418, 418]
    wall.now_s += 119
    with pytest.raises(WireError, match="IP banned until 720000"):
        limits.charge("ip", 1)
    wall.now_s += 1
    assert limits.charge("ip", 1) == 1


def test_orders_are_counted_in_ten_seconds_and_days_and_given_back() -> None:
    wall = Wall()
    limits = limiter(wall)
    for _ in range(2):
        limits.check_orders("main")
        limits.count_order("main")
    with pytest.raises(WireError, match="current limit is 2 orders per 10 SECOND") as caught:
        limits.check_orders("main")
    assert (caught.value.code, caught.value.status) == (-1015, 429)
    limits.count_order("main", -1)
    limits.check_orders("main")
    wall.now_s += 10
    for _ in range(2):
        limits.count_order("main")
    wall.now_s += 10
    with pytest.raises(WireError, match="current limit is 3 orders per 1 DAY"):
        limits.check_orders("main")
    assert limits.order_counts("main") == (0, 3)
