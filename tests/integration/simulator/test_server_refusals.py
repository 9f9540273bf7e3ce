"""Refusals carry the documented code and text, and nothing has happened after them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from simulated_venue import WAIT_S, running_venue, tick

from trading.simulator.server.app import RunningServer
from trading.simulator.server.signatures import hmac_hex, ws_payload

pytestmark = pytest.mark.asyncio(loop_scope="module")
PARTS = {
    "pair": "symbol=BTCUSDT",
    "buy": "symbol=BTCUSDT&side=BUY&quantity=0.01",
    "sell": "symbol=BTCUSDT&side=SELL&quantity=0.01",
    "limit": "type=LIMIT&timeInForce=GTC",
    "working": "symbol=BTCUSDT&workingSide=BUY&workingQuantity=0.01&workingPrice=49000",
    "pending": "pendingType=MARKET&pendingSide=SELL&pendingQuantity=0.01",
    "limit_above": "aboveType=LIMIT_MAKER&abovePrice=55000",
    "limit_below": "belowType=LIMIT_MAKER&belowPrice=45000",
    "stop_above": "aboveType=STOP_LOSS&aboveStopPrice=55000",
    "stop_below": "belowType=STOP_LOSS&belowStopPrice=45000",
    "profit_above": "aboveType=TAKE_PROFIT&aboveStopPrice=55000",
    "profit_below": "belowType=TAKE_PROFIT&belowStopPrice=45000",
    "bad_combination": "-1128 Combination of optional parameters invalid.",
    "both_empty": "must be sent, but both were empty/null!",
}
PUBLIC = """
ping ? a=1
 -> -1101 Too many parameters; expected '0' and received '1'.
klines ? {pair}&interval=1m&start_time=1&end_time=2
 -> -1104 Not all sent parameters were read; read '2' parameter(s) but was sent '4'.
ticker/bookTicker ? pair=BTCUSDT
 -> -1104 Not all sent parameters were read; read '0' parameter(s) but was sent '1'.
ticker/24hr ? {pair}&symbols=["ETHUSDT"]
 -> {bad_combination}
ticker/24hr ? {pair}&type=SHORT
 -> -1139 Invalid ticker type.
ticker/price ? {pair}&symbolStatus=ON
 -> -1122 Invalid symbolStatus.
ticker ? {pair}&windowSize=8d
 -> -1130 Data sent for parameter 'windowSize' is not valid.
"""
SIGNED = """
GET order ? {pair}&order_id=1
 -> -1102 Param 'origClientOrderId' or 'orderId' {both_empty}
GET openOrders ? {pair}&side=BUY
 -> -1101 Too many parameters; expected '1' and received '2'.
GET myTrades ? {pair}&orderId=1&startTime=1
 -> {bad_combination}
GET myTrades ? {pair}&fromId=1&endTime=1
 -> {bad_combination}
GET allOrderList ? fromId=1&startTime=1
 -> {bad_combination}
DELETE order ? {pair}&orderId=1&cancelRestrictions=NONE
 -> -1145 Invalid cancelRestrictions
POST order ? {pair}&side=BUY&type=MARKET
 -> -1102 Param 'quantity' or 'quoteOrderQty' {both_empty}
POST order ? {buy}&{limit}&price=49000&icebergQty=0.02
 -> -2010 IcebergQty exceeds QTY.
POST order ? {buy}&{limit}&pegPriceType=PRIMARY_PEG
 -> -2010 Pegged orders are not supported for this symbol.
POST orderList/oto ? {working}&workingType=MARKET&{pending}
 -> -1116 Invalid orderType.
POST orderList/oco ? {sell}&aboveType=MARKET&{stop_below}
 -> -1158 Order type not supported in OCO.
POST orderList/oco ? {sell}&{limit_above}&{limit_below}
 -> -1168 At least one OCO order must be contingent.
