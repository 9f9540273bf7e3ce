"""A start waits for the venue's limits, says why, and ends with the time of day when that is long.

Over the real socket; the venue's minutes last four seconds here, on both sides.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from venue_server import ServedExchange, served_exchange

from trading.clock import SystemClock, utc
from trading.errors import RateLimitedError
from trading.exchange.binance import request_budget
from trading.exchange.factory import create_venue
from trading.exchange.protocols import ExchangeClient
from trading.exchange.start_patience import StartPatience
from trading.simulator.server import rate_limits

OURS = "127.0.0.1"
SHORT_MINUTE_S = 4
ALMOST_USED_UP = 4_361  # of 6,000: for reads that are not essential too much


@dataclass
class Told:
    """What somebody who watches a start hears."""

    waits: list[tuple[str, float]] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, why: str, wait_s: float) -> None:
        self.waits.append((why, wait_s))
        self.heard.set()


@asynccontextmanager
async def starting(
    served: ServedExchange, patience: StartPatience | None
) -> AsyncIterator[ExchangeClient]:
    venue = create_venue(
        served.config(request_timeout_s=0.5), served.credentials, SystemClock(), patience=patience
    )
    try:
        yield venue.client
    finally:
        await venue.client.close()


async def start(client: ExchangeClient) -> None:
    """What a core asks for before it is ready."""
    await client.connect()
    assert (await client.account()).can_trade
    assert await client.instruments(("BTCUSDT",))
    await client.bars("BTCUSDT", "1m", limit=300)
    await client.open_orders()


@pytest.fixture
async def used_up(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServedExchange]:
    """An exchange of which this address has asked much, early in the minute."""
    monkeypatch.setattr(request_budget, "MINUTE_MS", SHORT_MINUTE_S * 1000)
    monkeypatch.setattr(rate_limits, "MINUTE_S", SHORT_MINUTE_S)
    async with served_exchange() as served:
        await asyncio.sleep(SHORT_MINUTE_S - time.time() % SHORT_MINUTE_S)
        served.server.context.limiter.charge(OURS, ALMOST_USED_UP)
        yield served


async def test_a_start_waits_for_the_next_minute_and_says_why(used_up: ServedExchange) -> None:
    told = Told()
    async with starting(used_up, StartPatience(told)) as client:
        await start(client)
    assert len(told.waits) == 1
    why, wait_s = told.waits[0]
    assert "of 6000 request weight used this minute" in why
    assert 0.5 < wait_s <= SHORT_MINUTE_S + 0.2


async def test_without_patience_the_same_start_ends(used_up: ServedExchange) -> None:
    """Mutant of the one above."""
    async with starting(used_up, None) as client:
        with pytest.raises(RateLimitedError, match="request weight used this minute"):
            await start(client)


async def test_once_a_core_runs_nothing_of_it_waits_any_more(used_up: ServedExchange) -> None:
    told = Told()
    patience = StartPatience(told)
    patience.end()
    async with starting(used_up, patience) as client:
        with pytest.raises(RateLimitedError, match="request weight used this minute"):
            await start(client)
    assert told.waits == []


async def test_a_start_that_is_given_up_waits_no_longer(used_up: ServedExchange) -> None:
    told = Told()
    patience = StartPatience(told)
    async with starting(used_up, patience) as client:
        task = asyncio.create_task(start(client))
        await told.heard.wait()
        begun = time.monotonic()
        patience.end()
        with pytest.raises(RateLimitedError):
            await task
        assert time.monotonic() - begun < told.waits[0][1] / 2


@pytest.mark.parametrize("banned", [False, True])
async def test_a_start_waits_as_long_as_a_refusal_says(
    used_up: ServedExchange, *, banned: bool
) -> None:
    used_up.server.context.limiter.refuse(OURS, 1, banned=banned)
    told = Told()
    async with starting(used_up, StartPatience(told)) as client:
        begun = time.monotonic()
        await start(client)
        took_s = time.monotonic() - begun
    why, wait_s = told.waits[0]
    assert "(-1003)" in why
    assert 1 <= wait_s <= took_s


async def test_a_ban_ends_the_start_at_once_with_the_time_of_its_end() -> None:
    told = Told()
    async with served_exchange() as served, starting(served, StartPatience(told)) as client:
        served.server.context.limiter.refuse(OURS, 240, banned=True)
        begun = time.monotonic()
        until_ms = SystemClock().now_ms() + 240_000
        with pytest.raises(RateLimitedError, match="takes no calls before") as caught:
            await start(client)
        assert time.monotonic() - begun < 5
    expected = [
        f"{utc(until_ms + late_ms):%Y-%m-%d %H:%M:%S} UTC" for late_ms in range(0, 5000, 500)
    ]
    assert any(time_of_day in str(caught.value) for time_of_day in expected), caught.value
    assert "banned" in str(caught.value)
    assert told.waits == []


async def test_all_waits_of_a_start_together_are_bounded() -> None:
    told = Told()
    calls = 0

    async def refused() -> None:
        nonlocal calls
        calls += 1
        raise RateLimitedError("too much", retry_after_s=0.1)

    with pytest.raises(RateLimitedError, match="takes no calls before"):
        await StartPatience(told, most_s=0.5).through(refused)
    assert calls == 3
    assert sum(wait_s for _, wait_s in told.waits) <= 0.5
