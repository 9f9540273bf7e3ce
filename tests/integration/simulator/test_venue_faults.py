"""Faults of the venue as a whole: its sockets, streams, clock, gateway and account service."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from venue_server import ServedExchange, eventually, limit_buy, served_exchange, unfenced

from trading.clock import SystemClock
from trading.errors import ClockSkewError, ExchangeConnectionError
from trading.exchange.binance.adapter import BinanceClient
from trading.simulator.server.config import ExchangeServerConfig
from trading.simulator.server.fault_config import (
    FaultScheduleConfig,
    RandomFaultsConfig,
    TimedFault,
)
from trading.simulator.server.fault_schedule import scheduled
from trading.simulator.server.faults import AT_ONCE, Fault, FaultKind

QUIET_S = 0.3
PATIENCE_S = 30.0
FOR_LONG_MS = 60_000


@asynccontextmanager
async def market_socket(
    served: ServedExchange,
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A plain client of one trade stream, which pings by hand."""
    url = f"{served.server.ws_url}/ws/btcusdt@aggTrade"
    async with aiohttp.ClientSession() as http, http.ws_connect(url, autoping=False) as socket:
        yield socket


@asynccontextmanager
async def connected(served: ServedExchange) -> AsyncIterator[BinanceClient]:
    client = BinanceClient(served.config(), served.credentials, SystemClock())
    await client.connect()
    try:
        yield client
    finally:
        await client.close()


async def hears(socket: aiohttp.ClientWebSocketResponse, at_least: int = 1) -> list[Any]:
    """All that arrives until it is quiet, but not before ``at_least`` messages."""
    heard: list[Any] = []
    while True:
        try:
            message = await socket.receive(timeout=PATIENCE_S if len(heard) < at_least else QUIET_S)
        except TimeoutError:
            return heard
        if message.type is not aiohttp.WSMsgType.TEXT:
            return [*heard, message.type]
        heard.append(json.loads(message.data))


def strike(served: ServedExchange, kind: FaultKind, **options: Any) -> None:
    served.server.faults.plan(Fault(kind=kind, **options))


async def test_dropped_sockets_end_without_a_goodbye() -> None:
    async with served_exchange() as served, market_socket(served) as socket:
        strike(served, FaultKind.MARKET_DROPPED)
        (ended,) = await hears(socket)
        assert ended in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert socket.close_code != aiohttp.WSCloseCode.GOING_AWAY


async def test_a_frozen_socket_stays_open_says_nothing_and_answers_no_ping() -> None:
    async with served_exchange() as served, market_socket(served) as socket:
        strike(served, FaultKind.MARKET_FROZEN)
        served.tick(10_001.0)
        await socket.ping(b"?")
        assert await hears(socket, at_least=0) == []
        assert not socket.closed
        async with market_socket(served) as fresh:
            served.tick(10_002.0)
            assert [trade["p"] for trade in await hears(fresh)] == ["10002.00000000"]


@pytest.mark.parametrize(
    ("kind", "times"), [(FaultKind.MARKET_GAP, 0), (FaultKind.MARKET_REPEATED, 2)]
)
async def test_a_stream_leaves_out_or_repeats_its_events_for_a_while(
    kind: FaultKind, times: int
) -> None:
    async with served_exchange() as served, market_socket(served) as socket:
        strike(served, kind, duration_ms=50)
        served.tick(10_001.0)
        await asyncio.sleep(0.1)
        served.tick(10_002.0)
        counts = Counter(trade["p"] for trade in await hears(socket))
        assert counts["10001.00000000"] == times
        assert counts["10002.00000000"] == 1


async def test_an_announced_shutdown_is_followed_by_the_closing() -> None:
    async with served_exchange() as served, market_socket(served) as socket:
        strike(served, FaultKind.SHUTDOWN_ANNOUNCED, duration_ms=50)
        notice, ended = await hears(socket, at_least=2)
        assert notice["e"] == "serverShutdown"
        assert ended is aiohttp.WSMsgType.CLOSE


async def test_maintenance_closes_every_socket_and_answers_503_until_it_is_over() -> None:
    async with served_exchange() as served, market_socket(served) as socket:
        strike(served, FaultKind.MAINTENANCE, duration_ms=FOR_LONG_MS)
        assert await hears(socket) == [aiohttp.WSMsgType.CLOSE]
        async with aiohttp.ClientSession(served.server.rest_url) as http:
            async with http.get("/api/v3/ping") as answer:
                assert (answer.status, answer.content_type) == (503, "text/html")
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await http.ws_connect("/ws/btcusdt@aggTrade")
            served.server.faults.end()
            async with http.get("/api/v3/ping") as answer:
                assert answer.status == 200


