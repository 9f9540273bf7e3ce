"""Mark prices, funding and forced orders over a real socket, up to the trip that they cause."""

from __future__ import annotations

import asyncio
import json

import pytest
from futures_server import FuturesServer, forced_order, futures_server, mark_price
from simulated_venue import running_venue, tick
from venue_server import FAST_RECONNECT, eventually, running

from trading.clock import SystemClock
from trading.errors import ConfigurationError
from trading.events import CrashDetected, EventBus
from trading.exchange.binance import futures_feed
from trading.exchange.binance.futures_feed import BinanceFuturesFeed
from trading.exchange.config import ExchangeConfig, ReconnectConfig
from trading.exchange.venues import VenueEndpoints
from trading.market.config import CrashDetectionConfig, MarketConfig, SpikeDetectionConfig
from trading.market.engine import MarketEngine
from trading.model.market import Tick
from trading.model.signals import FundingRate, FuturesPrice, Liquidation

CLOCK = SystemClock()


class Heard:
    """A ``FuturesListener`` that keeps what it hears, in order."""

    def __init__(self) -> None:
        self.connections = 0
        self.lost: list[str] = []
        self.prices: list[FuturesPrice] = []
        self.rates: list[FundingRate] = []
        self.orders: list[Liquidation] = []
        self.on_futures_price = self.prices.append
        self.on_funding = self.rates.append
        self.on_liquidation = self.orders.append
        self.on_futures_lost = self.lost.append

    def on_futures_connected(self) -> None:
        self.connections += 1


def feed(server: FuturesServer, reconnect: ReconnectConfig = FAST_RECONNECT) -> BinanceFuturesFeed:
    spot = "ws://127.0.0.1:9"
    endpoints = VenueEndpoints(
        rest_url="http://127.0.0.1:9",
        stream_url=spot,
        ws_api_url=f"{spot}/ws-api/v3",
        futures_stream_url=server.url,
    )
    config = ExchangeConfig(endpoints=endpoints, reconnect=reconnect)
    return BinanceFuturesFeed(config, CLOCK, "USDT")


async def test_the_embedded_exchange_tells_of_its_futures_like_the_real_one() -> None:
    heard = Heard()
    async with running_venue() as venue:
        tick(venue, 50_000.0)
        endpoints = VenueEndpoints(
            rest_url=venue.rest_url,
            stream_url=venue.ws_url,
            ws_api_url=venue.ws_api_url,
            futures_stream_url=venue.futures_ws_url,
        )
        config = ExchangeConfig(endpoints=endpoints, reconnect=FAST_RECONNECT)
        async with running(BinanceFuturesFeed(config, CLOCK, "USDT").run(heard)):
            await eventually(lambda: heard.prices)
            tick(venue, 44_000.0)
            await eventually(lambda: heard.orders)
    assert heard.connections == 1
    assert heard.prices[0].symbol == "BTCUSDT"
    assert heard.prices[0].price == pytest.approx(50_000.0, rel=0.001)
    assert heard.rates[0].rate == pytest.approx(0.0001, rel=0.5)
    [forced] = heard.orders
    assert (forced.symbol, forced.is_long) == ("BTCUSDT", True)
    assert forced.notional_usd > 1_000_000  # ten times leveraged longs, among others


async def test_prices_funding_and_forced_orders_arrive_as_the_cores_own_values() -> None:
    heard = Heard()
    async with futures_server() as server, running(feed(server).run(heard)):
        await eventually(lambda: server.connections)
        await server.mark(
            mark_price("BTCUSDT", "95000.12000000", 1_000, r="-0.00010000", T=9_000),
            mark_price("1000PEPEUSDT", "8.00000000", 1_000),
            mark_price("ETHUSDT_260327", "3000.0", 1_000, r=""),
            mark_price("BTCUSDC", "95001.0", 1_000),
        )
        await server.force(forced_order("BTCUSDT", "SELL", 2_000))
        await server.force(forced_order("1000SHIBUSDT", "BUY", 2_000, ap="0", p="0.01", q="500"))
        await eventually(lambda: len(heard.orders) == 2)
    assert heard.connections == 1
    assert heard.prices == [
        FuturesPrice("BTCUSDT", 95_000.12, 1_000),
        FuturesPrice("PEPEUSDT", 0.008, 1_000),
    ]
    assert heard.rates[0] == FundingRate("BTCUSDT", -0.0001, 9_000, 1_000)
    assert heard.orders == [
        Liquidation("BTCUSDT", True, 182_000.0, 2_000),
        Liquidation("SHIBUSDT", False, 5.0, 2_000),
    ]


