"""Sockets of the server beyond what clients show: pings, time units, sessions, retired paths."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from simulated_venue import WAIT_S, hold_windows, running_venue, tick

from trading.simulator.config import UserEventOrder
from trading.simulator.server.app import RunningServer
from trading.simulator.server.signatures import hmac_hex, ws_payload


def signed(server: RunningServer, **params: Any) -> dict[str, Any]:
    key = server.keys[0]
    values = params | {"apiKey": key.key, "timestamp": time.time_ns() // 1_000_000}
    return values | {"signature": hmac_hex(key.secret, ws_payload(values))}


@asynccontextmanager
async def ws_api(server: RunningServer, query: str = "") -> AsyncIterator[Any]:
    """Ask the WebSocket API: ``await ask(method, params)`` gives the whole reply."""
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(server.ws_api_url + query) as socket,
    ):

        async def ask(method: str, params: dict[str, Any] | None = None) -> Any:
            await socket.send_json({"id": 1, "method": method, "params": params or {}})
            while "status" not in (reply := await socket.receive_json(timeout=WAIT_S)):
                continue
            return reply

        ask.socket = socket  # type: ignore[attr-defined]
        yield ask


async def test_a_silent_socket_is_pinged_and_then_closed() -> None:
    async with (
        running_venue(ping_interval_s=0.05, pong_timeout_s=0.1) as server,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{server.ws_url}/ws/btcusdt@trade", autoping=False) as socket,
    ):
        assert (await socket.receive(timeout=WAIT_S)).type is aiohttp.WSMsgType.PING
        while (message := await socket.receive(timeout=WAIT_S)).type is aiohttp.WSMsgType.PING:
            continue
        assert message.type is aiohttp.WSMsgType.CLOSE


async def test_a_socket_that_answers_pings_stays() -> None:
    async with (
        running_venue(ping_interval_s=0.3, pong_timeout_s=1.2) as server,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{server.ws_url}/ws/btcusdt@trade") as socket,
    ):
        receiving = asyncio.create_task(socket.receive_json(timeout=WAIT_S))
        await asyncio.sleep(1.8)
        tick(server, 50_001.0)
        assert (await receiving)["p"] == "50001.00000000"


async def test_a_socket_ends_with_its_life() -> None:
    async with (
        running_venue(connection_life_s=1) as server,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{server.ws_url}/ws/btcusdt@trade") as socket,
    ):
        assert (await socket.receive(timeout=WAIT_S)).type is aiohttp.WSMsgType.CLOSE


async def test_too_many_connections_are_refused() -> None:
    async with (
        running_venue(rate_limits={"connections_per_5min": 1}) as server,
        aiohttp.ClientSession() as http,
    ):
        hold_windows(server)
        await http.ws_connect(f"{server.ws_url}/ws")
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect(f"{server.ws_url}/ws")
        assert caught.value.status == 429


async def test_streams_and_user_events_come_in_microseconds_on_request() -> None:
    async with running_venue(UserEventOrder.BEFORE) as server, aiohttp.ClientSession() as http:
        url = f"{server.ws_url}/stream?streams=btcusdt@trade&timeUnit=MICROSECOND"
        async with http.ws_connect(url) as socket:
            tick(server, 50_001.0)
            trade = (await socket.receive_json(timeout=WAIT_S))["data"]
            assert trade["T"] > 10**15
            assert trade["t"] == 1
        async with ws_api(server, "?timeUnit=MICROSECOND") as ask:
            await ask("userDataStream.subscribe.signature", signed(server))
            order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
            await ask.socket.send_json(
                {"id": 2, "method": "order.place", "params": signed(server, **order)}
            )
            event = (await ask.socket.receive_json(timeout=WAIT_S))["event"]
            assert event["T"] > 10**15
            assert event["i"] == 1


async def test_a_session_needs_an_ed25519_key_and_user_data_a_session() -> None:
    async with running_venue() as server, ws_api(server) as ask:
        assert (await ask("session.logon", signed(server)))["error"]["code"] == -4056
        assert (await ask("userDataStream.subscribe"))["error"]["code"] == -1002
        assert (await ask("session.status"))["result"]["apiKey"] is None
        assert (await ask("userDataStream.unsubscribe", {"subscriptionId": 9}))["error"] == {
            "code": -2036,
            "msg": "User Data Stream subscription not found.",
        }


async def test_a_replacement_that_half_fails_says_what_was_done() -> None:
    async with running_venue() as server, ws_api(server) as ask:
        order = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "price": "49000",
        }
        placed = await ask("order.place", signed(server, **order, quantity="0.01"))
        reply = await ask(
            "order.cancelReplace",
            signed(
                server,
                **order,
                quantity="99",
                cancelReplaceMode="ALLOW_FAILURE",
                cancelOrderId=placed["result"]["orderId"],
            ),
        )
        assert (reply["status"], reply["error"]["code"]) == (409, -2021)
        data = reply["error"]["data"]
        assert (data["cancelResult"], data["newOrderResult"]) == ("SUCCESS", "FAILURE")
        assert data["newOrderResponse"]["code"] == -2010


async def test_limits_are_shown_unless_they_are_not_wanted() -> None:
    async with running_venue() as server, ws_api(server) as ask:
        assert (await ask("ping"))["rateLimits"][0]["rateLimitType"] == "REQUEST_WEIGHT"
        assert "rateLimits" not in await ask("ping", {"returnRateLimits": False})
        async with ws_api(server, "?returnRateLimits=false") as quiet:
            assert "rateLimits" not in await quiet("ping")
        hold_windows(server)
        limiter = server.context.limiter
        limiter.charge("127.0.0.1", 6000 - limiter.used_weight("127.0.0.1"))
        over = await ask("ping")
        assert over["error"]["data"]["retryAfter"] > over["error"]["data"]["serverTime"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v3/ticker/price?symbol=BTCUSDT&symbolStatus=HALT", 400, -1220),
        ("/api/v3/ticker/price?symbols=BTCUSDT", 400, -1100),
        ('/api/v3/ticker/price?symbols=["BTCUSDT","BTCUSDT"]', 400, -1151),
        ("/api/v3/klines?symbol=BTCUSDT&interval=7m", 400, -1120),
        ("/api/v3/klines?symbol=BTCUSDT&interval=1d&timeZone=99", 400, -1130),
        ("/api/v3/ticker?symbol=BTCUSDT&windowSize=60m", 400, -1130),
        ("/api/v3/ticker", 400, -1128),
        ("/api/v3/exchangeInfo?symbol=NONE", 400, -1121),
    ],
)
async def test_a_wrong_question_has_its_code(path: str, status: int, code: int) -> None:
    async with (
        running_venue() as server,
        aiohttp.ClientSession(server.rest_url) as http,
        http.get(path) as answer,
    ):
        assert (answer.status, (await answer.json())["code"]) == (status, code)


async def test_retired_and_unknown_paths_and_units_are_refused() -> None:
    async with running_venue() as server, aiohttp.ClientSession(server.rest_url) as http:
        for method, path, status in (
            ("POST", "/api/v3/userDataStream", 410),
            ("GET", "/api/v3/nothing", 404),
            ("GET", "/api/v1/ping", 404),
        ):
            async with http.request(method, path) as answer:
                assert answer.status == status
        async with http.get("/api/v3/time", headers={"X-MBX-TIME-UNIT": "DAY"}) as answer:
            assert (await answer.json())["code"] == -1194


async def test_an_ended_subscription_says_so_after_the_answer() -> None:
    async with running_venue() as server, ws_api(server) as ask:
        await ask("userDataStream.subscribe.signature", signed(server))
        assert (await ask("userDataStream.unsubscribe"))["result"] == {}
        notice = await ask.socket.receive_json(timeout=WAIT_S)
        assert (notice["subscriptionId"], notice["event"]["e"]) == (0, "eventStreamTerminated")


async def test_an_order_by_socket_shows_how_many_orders_are_left() -> None:
    async with running_venue() as server, ws_api(server) as ask:
        hold_windows(server)
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        reply = await ask("order.place", signed(server, **order, quantity="0.01", price="49000"))
        counts = {
            (row["rateLimitType"], row["interval"]): row["count"] for row in reply["rateLimits"]
        }
        assert counts[("ORDERS", "SECOND")] == counts[("ORDERS", "DAY")] == 1


@pytest.mark.parametrize("in_list", [False, True], ids=["orders", "list"])
async def test_each_cancel_of_all_has_one_id_in_its_answer_and_its_event(in_list: bool) -> None:
    accounts = ({"balances": {"USDT": "10000", "BTC": "1"}},)
    async with running_venue(accounts=accounts) as server, ws_api(server) as ask:
        for price in ("49000", "48000"):
            order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
            await ask("order.place", signed(server, **order, quantity="0.01", price=price))
        if in_list:
            pair = {"aboveType": "LIMIT_MAKER", "abovePrice": "55000"}
            pair |= {"belowType": "STOP_LOSS", "belowStopPrice": "45000"}
            order = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01"} | pair
            await ask("orderList.place.oco", signed(server, **order))
        await ask("userDataStream.subscribe.signature", signed(server))
        request = signed(server, symbol="BTCUSDT")
        await ask.socket.send_json(
            {"id": "all", "method": "openOrders.cancelAll", "params": request}
        )
        heard: dict[int, str] = {}
        answered: dict[int, str] = {}
        while not answered or len(heard) < len(answered):
            message = await ask.socket.receive_json(timeout=WAIT_S)
            event = message.get("event", {})
            if event.get("x") == "CANCELED":
                heard[event["i"]] = event["c"]
            for row in message.get("result", ()):
                for report in row.get("orderReports", (row,)):
                    answered[report["orderId"]] = report["clientOrderId"]
        assert answered == heard
        assert len(answered) == (4 if in_list else 2)
        assert len(set(answered.values())) == (3 if in_list else 2)
        assert all(answered.values())


async def test_a_parameter_that_nobody_asks_for_is_refused_before_anything_happens() -> None:
    async with running_venue() as server, ws_api(server) as ask:
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        reply = await ask("order.place", signed(server, **order, reduceOnly="true"))
        assert reply["error"]["code"] == -1104
        assert server.exchange.all_orders("main", "BTCUSDT") == ()


async def test_a_finished_second_is_told_once() -> None:
    async with (
        running_venue() as server,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{server.ws_url}/ws/btcusdt@kline_1s") as socket,
    ):
        tick(server, 50_001.0)
        while not (await socket.receive_json(timeout=WAIT_S))["k"]["x"]:
            continue
        with pytest.raises(TimeoutError):
            await socket.receive_json(timeout=1.5)
