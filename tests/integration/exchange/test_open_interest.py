"""Open interest over a real socket: how often it is asked for, and what a refusal does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from futures_server import FuturesServer, futures_server

from trading.clock import VirtualClock
from trading.exchange.binance import open_interest
from trading.exchange.binance.open_interest import BinanceOpenInterest
from trading.exchange.config import ExchangeConfig
from trading.exchange.venues import VenueEndpoints
from trading.model.signals import OpenInterest

START_MS = 1_700_000_000_000
MINUTE_MS = 60_000


class Rig:
    def __init__(self, server: FuturesServer) -> None:
        url = server.url.replace("ws://", "http://")
        loopback = {"rest_url": url, "stream_url": server.url, "ws_api_url": server.url}
        config = ExchangeConfig(endpoints=VenueEndpoints(**loopback, futures_rest_url=url))
        self.server = server
        self.clock = VirtualClock(START_MS)
        self.heard: list[OpenInterest] = []
        self._feed = BinanceOpenInterest(config, self.clock)

    async def run(self, steps: Callable[[], list[int]]) -> None:
        task = asyncio.create_task(self._feed.run(("BTCUSDT", "NONEUSDT"), self.heard.append))
        try:
            await asyncio.sleep(0.1)
            for minutes in steps():
                self.clock.advance_to(START_MS + minutes * MINUTE_MS)
                await asyncio.sleep(0.1)
            assert not task.done()
        finally:
            task.cancel()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_interest, "LOOK_EVERY_S", 0.01)


async def test_it_is_asked_for_once_a_minute_and_an_unknown_contract_once_only() -> None:
    async with futures_server() as server:
        server.interest = {"BTCUSDT": "10659.509"}
        rig = Rig(server)
        await rig.run(lambda: [1, 2])
        assert [one.coins for one in rig.heard] == [10_659.509] * 3
        assert server.interest_asked.count("NONEUSDT") == 1


@pytest.mark.parametrize("status", [418, 429])
async def test_a_venue_that_refuses_is_left_alone_for_ten_minutes(status: int) -> None:
    async with futures_server() as server:
        server.interest_status = status
        rig = Rig(server)
        await rig.run(lambda: [1, 5, 9])
        assert server.interest_asked == ["BTCUSDT"]
        assert rig.heard == []


async def test_nonsense_is_no_figure_and_ends_nothing() -> None:
    async with futures_server() as server:
        server.interest = {"BTCUSDT": "many"}
        rig = Rig(server)
        await rig.run(lambda: [1])
        assert rig.heard == []
        assert server.interest_asked.count("BTCUSDT") == 2
