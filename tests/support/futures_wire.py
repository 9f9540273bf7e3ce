"""Bare signed requests and sockets to the futures half of a running venue."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
from simulated_venue import WAIT_S, running_venue, tick

from trading.simulator.server.app import RunningServer
from trading.simulator.server.signatures import hmac_hex

MARKET_BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"}
BID = MARKET_BUY | {"type": "LIMIT", "timeInForce": "GTC", "price": "49000"}


@dataclass
class FuturesWire:
    """Speaks to ``server`` with the first account's key."""

    server: RunningServer
    http: aiohttp.ClientSession

    async def send(
        self, method: str, path: str, *, signed: bool = True, **params: str
    ) -> tuple[int, Any, Any]:
        """Status, body and headers of the answer; ``path`` comes after the version (v1/order)."""
        key = self.server.keys[0]
        text = urlencode(params)
        if signed:
            now_ms = str(time.time_ns() // 1_000_000)
            text = urlencode(params | {"timestamp": now_ms})
            text += f"&signature={hmac_hex(key.secret, text)}"
        url = f"{self.server.futures_rest_url}/{path}?{text}"
        async with self.http.request(method, url, headers={"X-MBX-APIKEY": key.key}) as answer:
            return answer.status, await answer.json(), answer.headers

    async def ask(self, method: str, path: str, **params: str) -> Any:
        """The body of an answer that must be a success."""
        status, body, _headers = await self.send(method, f"fapi/{path}", **params)
        assert status == 200, body
        return body

    async def listen_key(self) -> str:
        return str((await self.ask("POST", "v1/listenKey"))["listenKey"])

    @asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        async with self.http.ws_connect(f"{self.server.futures_ws_url}{path}") as socket:
            yield socket


@asynccontextmanager
async def futures_wire(**settings: Any) -> AsyncIterator[FuturesWire]:
    """A venue at 50,000 USDT for BTC."""
    async with running_venue(**settings) as server, aiohttp.ClientSession() as http:
        tick(server, 50_000.0)
        yield FuturesWire(server, http)


async def hear(socket: aiohttp.ClientWebSocketResponse, kind: str) -> Any:
    """The next event of ``kind``."""
    while True:
        event = await socket.receive_json(timeout=WAIT_S)
        if event.get("e") == kind:
            return event