async def test_the_adapter_calls_maintenance_a_lost_connection() -> None:
    async with served_exchange() as served, connected(served) as client:
        strike(served, FaultKind.MAINTENANCE, duration_ms=FOR_LONG_MS)
        with pytest.raises(ExchangeConnectionError):
            await client.account()


@pytest.mark.parametrize("shift_ms", [-3_000, 3_000])
async def test_a_read_survives_a_shifted_clock_and_the_order_after_it_too(shift_ms: int) -> None:
    async with served_exchange() as served, connected(served) as client:
        strike(served, FaultKind.CLOCK_SHIFTED, shift_ms=shift_ms, duration_ms=FOR_LONG_MS)
        with pytest.raises(ClockSkewError):
            await client.submit_order(limit_buy("sg-1"), unfenced)
        assert (await client.account()).can_trade
        assert abs(client.clock_offset_ms - shift_ms) < 500
        await client.submit_order(limit_buy("sg-2"), unfenced)


async def test_an_order_refused_for_its_time_has_the_clock_measured_at_once() -> None:
    async with served_exchange() as served, connected(served) as client:
        strike(served, FaultKind.CLOCK_SHIFTED, shift_ms=3_000, duration_ms=FOR_LONG_MS)
        with pytest.raises(ClockSkewError):
            await client.submit_order(limit_buy("sg-1"), unfenced)
        await eventually(lambda: client.clock_offset_ms > 2_000)


async def test_a_timed_out_backend_shows_an_empty_account() -> None:
    async with served_exchange() as served, connected(served) as client:
        strike(served, FaultKind.ACCOUNT_EMPTY, duration_ms=FOR_LONG_MS)
        assert (await client.account()).balances == {}
        served.server.faults.end()
        assert "USDT" in (await client.account()).balances


def test_random_faults_come_in_the_same_order_for_a_seed_and_leave_no_kind_out() -> None:
    def drawn(seed: int, count: int) -> list[TimedFault]:
        config = FaultScheduleConfig(random=RandomFaultsConfig(seed=seed, every_s=2.0))
        return list(itertools.islice(scheduled(config), count))

    kinds = len(FaultKind)
    assert drawn(7, 60) == drawn(7, 60) != drawn(8, 60)
    assert {fault.kind for fault in drawn(7, kinds)} == set(FaultKind)
    gaps = [b.at_s - a.at_s for a, b in itertools.pairwise(drawn(7, 60))]
    assert all(1.0 <= gap <= 3.0 for gap in gaps)


def test_listed_faults_come_at_their_time_between_the_random_ones() -> None:
    config = FaultScheduleConfig(
        faults=(
            TimedFault(at_s=9, kind=FaultKind.CLOCK),
            TimedFault(at_s=3, kind=FaultKind.USER_DROPPED),
        ),
        random=RandomFaultsConfig(every_s=2.0, kinds=(FaultKind.MARKET_GAP,)),
    )
    first = list(itertools.islice(scheduled(config), 12))
    assert [fault.at_s for fault in first] == sorted(fault.at_s for fault in first)
    listed = [fault.kind for fault in first if fault.kind is not FaultKind.MARKET_GAP]
    assert listed == [FaultKind.USER_DROPPED, FaultKind.CLOCK]


async def test_a_scheduled_fault_happens_by_itself() -> None:
    schedule = FaultScheduleConfig(faults=(TimedFault(at_s=0.2, kind=FaultKind.ACCOUNT_EMPTY),))
    async with served_exchange(ExchangeServerConfig(faults=schedule)) as served:
        assert served.server.faults.applied == []
        await eventually(lambda: served.server.faults.applied)


def test_a_kind_strikes_at_once_or_hits_a_request() -> None:
    for kind in FaultKind:
        hits_a_request = kind not in AT_ONCE
        assert Fault(kind=kind).strikes_at_once is not hits_a_request


async def test_a_client_that_leaves_in_the_middle_of_the_handshake_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served_exchange() as served:
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
            writer.write(
                b"GET /ws/btcusdt@trade HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                b"Sec-WebSocket-Version: 13\r\n\r\n"
            )
            await writer.drain()
            writer.transport.abort()
        await asyncio.sleep(0.1)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
