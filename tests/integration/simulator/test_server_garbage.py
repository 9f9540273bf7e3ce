"""Whatever a client sends, the server answers in its own words and never fails itself."""

from __future__ import annotations

import random
import time
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from simulated_venue import WAIT_S, running_venue, tick

from trading.simulator.server.signatures import hmac_hex, ws_payload
from trading.simulator.server.spot.endpoints import ACCOUNT, PUBLIC, TRADE

NAME_LIST = """
symbol symbols symbolStatus limit interval startTime endTime fromId orderId orderListId type side
quantity quoteOrderQty price stopPrice trailingDelta icebergQty timeInForce timeZone windowSize
origClientOrderId newClientOrderId newOrderRespType selfTradePreventionMode newQty strategyType
cancelReplaceMode cancelOrderId aboveType abovePrice belowType belowStopPrice aboveStopPrice
workingType workingSide workingPrice workingQuantity workingTimeInForce pendingType pendingSide
pendingQuantity pendingStopPrice pendingAboveType pendingAbovePrice pendingBelowType
pendingBelowStopPrice preventedMatchId permissions omitZeroBalances
"""
VALUE_LIST = """
BTCUSDT ETHUSDT NONE [] [1] ["BTCUSDT"] 0 1 -1 1e5 NaN 0.01 49000 45000 55000 99999999999999 BUY
SELL LIMIT MARKET LIMIT_MAKER STOP_LOSS STOP_LOSS_LIMIT TAKE_PROFIT GTC IOC FOK 1m 1M 1d 7x ACK FULL
MINI true false STOP_ON_FAILURE ALLOW_FAILURE EXPIRE_BOTH DECREMENT 50 ä ² 99999999999999999999999
"""
NAMES, VALUES = NAME_LIST.split(), [*VALUE_LIST.split(), "", "\x00"]
LIKELY = {
    "symbol": ("BTCUSDT", "ETHUSDT"),
    "side": ("BUY", "SELL"),
    "workingSide": ("BUY", "SELL"),
    "pendingSide": ("BUY", "SELL"),
    "quantity": ("0.01", "0.02"),
    "timeInForce": ("GTC", "IOC", "FOK"),
}
ROUNDS = 30


def some_params(dice: random.Random) -> dict[str, str]:
    names = {*dice.sample(NAMES, dice.randint(0, 9)), *dice.sample([*LIKELY], dice.randint(0, 4))}
    return {
        name: dice.choice(LIKELY[name] if name in LIKELY and dice.random() < 0.8 else VALUES)
        for name in sorted(names)
    }


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_request_makes_the_server_fail(seed: int) -> None:
    dice = random.Random(seed)
    routes = [("GET", endpoint.path) for endpoint in PUBLIC]
    routes += [(endpoint.http_method, endpoint.path) for endpoint in (*ACCOUNT, *TRADE)]
    limits = {"weight_per_minute": 10**9, "orders_per_10s": 10**6}
    async with (
        running_venue(rate_limits=limits) as server,
        aiohttp.ClientSession(server.rest_url) as http,
    ):
        tick(server, 50_000.0)
        key = server.keys[0]
        seen: set[int] = set()
        for method, path in routes * ROUNDS:
            text = urlencode(some_params(dice) | {"timestamp": str(time.time_ns() // 1_000_000)})
            text = f"{text}&signature={hmac_hex(key.secret, text)}"
            url = f"/api/v3/{path}?{text}"
            async with http.request(method, url, headers={"X-MBX-APIKEY": key.key}) as answer:
                body = await answer.json()
                assert answer.status < 500, (method, path, text, body)
                assert answer.status == 200 or body["code"] < 0
                seen.add(answer.status)
            tick(server, dice.choice((49_000.0, 50_000.0, 51_000.0)))
        assert {200, 400} <= seen


async def test_no_message_makes_the_websocket_api_fail() -> None:
    dice = random.Random(3)
    methods = [endpoint.ws_method for endpoint in (*PUBLIC, *ACCOUNT, *TRADE)]
    odd: list[Any] = [[], 5, "x", None, {"a": {"b": 1}}]
    async with (
        running_venue(rate_limits={"weight_per_minute": 10**9}) as server,
        aiohttp.ClientSession() as http,
        http.ws_connect(server.ws_api_url) as socket,
    ):
        tick(server, 50_000.0)
        key = server.keys[0]
        for method in methods * 2:
            params: Any = some_params(dice)
            params |= {"apiKey": key.key, "timestamp": time.time_ns() // 1_000_000}
            params["signature"] = hmac_hex(key.secret, ws_payload(params))
            for sent in (params, dice.choice(odd)):
                await socket.send_json({"id": 1, "method": method, "params": sent})
                reply = await socket.receive_json(timeout=WAIT_S)
                assert reply["status"] < 500, (method, sent, reply)
