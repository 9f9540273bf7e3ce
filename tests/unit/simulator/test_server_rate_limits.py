"""Aligned windows, 429 with Retry-After, and a ban for who goes on."""

from __future__ import annotations

import pytest

from trading.simulator.server.limit_config import RateLimitConfig
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


def test_every_further_ban_is_twice_as_long_up_to_the_longest() -> None:
    config = RateLimitConfig(weight_per_minute=1, calls_before_ban=1, ban_s=100, max_ban_s=300)
    now = [0.0]
    limiter = RateLimiter(config, lambda: now[0])
    lengths = []
    for _ in range(4):
        for _call in range(2):
            with pytest.raises(WireError):
                limiter.charge("ip", 2)
        with pytest.raises(WireError) as caught:
            limiter.charge("ip", 0)
        assert (caught.value.status, caught.value.code) == (418, -1003)
        lengths.append((caught.value.retry_after_s or 0) - 1)
        now[0] += 600
    assert lengths == [100, 200, 300, 300]


def test_requests_are_counted_whatever_they_weigh() -> None:
    limiter = RateLimiter(RateLimitConfig(requests_per_5min=3), lambda: 10.0)
    for _ in range(3):
        limiter.charge("ip", 0)
    with pytest.raises(WireError) as caught:
        limiter.charge("ip", 0)
    assert (caught.value.status, caught.value.retry_after_s) == (429, 291)


def test_connections_are_counted_for_each_address() -> None:
    limiter = RateLimiter(RateLimitConfig(connections_per_5min=2), lambda: 10.0)
    limiter.connect("ip")
    limiter.connect("ip")
    with pytest.raises(WireError, match="Too many new connections"):
        limiter.connect("ip")
    limiter.connect("other")


def test_a_list_counts_as_all_its_orders() -> None:
    limiter = RateLimiter(RateLimitConfig(orders_per_10s=2), lambda: 10.0)
    limiter.check_orders("main", 2)
    with pytest.raises(WireError, match="Too many new orders"):
        limiter.check_orders("main", 3)