POST orderList/oco ? {buy}&{limit_above}&{profit_below}
 -> -1165 A limit order in a buy OCO must be below.
POST orderList/oco ? {sell}&{profit_above}&{limit_below}
 -> -1166 A limit order in a sell OCO must be above.
POST orderList/oco ? {buy}&{stop_above}&{stop_below}
 -> -1196 A stop loss order in a buy OCO must be above.
POST orderList/oco ? {sell}&{stop_above}&{stop_below}
 -> -1197 A stop loss order in a sell OCO must be below.
POST orderList/oco ? {buy}&{profit_above}&{profit_below}
 -> -1198 A take profit order in a buy OCO must be below.
POST orderList/oco ? {sell}&{profit_above}&{profit_below}
 -> -1199 A take profit order in a sell OCO must be above.
POST orderList/oco ? {sell}&aboveType=LIMIT_MAKER&abovePrice=49000&{stop_below}
 -> -2010 The relationship of the prices for the orders is not correct.
"""


def rows(table: str) -> list[tuple[str, int, str]]:
    """Request, code and text of each row of ``table``."""
    found = []
    lines = table.format_map(PARTS).strip().splitlines()
    for asked, refused in zip(lines[::2], lines[1::2], strict=True):
        code, _space, text = refused.removeprefix(" -> ").partition(" ")
        found.append((asked, int(code), text))
    return found


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server() -> AsyncIterator[RunningServer]:
    balances = {"USDT": "100000", "BTC": "2"}
    async with running_venue(accounts=({"balances": balances},)) as running:
        tick(running, 50_000.0)
        yield running


async def ask(server: RunningServer, asked: str) -> Any:
    """The JSON that answers "[METHOD ]path[ ? query]"; with a method it is signed."""
    target, _mark, query = asked.partition(" ? ")
    method, _space, path = target.rpartition(" ")
    headers = {}
    if method:
        key = server.keys[0]
        query = f"{query}&timestamp={time.time_ns() // 1_000_000}".lstrip("&")
        query = f"{query}&signature={hmac_hex(key.secret, query)}"
        headers = {"X-MBX-APIKEY": key.key}
    async with (
        aiohttp.ClientSession(server.rest_url) as http,
        http.request(method or "GET", f"/api/v3/{path}?{query}", headers=headers) as answer,
    ):
        return await answer.json()


@pytest.mark.parametrize(("asked", "code", "text"), [*rows(PUBLIC), *rows(SIGNED)])
async def test_a_refusal_has_the_documented_code_and_text_and_leaves_no_order(
    server: RunningServer, asked: str, code: int, text: str
) -> None:
    assert await ask(server, asked) == {"code": code, "msg": text}
    assert await ask(server, "GET openOrders") == []


async def test_the_websocket_api_refuses_unknown_parameters_too(server: RunningServer) -> None:
    key = server.keys[0]
    signed: dict[str, Any] = {"apiKey": key.key, "timestamp": time.time_ns() // 1_000_000, "a": 1}
    signed["signature"] = hmac_hex(key.secret, ws_payload(signed))
    async with aiohttp.ClientSession() as http, http.ws_connect(server.ws_api_url) as socket:
        for method, params in (("ping", {"a": 1}), ("openOrderLists.status", signed)):
            await socket.send_json({"id": 1, "method": method, "params": params})
            assert (await socket.receive_json(timeout=WAIT_S))["error"]["code"] == -1101
        await socket.send_json({"id": 1, "method": "ping", "params": {"returnRateLimits": False}})
        assert await socket.receive_json(timeout=WAIT_S) == {"id": 1, "status": 200, "result": {}}


async def test_the_wallet_takes_parameters_that_it_does_not_know(server: RunningServer) -> None:
    async with (
        aiohttp.ClientSession(server.rest_url) as http,
        http.get("/sapi/v1/system/status?a=1") as answer,
    ):
        assert (await answer.json())["status"] == 0
