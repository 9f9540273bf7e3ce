"""What the user stream makes of messages that a healthy exchange would not send."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web
from venue_server import ServedExchange, eventually, running, served_exchange

from trading.exchange.binance.user_stream import BinanceUserStream
from trading.exchange.config import ExchangeConfig
from trading.model.order import OrderReport


@asynccontextmanager
async def api_that_sends(
    served: ServedExchange, events: list[dict[str, Any]]
) -> AsyncIterator[ExchangeConfig]:
    """A WebSocket API that accepts every subscription and then sends ``events``."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                asked = json.loads(message.data)
                await socket.send_json(
                    {"id": asked["id"], "status": 200, "result": {"subscriptionId": 0}}
                )
                # An answer to a request that has timed out; it kills the library's read loop.
                await socket.send_json(
                    {"id": "late", "status": 400, "error": {"code": -1, "msg": ""}}
                )
                for event in events:
                    await socket.send_json({"subscriptionId": 0, "event": event})
        return socket

    app = web.Application()
    app.router.add_get("/ws-api/v3", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield served.config(stream_url=f"ws://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


async def gaps_after(events: list[dict[str, Any]], expected: int) -> list[str]:
    gaps: list[str] = []
    reports: list[OrderReport] = []
    async with served_exchange() as served, api_that_sends(served, events) as config:
        stream = BinanceUserStream(config, served.credentials)
        async with running(stream.run(reports.append, gaps.append)):
            await eventually(lambda: len(gaps) >= expected)
    assert reports == []
    return gaps


async def test_an_unreadable_report_is_a_gap() -> None:
    gaps = await gaps_after([{"e": "executionReport", "s": "BTCUSDT"}], 2)
    assert gaps[1] == "an execution report could not be read"


async def test_a_terminated_stream_is_subscribed_again() -> None:
    gaps = await gaps_after([{"e": "eventStreamTerminated", "E": 1}], 2)
    assert "eventStreamTerminated" in gaps[1]


async def test_late_answers_and_other_events_change_nothing() -> None:
    gaps = await gaps_after([{"e": "outboundAccountPosition"}, {"e": "somethingNew"}], 1)
    assert len(gaps) == 1
