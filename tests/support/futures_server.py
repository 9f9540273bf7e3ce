"""A stand-in for the host of Binance's USD-M futures streams, as its documentation describes it.

Market data come on ``/market`` only: on any other path the handshake succeeds and nothing follows.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web


class FuturesServer:
    """Sends what it is told to every connection that asked for the stream on the right path."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.interest: dict[str, str] = {}  # coins by contract; others are unknown to the venue
        self.interest_status = 200
        self.interest_asked: list[str] = []
        self._open: list[tuple[web.WebSocketResponse, frozenset[str]]] = []

    @property
    def connections(self) -> int:
        return len(self._open)

    async def mark(self, *marks: dict[str, Any]) -> None:
        await self._send("!markPrice@arr@1s", list(marks))

    async def force(self, order: dict[str, Any]) -> None:
        event = {"e": "forceOrder", "E": order["T"] + 4, "o": order}
        await self._send("!forceOrder@arr", event)

    async def say(self, text: str) -> None:
        for socket, _ in self._open:
            await socket.send_str(text)

    async def drop(self) -> None:
        for socket, _ in list(self._open):
            await socket.close()

    async def accept(self, request: web.Request) -> web.WebSocketResponse:
        self.asked.append(str(request.rel_url))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        is_routed = request.path == "/market/stream"
        streams = frozenset(request.query.get("streams", "").split("/")) if is_routed else set()
        entry = (socket, frozenset(streams))
        self._open.append(entry)
        try:
            async for message in socket:
                if message.type is WSMsgType.ERROR:
                    break
        finally:
            self._open.remove(entry)
        return socket

    async def open_interest(self, request: web.Request) -> web.Response:
        contract = request.query.get("symbol", "")
        self.interest_asked.append(contract)
        if self.interest_status != 200:
            return web.json_response({"code": -1003, "msg": "no"}, status=self.interest_status)
        if contract not in self.interest:
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        coins = self.interest[contract]
        answer = {"openInterest": coins, "symbol": contract, "time": time.time_ns() // 10**6}
        return web.json_response(answer)

    async def _send(self, stream: str, data: Any) -> None:
        for socket, streams in self._open:
            if stream in streams:
                await socket.send_str(json.dumps({"stream": stream, "data": data}))


def mark_price(contract: str, price: str, time_ms: int, **other: Any) -> dict[str, Any]:
    """An element of ``!markPrice@arr``."""
    return {
        "e": "markPriceUpdate",
        "E": time_ms,
        "s": contract,
        "p": price,
        "ap": price,
        "P": price,
        "i": price,
        "r": "0.00010000",
        "T": time_ms + 3_600_000,
        "st": 1,
    } | other


def forced_order(contract: str, side: str, time_ms: int, **other: Any) -> dict[str, Any]:
    """The ``o`` of a forceOrder event."""
    return {
        "s": contract,
        "S": side,
        "o": "LIMIT",
        "f": "IOC",
        "q": "2",
        "p": "90000",
        "ap": "91000",
        "X": "FILLED",
        "l": "2",
        "z": "2",
        "T": time_ms,
    } | other


@asynccontextmanager
async def futures_server() -> AsyncIterator[FuturesServer]:
    server = FuturesServer()
    app = web.Application()
    app.router.add_get("/fapi/v1/openInterest", server.open_interest)
    app.router.add_get("/{path:.*}", server.accept)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"ws://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await server.drop()
        await asyncio.wait_for(runner.cleanup(), 5)