async def test_the_feed_counts_as_connected_with_its_first_prices_only() -> None:
    heard = Heard()
    async with futures_server() as server, running(feed(server).run(heard)):
        await eventually(lambda: server.connections)
        await server.force(forced_order("BTCUSDT", "SELL", 1_000))
        await eventually(lambda: heard.orders)
        assert heard.connections == 0
        await server.mark(mark_price("BTCUSDT", "95000", 1_000))
        await eventually(lambda: heard.connections)


async def test_after_a_drop_the_feed_comes_back_and_says_both() -> None:
    heard = Heard()
    async with futures_server() as server, running(feed(server).run(heard)):
        for round_number in (1, 2):
            await eventually(lambda: server.connections)
            await server.mark(mark_price("BTCUSDT", "95000", round_number))
            await eventually(lambda wanted=round_number: heard.connections == wanted)
            await server.drop()
            await eventually(lambda wanted=round_number: len(heard.lost) == wanted)


async def test_a_silent_stream_is_lost_and_replaced() -> None:
    heard = Heard()
    reconnect = ReconnectConfig(first_delay_ms=10, max_delay_ms=50, stale_after_ms=500)
    async with futures_server() as server, running(feed(server, reconnect).run(heard)):
        await eventually(lambda: server.connections)
        await server.mark(mark_price("BTCUSDT", "95000", 1))
        await eventually(lambda: heard.lost)
        assert heard.lost == ["no message for 0.5 s"]
        await eventually(lambda: len(server.asked) == 2)


async def test_on_the_wrong_path_nothing_comes_and_nothing_counts_as_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(futures_feed, "ROUTE", "/public")
    heard = Heard()
    reconnect = ReconnectConfig(first_delay_ms=10, max_delay_ms=50, stale_after_ms=500)
    async with futures_server() as server, running(feed(server, reconnect).run(heard)):
        await eventually(lambda: server.connections)
        await server.mark(mark_price("BTCUSDT", "95000", 1))
        await eventually(lambda: heard.lost)
        assert heard.connections == 0


async def test_a_frame_that_is_not_what_its_stream_carries_ends_the_connection() -> None:
    heard = Heard()
    async with futures_server() as server, running(feed(server).run(heard)):
        await eventually(lambda: server.connections)
        await server.say(json.dumps({"result": None, "id": 1}))  # an answer to a request passes
        await server.say(json.dumps({"stream": "!forceOrder@arr", "data": {"e": "surprise"}}))
        await eventually(lambda: heard.lost)
        assert "surprise" in heard.lost[0]


async def test_without_an_address_there_is_no_futures_feed() -> None:
    assert not ExchangeConfig().hears_futures
    assert ExchangeConfig(venue="binance").hears_futures
    assert not ExchangeConfig(venue="binance", futures_signals=False).hears_futures
    testnet = ExchangeConfig(venue="testnet")
    assert not testnet.hears_futures
    with pytest.raises(ConfigurationError):
        await asyncio.wait_for(BinanceFuturesFeed(testnet, CLOCK, "USDT").run(Heard()), 30)


class EngineEars:
    """What the core does with the feed: everything goes to the market engine."""

    def __init__(self, engine: MarketEngine) -> None:
        self.on_futures_connected = engine.on_futures_connected
        self.on_futures_price = engine.on_futures_price
        self.on_funding = engine.on_funding
        self.on_liquidation = engine.on_liquidation
        self._engine = engine

    def on_futures_lost(self, reason: str) -> None:
        self._engine.on_futures_lost()


async def test_what_the_futures_say_trips_by_every_rule_that_listens_to_them() -> None:
    bus, rules = EventBus(), set()
    bus.subscribe(CrashDetected, lambda event: rules.add(event.rule))
    crash = CrashDetectionConfig.model_validate({"futures_gap": {"hold_s": 0}})
    engine = MarketEngine(
        MarketConfig(symbols=("BTCUSDT", "ETHUSDT")), SpikeDetectionConfig(), crash, CLOCK, bus
    )
    async with futures_server() as server, running(feed(server).run(EngineEars(engine))):
        await eventually(lambda: server.connections)
        now_ms = CLOCK.now_ms()
        engine.on_tick(Tick("BTCUSDT", 100_000.0, 1.0, now_ms))
        await server.mark(mark_price("BTCUSDT", "94000", now_ms, r="0.0125"))
        await server.force(forced_order("ETHUSDT", "SELL", now_ms, ap="3000", z="170000"))
        await eventually(lambda: (engine.advance(CLOCK.now_ms()), len(rules) == 3)[1])
    assert rules == {"btc_futures_gap", "funding_8h", "liquidations_1h"}
