"""Errors by kind, repeated reads, a venue left alone, and what is told of it all."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from trading.errors import (
    AuthenticationError,
    ClockSkewError,
    ConfigurationError,
    ExchangeConnectionError,
    OrderNotFoundError,
    OrderRejectedError,
    RateLimitedError,
    UnknownOutcomeError,
)
from trading.exchange.config import ExchangeConfig, RetryConfig
from trading.exchange.error_codes import error_for_code
from trading.exchange.error_kinds import ErrorKind, classify, is_retryable, suggestion
from trading.exchange.recovering_client import RecoveringClient
from trading.exchange.recovery import RecoveryLog, ServiceBreaker
from trading.exchange.venues import VenueEndpoints
from trading.model.order import OrderPurpose, OrderRequest, OrderType, Side

RETRY = RetryConfig(attempts=4, first_wait_s=0.001, max_wait_s=0.002, failures_in_a_row=6)
ORDER = OrderRequest(
    client_order_id="o",
    symbol="BTCUSDT",
    side=Side.BUY,
    type=OrderType.MARKET,
    quantity=Decimal(1),
    purpose=OrderPurpose.ENTRY,
)


class Clock:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


class Venue:
    """Fails as told, then answers."""

    venue = "test"

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def server_time_ms(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return 42

    async def cancel_order(self, symbol: str, client_order_id: str) -> Any:
        return await self.server_time_ms()

    async def submit_order(self, request: OrderRequest, on_wire: Callable[[], None]) -> Any:
        return await self.server_time_ms()


def recovering(
    venue: Venue, clock: Clock | None = None, hosts: list[str] | None = None
) -> RecoveringClient:
    now_s = clock or Clock()
    log = RecoveryLog(
        lambda: 1_000,
        lambda: ServiceBreaker(
            threshold=RETRY.failures_in_a_row, pause_s=1.0, max_pause_s=4.0, now_s=now_s
        ),
    )
    others = hosts or []
    return RecoveringClient(
        venue,  # type: ignore[arg-type]  # the few methods that are called
        RETRY,
        log,
        lambda: others.pop(0) if others else None,
    )


DOWN = ExchangeConnectionError("connection reset")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DOWN, ErrorKind.TRANSIENT),
        (TimeoutError(), ErrorKind.TRANSIENT),
        (RateLimitedError("slow down", retry_after_s=3, code=-1003), ErrorKind.RATE),
        (AuthenticationError("key", code=-2015), ErrorKind.AUTH),
        (ClockSkewError("clock", code=-1021), ErrorKind.AUTH),
        (OrderRejectedError("no", code=-2010), ErrorKind.INVALID),
        (OrderNotFoundError("no"), ErrorKind.INVALID),
        (UnknownOutcomeError("sent"), ErrorKind.UNKNOWN_OUTCOME),
        (ConfigurationError("host"), ErrorKind.FATAL),
        (KeyError("defect"), ErrorKind.FATAL),
        (error_for_code(-1001, "", is_order=False), ErrorKind.TRANSIENT),
        (error_for_code(-1001, "", is_order=True), ErrorKind.UNKNOWN_OUTCOME),
        (error_for_code(0, "bad gateway", is_order=False, status=502), ErrorKind.TRANSIENT),
        (error_for_code(-1121, "Invalid symbol.", is_order=False), ErrorKind.INVALID),
    ],
)
def test_every_error_has_one_kind_and_only_what_passes_is_repeated(
    error: BaseException, kind: ErrorKind
) -> None:
    assert classify(error) is kind
    assert is_retryable(error) is (kind is ErrorKind.TRANSIENT)
    assert suggestion(kind, getattr(error, "code", None))


async def test_a_read_is_repeated_until_it_succeeds_and_counts_as_recovered() -> None:
    venue = Venue(DOWN, DOWN)
    client = recovering(venue)
    assert await client.server_time_ms() == 42
    assert venue.calls == 3
    status = client.recovery.status()
    assert (status.recovered, status.given_up, status.recovery_rate) == (1, 0, 1.0)


async def test_a_read_that_keeps_failing_is_given_up_after_its_attempts() -> None:
    venue = Venue(*[DOWN] * 9)
    client = recovering(venue)
    with pytest.raises(ExchangeConnectionError):
        await client.server_time_ms()
    assert venue.calls == RETRY.attempts
    assert client.recovery.status().recovery_rate == 0.0


@pytest.mark.parametrize(
    "error",
    [
        RateLimitedError("slow down", retry_after_s=3),
        AuthenticationError("key"),
        OrderNotFoundError("no"),
    ],
)
async def test_what_repeating_cannot_help_is_not_repeated(error: Exception) -> None:
    venue = Venue(error)
    with pytest.raises(type(error)):
        await recovering(venue).server_time_ms()
    assert venue.calls == 1


@pytest.mark.parametrize("error", [DOWN, UnknownOutcomeError("sent")])
async def test_an_order_is_never_repeated(error: Exception) -> None:
    venue = Venue(error)
    with pytest.raises(type(error)):
        await recovering(venue).submit_order(ORDER, lambda: None)
    assert venue.calls == 1


async def test_a_venue_that_keeps_failing_is_left_alone_then_tried_by_one_call() -> None:
    venue, clock = Venue(*[DOWN] * 8), Clock()
    client = recovering(venue, clock)
    for _ in range(2):
        with pytest.raises(ExchangeConnectionError):
            await client.server_time_ms()
    assert client.recovery.objection() == "not answering: exchange reads"
    calls = venue.calls
    with pytest.raises(ExchangeConnectionError, match="tried again in"):
        await client.server_time_ms()
    assert venue.calls == calls
    venue.errors.clear()
    clock.s += 4.1
    assert await client.server_time_ms() == 42
    assert client.recovery.objection() is None


async def test_a_cancel_is_tried_however_long_the_venue_has_failed() -> None:
    venue = Venue(*[DOWN] * 8)
    client = recovering(venue)
    for _ in range(2):
        with pytest.raises(ExchangeConnectionError):
            await client.server_time_ms()
    venue.errors.clear()
    assert await client.cancel_order("BTCUSDT", "o") == 42


def test_pauses_double_up_to_the_longest() -> None:
    clock = Clock()
    breaker = ServiceBreaker(threshold=2, pause_s=1.0, max_pause_s=3.0, now_s=clock)
    pauses = []
    for _ in range(5):
        breaker.failed()
        pauses.append(breaker.wait_s)
    assert pauses == [0.0, 1.0, 2.0, 3.0, 3.0]
    breaker.succeeded()
    assert not breaker.is_failing
    assert breaker.wait_s == 0.0


async def test_a_host_that_fails_twice_for_a_call_is_left_for_the_next() -> None:
    hosts = ["https://api1.binance.com"]
    await recovering(Venue(DOWN, DOWN), hosts=hosts).server_time_ms()
    assert hosts == []


async def test_errors_that_repeat_are_told_with_something_to_look_at() -> None:
    client = recovering(Venue(*[AuthenticationError("Invalid API-key", code=-2015)] * 3))
    for _ in range(3):
        with pytest.raises(AuthenticationError):
            await client.server_time_ms()
    (pattern,) = client.recovery.status().patterns
    assert (pattern.kind, pattern.code, pattern.count) == ("auth", -2015, 3)
    assert "doctor" in pattern.suggestion


def test_the_venues_own_hosts_follow_only_where_no_other_host_is_set() -> None:
    own = ExchangeConfig(venue="binance").resolved_endpoints()
    assert "https://api2.binance.com" in own.fallback_rest_urls
    elsewhere = VenueEndpoints(rest_url="http://127.0.0.1:1")
    proxied = ExchangeConfig(venue="binance", endpoints=elsewhere).resolved_endpoints()
    assert proxied.fallback_rest_urls == ()
    with pytest.raises(ValueError, match="no host of venue"):
        ExchangeConfig(
            venue="binance",
            endpoints=VenueEndpoints(fallback_rest_urls=("https://example.com",)),
        )
