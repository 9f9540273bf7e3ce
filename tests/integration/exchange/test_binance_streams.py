"""Market feed and user stream over real sockets that break, go silent and come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from binance import BinanceSocketManager
from binance.ws.constants import WSListenerState
from venue_server import (
    RecordingProxy,
    TickLog,
    eventually,
    limit_buy,
    running,
    served_exchange,
    unfenced,
)

from trading.clock import SystemClock
from trading.exchange.binance import supervisor
from trading.exchange.binance.adapter import BinanceClient
from trading.exchange.binance.client import VenueClient
from trading.exchange.binance.feed import BinanceFeed
from trading.exchange.binance.user_stream import BinanceUserStream
from trading.exchange.config import ReconnectConfig
from trading.model.order import OrderReport, OrderStatus
from trading.simulator.server.faults import Fault, FaultKind

DROPS = 5


async def test_ticks_arrive_with_price_quantity_and_trade_time() -> None:
    async with served_exchange() as served:
        heard = TickLog()
        async with running(BinanceFeed(served.config()).run(("BTCUSDT",), heard)):
            await eventually(lambda: heard.connections)
            before_ms = SystemClock().now_ms()
            served.tick(10_001.5, 0.25)
            await eventually(lambda: heard.ticks)
        tick = heard.ticks[0]
        assert (tick.symbol, tick.price, tick.quantity) == ("BTCUSDT", 10_001.5, 0.25)
        assert 0 <= tick.time_ms - before_ms < 1000


async def test_the_feed_comes_back_after_every_drop() -> None:
    async with served_exchange() as served:
        heard = TickLog()
        async with running(BinanceFeed(served.config()).run(("BTCUSDT",), heard)):
            for number in range(1, DROPS + 1):
                await eventually(lambda n=number: heard.connections == n)
                served.tick(10_000.0 + number)
                await eventually(lambda n=number: len(heard.ticks) == n)
                served.server.drop_websockets("market")
            await eventually(lambda: heard.connections == DROPS + 1)
        assert len(heard.lost) == DROPS


async def test_a_trade_that_comes_twice_is_delivered_once() -> None:
    async with served_exchange() as served:
        heard = TickLog()
        async with running(BinanceFeed(served.config()).run(("BTCUSDT",), heard)):
            await eventually(lambda: heard.connections)
            served.server.faults.plan(Fault(kind=FaultKind.MARKET_REPEATED, duration_ms=60_000))
            for number in range(5):
                served.tick(10_000.0 + number)
            await eventually(lambda: len(heard.ticks) >= 5)
            await asyncio.sleep(0.05)
        assert [tick.price for tick in heard.ticks] == [10_000.0 + number for number in range(5)]
        assert heard.lost == []


async def test_trades_left_out_count_as_a_loss_though_the_socket_stays() -> None:
    async with served_exchange() as served:
        heard = TickLog()
        async with running(BinanceFeed(served.config()).run(("BTCUSDT",), heard)):
            await eventually(lambda: heard.connections)
            served.tick(10_000.0)
            await eventually(lambda: heard.ticks)
            served.server.faults.plan(Fault(kind=FaultKind.MARKET_GAP, duration_ms=60_000))
            served.tick(10_001.0)
            served.tick(10_002.0)
            served.server.faults.end()
            served.tick(10_003.0)
            await eventually(lambda: len(heard.ticks) == 2)
            assert len(served.server.context.connections.open("market")) == 1
        assert heard.lost == ["2 trades of BTCUSDT were left out"]
        assert heard.connections == 2


async def test_a_connection_that_lasted_makes_the_next_pause_a_short_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "STEADY_S", 0.05)
    config = ReconnectConfig(first_delay_ms=1, max_delay_ms=60_000)
    attempts, pauses_ms = 0, list[float]()

    class Pauses:
        @staticmethod
        async def sleep(seconds: float) -> None:
            pauses_ms.append(seconds * 1000)
            await asyncio.sleep(0)

    async def attempt(alive: Callable[[], None]) -> str:
        nonlocal attempts
        attempts += 1
        if attempts == 9:
            alive()
            await asyncio.sleep(0.1)
        return "over"

    monkeypatch.setattr(supervisor, "asyncio", Pauses)
    async with running(supervisor.supervise("test", config, attempt, lambda _: None)):
        await eventually(lambda: attempts >= 10)
    assert pauses_ms[:9] == [1, 2, 4, 8, 16, 32, 64, 128, 1]


async def test_an_outage_is_reported_once_and_survived_however_long_it_is() -> None:
    async with served_exchange() as served:
        proxy = RecordingProxy(served.server.port)
        await proxy.start()
        port = proxy.port
        heard = TickLog()
        config = served.config(stream_url=f"ws://127.0.0.1:{port}")
        async with running(BinanceFeed(config).run(("BTCUSDT",), heard)):
            await eventually(lambda: heard.connections == 1)
            await proxy.stop()
            await asyncio.sleep(1.0)  # some twenty attempts, four times what the library makes
            await proxy.start(port)
            await eventually(lambda: heard.connections == 2)
            served.tick(10_005.0)
            await eventually(lambda: heard.ticks)
        assert len(heard.lost) == 1
        await proxy.stop()


async def test_a_silent_stream_is_replaced() -> None:
    async with served_exchange() as served:
        reconnect = ReconnectConfig(first_delay_ms=10, max_delay_ms=20, stale_after_ms=500)
        heard = TickLog()
        config = served.config(reconnect=reconnect)
        async with running(BinanceFeed(config).run(("BTCUSDT",), heard)):
            await eventually(lambda: heard.connections == 2)
        assert "no message for 0.5 s" in heard.lost[0]


async def test_a_stream_that_talks_is_not_taken_for_silent() -> None:
    async with served_exchange() as served:
        reconnect = ReconnectConfig(first_delay_ms=10, max_delay_ms=20, stale_after_ms=1_500)
        heard = TickLog()
        config = served.config(reconnect=reconnect)
        async with running(BinanceFeed(config).run(("BTCUSDT",), heard)):
            await eventually(lambda: heard.connections == 1)
            for _ in range(20):
                served.tick(10_000.0)
                await asyncio.sleep(0.1)
        assert heard.lost == []


async def test_the_feed_moves_on_when_the_venue_announces_its_shutdown() -> None:
    async with served_exchange() as served:
        proxy = RecordingProxy(served.server.port)
        await proxy.start()
        heard = TickLog()
        config = served.config(stream_url=f"ws://127.0.0.1:{proxy.port}")
        async with running(BinanceFeed(config).run(("BTCUSDT",), heard)):
            await eventually(lambda: heard.connections)
            await served.server.stop()
            await eventually(lambda: heard.lost)
        assert "announced its shutdown" in heard.lost[0]
        await proxy.stop()


async def test_a_listener_that_fails_ends_the_connection_and_not_the_feed() -> None:
    class Faulty(TickLog):
        def on_tick(self, tick: object) -> None:
            if self.connections == 1:
                raise RuntimeError("a bug of ours")
            super().on_tick(tick)  # type: ignore[arg-type]

    async with served_exchange() as served:
        heard = Faulty()
        async with running(BinanceFeed(served.config()).run(("BTCUSDT",), heard)):
            await eventually(lambda: heard.connections == 1)
            served.tick(10_000.0)
            await eventually(lambda: heard.connections == 2)
            served.tick(10_001.0)
            await eventually(lambda: heard.ticks)
        assert heard.lost == ["RuntimeError: a bug of ours"]


async def test_fills_are_seen_over_forced_drops_of_the_user_stream() -> None:
    async with served_exchange() as served:
        client = BinanceClient(served.config(), served.credentials, SystemClock())
        await client.connect()
        reports: list[OrderReport] = []
        gaps: list[str] = []
        stream = BinanceUserStream(served.config(), served.credentials)
        async with running(stream.run(reports.append, gaps.append)):
            for number in range(1, DROPS + 1):
                await eventually(lambda n=number: len(gaps) == n)
                order_id = f"sg-{number}"
                served.tick(10_000.0)
                await client.submit_order(limit_buy(order_id), unfenced)
                served.tick(9_890.0)
                await eventually(lambda oid=order_id: (oid, OrderStatus.FILLED) in states(reports))
                served.server.drop_websockets("user")
            await eventually(lambda: len(gaps) == DROPS + 1)
        await client.close()
        filled = [report for report in reports if report.status is OrderStatus.FILLED]
        assert [report.client_order_id for report in filled] == [
            f"sg-{number}" for number in range(1, DROPS + 1)
        ]
        assert all(len(report.fills) == 1 for report in filled)


async def test_the_librarys_own_user_socket_loses_fills_after_a_drop() -> None:
    """The broken variant: without our supervisor the check above must fail."""
    async with served_exchange() as served:
        client = VenueClient(served.config(), served.credentials)
        await client.resync_time()
        manager = BinanceSocketManager(client)
        manager.STREAM_URL = f"{served.server.ws_url}/"
        socket = manager.user_socket()
        await socket.connect()
        served.server.drop_websockets("user")
        await asyncio.sleep(2.6)
        assert client.ws_api.ws_state is WSListenerState.STREAMING  # again, but not subscribed
        orders = BinanceClient(served.config(), served.credentials, SystemClock())
        await orders.connect()
        await orders.submit_order(limit_buy("sg-1"), unfenced)
        served.tick(9_890.0)
        await asyncio.sleep(0.2)
        events = []
        while not socket._queue.empty():
            events.append(socket._queue.get_nowait())
        await orders.close()
        await client.ws_api.ws.close()
        await client.session.close()
        assert {event["e"] for event in events} == {"error"}


async def test_a_gap_is_announced_on_the_first_subscription_too() -> None:
    async with served_exchange() as served:
        gaps: list[str] = []
        stream = BinanceUserStream(served.config(), served.credentials)
        async with running(stream.run(lambda _: None, gaps.append)):
            await eventually(lambda: gaps)
        assert "just begun" in gaps[0]


async def test_a_cancelled_stream_ends_at_once() -> None:
    async with served_exchange() as served:
        heard, gaps = TickLog(), list[str]()
        feed = asyncio.create_task(BinanceFeed(served.config()).run(("BTCUSDT",), heard))
        user = asyncio.create_task(
            BinanceUserStream(served.config(), served.credentials).run(lambda _: None, gaps.append)
        )
        await eventually(lambda: heard.connections and gaps)
        feed.cancel()
        user.cancel()
        async with asyncio.timeout(5.0):  # python-binance's own read would hold it for 10 s
            await asyncio.gather(feed, user, return_exceptions=True)


def states(reports: list[OrderReport]) -> list[tuple[str, OrderStatus]]:
    return [(report.client_order_id, report.status) for report in reports]
