"""A storm of requests from everybody at once is never refused by the venue, let alone banned."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest
from venue_server import ServedExchange, limit_buy, served_exchange, unfenced

from trading.clock import SystemClock
from trading.errors import ExchangeError, RateLimitedError
from trading.exchange.binance.adapter import BinanceClient
from trading.exchange.binance.request_budget import RequestBudget
from trading.simulator.server.config import ExchangeServerConfig
from trading.simulator.server.limit_config import RateLimitConfig

LIMITS = RateLimitConfig(weight_per_minute=600, orders_per_10s=40, calls_before_ban=20)


async def storm(served: ServedExchange) -> tuple[Counter[str], Counter[int]]:
    """Many of each request at once; how they ended, and which refusals the venue gave."""
    left_s = 60 - time.time() % 60
    if left_s < 8:  # a storm over two of the venue's minutes would prove less
        await asyncio.sleep(left_s + 0.1)
    client = BinanceClient(served.config(request_timeout_s=30.0), served.credentials, SystemClock())
    await client.connect()
    await client.instruments(("BTCUSDT",))
    given: Counter[int] = Counter()
    session = client._open_client.session

    async def one(call) -> str:  # type: ignore[no-untyped-def]
        try:
            await call()
        except RateLimitedError:
            return "held back"
        except ExchangeError:
            return "refused"
        return "answered"

    def count(response) -> None:  # type: ignore[no-untyped-def]
        given[response.status] += 1

    handle = client._open_client._handle_response

    async def counted(response):  # type: ignore[no-untyped-def]
        count(response)
        return await handle(response)

    client._open_client._handle_response = counted
    try:
        calls = [
            *(lambda: client.order_book("BTCUSDT") for _ in range(60)),
            *(lambda: client.bars("BTCUSDT", "1m") for _ in range(60)),
            *(client.account for _ in range(60)),
            *(client.open_orders for _ in range(20)),
            *(lambda n=n: client.submit_order(limit_buy(f"sg-{n}"), unfenced) for n in range(60)),
        ]
        ended = Counter(await asyncio.gather(*(one(call) for call in calls)))
    finally:
        assert not session.closed
        await client.close()
    return ended, given


async def test_a_storm_of_requests_is_held_back_before_the_venue_refuses_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with served_exchange(ExchangeServerConfig(rate_limits=LIMITS)) as served:
        ended, given = await storm(served)
    assert given[429] <= 1
    assert given[418] == 0
    assert ended["answered"] > 60
    assert ended["held back"] > 60

    async def unlimited(*_: object, **__: object) -> None:
        """Mutant: nobody counts."""

    monkeypatch.setattr(RequestBudget, "take", unlimited)
    monkeypatch.setattr(RequestBudget, "take_order", lambda *_, **__: None)
    async with served_exchange(ExchangeServerConfig(rate_limits=LIMITS)) as served:
        _, given = await storm(served)
    assert given[429] + given[418] > 1
