"""What clients nobody here wrote ask for beside the documented core: answered as the venue does."""

from __future__ import annotations

import time
from typing import Any

import aiohttp
import pytest
from simulated_venue import WAIT_S, futures_of, python_binance, running_venue

from trading.model.market import Tick
from trading.simulator.server.app import RunningServer
from trading.simulator.server.signatures import hmac_hex


def signed(server: RunningServer, **params: Any) -> dict[str, Any]:
    """Arguments of a request that the account signs."""
    key = server.keys[0]
    values = params | {"timestamp": time.time_ns() // 1_000_000}
    text = "&".join(f"{name}={value}" for name, value in values.items())
    values["signature"] = hmac_hex(key.secret, text)
    return {"params": values, "headers": {"X-MBX-APIKEY": key.key}}


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", "/fapi/v1/nothing", "Path /fapi/v1/nothing, Method GET is invalid"),
        ("POST", "/fapi/v1/ping", "Path /fapi/v1/ping, Method POST is invalid"),
        (
            "GET",
            "/fapi/v1/account",
            "GET /fapi/v1/account is retired, please use GET /fapi/v2/account",
        ),
    ],
)
async def test_futures_name_the_path_that_they_do_not_know(
    method: str, path: str, message: str
) -> None:
    async with (
        running_venue() as server,
        aiohttp.ClientSession(server.futures_rest_url) as http,
        http.request(method, path) as answer,
    ):
        assert answer.status == 404
        assert await answer.json() == {"code": -5000, "msg": message}


@pytest.mark.parametrize("path", ["/api/v3/nothing", "/sapi/v1/nothing", "/nothing"])
async def test_an_unknown_spot_path_is_answered_by_a_gateway(path: str) -> None:
    async with (
        running_venue() as server,
        aiohttp.ClientSession(server.rest_url) as http,
        http.get(path) as answer,
    ):
        assert (answer.status, answer.content_type) == (404, "text/html")


async def test_a_parameter_without_a_value_is_named() -> None:
    async with running_venue() as server, aiohttp.ClientSession(server.rest_url) as http:
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        asked = signed(server, **order, newClientOrderId="")
        async with http.post("/api/v3/order", **asked) as answer:
            assert answer.status == 400
            told = {"code": -1105, "msg": "Parameter 'newClientOrderId' was empty."}
            assert await answer.json() == told
        async with http.get("/api/v3/allOrders", **signed(server, symbol="BTCUSDT")) as answer:
            assert await answer.json() == []


async def test_a_null_on_the_websocket_api_is_not_sent() -> None:
    async with (
        running_venue() as server,
        aiohttp.ClientSession() as http,
        http.ws_connect(server.ws_api_url) as socket,
    ):
        params = {"symbol": "BTCUSDT", "limit": None}
        await socket.send_json({"id": 1, "method": "depth", "params": params})
        assert (await socket.receive_json(timeout=WAIT_S))["status"] == 200


async def test_an_account_is_as_old_as_its_last_change() -> None:
    async with running_venue() as server, python_binance(server) as client:
        opened = (await client.get_account())["updateTime"]
        assert (await client.get_account())["updateTime"] == opened
        order = await client.create_order(
            symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01"
        )
        assert (await client.get_account())["updateTime"] == order["transactTime"]


async def test_minutes_from_before_the_start_have_trades() -> None:
    async with running_venue() as server, python_binance(server) as client:
        for rows in (
            await client.get_klines(symbol="BTCUSDT", interval="1m"),
            await client.futures_klines(symbol="BTCUSDT", interval="1m"),
        ):
            assert all(row[8] > 0 for row in rows)


async def test_funding_has_been_settled_before_the_first_day_is_over() -> None:
    async with running_venue() as server, python_binance(server) as client:
        rows = await client.futures_funding_rate(symbol="BTCUSDT")
        now = await client.futures_mark_price(symbol="BTCUSDT")
    hours_8_ms = 8 * 3_600_000
    assert rows[-1]["fundingTime"] == now["nextFundingTime"] - hours_8_ms
    assert rows[-1]["fundingRate"] == "0.00010000"


async def test_an_index_is_known_under_the_dollars_name_too() -> None:
    async with running_venue() as server, python_binance(server) as client:
        found = await client.futures_index_price_constituents(symbol="BTCUSD")
    assert (found["symbol"], found["constituents"][0]["symbol"]) == ("BTCUSD", "BTCUSDT")


async def test_single_futures_trades_are_streamed_on_the_public_route() -> None:
    async with (
        running_venue() as server,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{server.futures_ws_url}/public/ws/btcusdt@trade") as socket,
    ):
        now_ms = server.exchange.clock.now_ms()
        futures_of(server).on_index(Tick("BTCUSDT", 50_000.0, 0.5, now_ms))
        event = await socket.receive_json(timeout=WAIT_S)
    assert (event["e"], event["s"], event["X"], event["T"]) == (
        "trade",
        "BTCUSDT",
        "MARKET",
        now_ms,
    )


async def test_what_clients_ask_a_wallet_before_they_trade_is_answered() -> None:
    async with running_venue() as server, python_binance(server) as client:
        assert await client.get_system_status() == {"status": 0, "msg": "normal"}
        coins = {row["coin"]: row for row in await client.get_all_coins_info()}
        assert (coins["USDT"]["free"], coins["BTC"]["free"]) == ("10000.00000000", "0.00000000")
        fees = await client.get_trade_fee(symbol="BTCUSDT")
        assert fees == [
            {"symbol": "BTCUSDT", "makerCommission": "0.001", "takerCommission": "0.001"}
        ]
        assert await client.get_account_status() == {"data": "Normal"}
        assert not (await client.get_account_api_trading_status())["data"]["isLocked"]


async def test_a_control_message_may_have_a_number_a_short_text_or_no_id() -> None:
    async with running_venue() as server, aiohttp.ClientSession() as http:

        async def ask(request_id: Any) -> Any:
            async with http.ws_connect(f"{server.ws_url}/ws") as socket:
                await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": request_id})
                return await socket.receive_json(timeout=WAIT_S)

        for good in (7, -7, "e0a2", None):
            assert await ask(good) == {"result": [], "id": good}
        for bad in (1.5, "x" * 37, [1]):
            assert (await ask(bad))["code"] == 2
