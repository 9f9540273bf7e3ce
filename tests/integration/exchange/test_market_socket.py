"""The market stream's own socket, and the decoders of what it carries."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import web
from venue_server import eventually

from trading.errors import ExchangeConnectionError, ExchangeError
from trading.exchange.binance import market_socket
from trading.exchange.binance.market_socket import (
    MarketSocket,
    connect_streams,
    until_end_or_silence,
)
from trading.exchange.binance.stream_frames import agg_trade_decoder, check_notice
from trading.exchange.config import ExchangeConfig
from trading.exchange.venues import VenueEndpoints
from trading.model.market import Tick

SPOT = (
    b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1795248525384,"s":"BTCUSDT",'
    b'"a":12345,"p":"95000.01000000","q":"0.01000000","f":100,"l":105,"T":1795248525383,'
    b'"m":true,"M":true}}'
)
FUTURES = (
    b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1795248525384,"s":"BTCUSDT",'
    b'"a":5933014,"p":"95000.10","q":"0.100","nq":"0.100","f":100,"l":105,"T":1795248525383,'
    b'"m":false,"st":1}}'
)


@pytest.mark.parametrize(
    ("frame", "price", "quantity", "seller"),
    [(SPOT, 95_000.01, 0.01, True), (FUTURES, 95_000.10, 0.1, False)],
)
def test_an_agg_trade_of_spot_and_of_futures_becomes_a_tick(
    frame: bytes, price: float, quantity: float, seller: bool
) -> None:
    tick = agg_trade_decoder.decode(memoryview(frame)).data
    assert isinstance(tick, Tick)
    assert (tick.symbol, tick.time_ms) == ("BTCUSDT", 1_795_248_525_383)
    assert (tick.price, tick.quantity, tick.is_seller_aggressor) == (price, quantity, seller)


def test_an_answer_to_a_request_is_no_event() -> None:
    frame = b'{"result":null,"id":1}'
    with pytest.raises(msgspec.MsgspecError):
        agg_trade_decoder.decode(frame)
    check_notice(frame)


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        (b'{"data":{"e":"serverShutdown"}}', ExchangeConnectionError, "announced its shutdown"),
        (SPOT.replace(b'"p":', b'"x":'), ExchangeError, "unexpected aggTrade"),
        (b"<html>", ExchangeError, "unreadable frame"),
    ],
)
def test_what_is_no_trade_ends_the_stream_with_its_reason(
    frame: bytes, error: type[ExchangeError], message: str
) -> None:
    with pytest.raises(error, match=message):
        check_notice(frame)


@asynccontextmanager
async def market_server(
    session: Callable[[web.Request, web.WebSocketResponse], Awaitable[None]],
) -> AsyncIterator[ExchangeConfig]:
    """A stream host that runs ``session`` with every connection."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await session(request, socket)
        async for _ in socket:
            pass
        return socket

    app = web.Application()
    app.router.add_get("/stream", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host = f"127.0.0.1:{runner.addresses[0][1]}"
    endpoints = VenueEndpoints(
        rest_url=f"http://{host}", stream_url=f"ws://{host}", ws_api_url=f"ws://{host}/ws-api/v3"
    )
    try:
        yield ExchangeConfig(endpoints=endpoints)
    finally:
        await runner.cleanup()


async def test_streams_beyond_the_address_are_asked_for_in_messages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(market_socket, "MAX_ADDRESS_CHARS", 9)
    monkeypatch.setattr(market_socket, "STREAMS_A_MESSAGE", 2)
    monkeypatch.setattr(market_socket, "MESSAGE_PAUSE_S", 0.0)
    asked: list[str] = []

    async def session(request: web.Request, socket: web.WebSocketResponse) -> None:
        asked.extend(request.query["streams"].split("/"))
        async for message in socket:
            request_text = json.loads(message.data)
            assert request_text["method"] == "SUBSCRIBE"
            assert len(request_text["params"]) <= 2
            asked.extend(request_text["params"])

    streams = [f"s{number}@x" for number in range(7)]
    async with market_server(session) as config:
        socket = await connect_streams(streams, config, lambda _: None)
        await socket.subscribe_rest()
        await eventually(lambda: asked == streams)
        await socket.shut_down()


async def test_a_frame_in_parts_arrives_whole_and_in_order() -> None:
    async def session(request: web.Request, socket: web.WebSocketResponse) -> None:
        # aiohttp never splits a message itself: the frames' headers are written by hand.
        assert request.transport is not None
        for first, payload in ((0x01, b'{"a'), (0x00, b'":'), (0x80, b"1}"), (0x81, b"whole")):
            request.transport.write(bytes([first, len(payload)]) + payload)

    frames: list[bytes] = []
    async with market_server(session) as config:
        socket = await connect_streams(["x@y"], config, lambda frame: frames.append(bytes(frame)))
        await eventually(lambda: len(frames) == 2)
        assert frames == [b'{"a":1}', b"whole"]
        await socket.shut_down()


async def test_the_venues_goodbye_is_the_reason_of_the_end() -> None:
    async def session(request: web.Request, socket: web.WebSocketResponse) -> None:
        await socket.close(code=1008, message=b"too many streams")

    async with market_server(session) as config:
        socket = await connect_streams(["x@y"], config, lambda _: None)
        assert "too many streams" in await asyncio.wait_for(socket.ended, 30)
        await socket.shut_down()


class OpenSocket:
    """A connection on which nothing ends."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()


async def test_silence_is_found_within_little_more_than_the_patience() -> None:
    loop, frames = asyncio.get_running_loop(), 0

    def one_frame() -> None:
        nonlocal frames
        frames += 1

    loop.call_later(0.1, one_frame)  # the last thing heard, after the first look
    started = loop.time()
    reason = await until_end_or_silence(OpenSocket(), lambda: frames, 1.0)  # type: ignore[arg-type]
    assert "no message for 1 s" in reason
    assert 1.0 <= loop.time() - started < 1.8  # two whole waits would be 2


async def _cancelled_as_it_ends(stream: Awaitable[str], ended: asyncio.Future[str]) -> bool:
    """Whether a stream whose connection ends in the very moment of its cancellation stops."""
    task = asyncio.ensure_future(stream)
    for _ in range(3):
        await asyncio.sleep(0)
    ended.set_result("closed by the venue")
    task.cancel()
    await asyncio.wait([task], timeout=30)
    return task.cancelled()


async def test_a_cancellation_that_comes_with_the_end_of_the_connection_is_not_lost() -> None:
    socket = MarketSocket(lambda _: None)
    stream = until_end_or_silence(socket, lambda: 0, patience_s=60)
    assert await _cancelled_as_it_ends(stream, socket.ended)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python 3.12 mended `wait_for`")
async def test_with_wait_for_it_would_be_lost() -> None:
    """The mutant, as it was: the core then never ended."""
    socket = MarketSocket(lambda _: None)
    stream = asyncio.wait_for(asyncio.shield(socket.ended), 60)
    assert not await _cancelled_as_it_ends(stream, socket.ended)
