"""What python-binance does not show: headers, control messages, order of events, faults."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import aiohttp.web
import pytest
import yarl
from simulated_venue import WAIT_S, hold_windows, python_binance, running_venue, tick

from trading.model.market import Tick
from trading.simulator.config import UserEventOrder
from trading.simulator.server.app import RunningServer, start_server
from trading.simulator.server.faults import Fault, FaultKind
from trading.simulator.server.signatures import hmac_hex, ws_payload


def signed_order(server: RunningServer, **params: str) -> tuple[str, dict[str, str]]:
    values = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"} | params
    values["timestamp"] = str(time.time_ns() // 1_000_000)
    text = "&".join(f"{name}={value}" for name, value in values.items())
    key = server.keys[0]
    return f"{text}&signature={hmac_hex(key.secret, text)}", {"X-MBX-APIKEY": key.key}


async def subscribe_user_data(
    server: RunningServer, socket: aiohttp.ClientWebSocketResponse
) -> Any:
    key = server.keys[0]
    params: dict[str, Any] = {"apiKey": key.key, "timestamp": time.time_ns() // 1_000_000}
    params["signature"] = hmac_hex(key.secret, ws_payload(params))
    method = "userDataStream.subscribe.signature"
    await socket.send_json({"id": "s", "method": method, "params": params})
    return await socket.receive_json(timeout=WAIT_S)


async def test_an_order_may_come_in_the_query_or_in_the_body() -> None:
    async with running_venue() as server, aiohttp.ClientSession(server.rest_url) as http:
        for place in ("query", "body"):
            text, headers = signed_order(server)
            url = f"/api/v3/order?{text}" if place == "query" else "/api/v3/order"
            data = text if place == "body" else None
            async with http.post(url, data=data, headers=headers) as answer:
                assert (await answer.json())["status"] == "FILLED"
                assert answer.headers["X-MBX-ORDER-COUNT-10S"] == "0"  # filled orders do not count
                assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "0"  # good orders weigh nothing


async def test_used_weight_is_counted_and_enforced() -> None:
    limits = {"weight_per_minute": 6, "calls_before_ban": 1}
    async with (
        running_venue(rate_limits=limits) as server,
        aiohttp.ClientSession(server.rest_url) as http,
    ):
        hold_windows(server)
        seen = []
        for _ in range(5):
            async with http.get("/api/v3/klines?symbol=BTCUSDT&interval=1m") as answer:
                seen.append((answer.status, answer.headers.get("X-MBX-USED-WEIGHT-1M")))
                body = await answer.json()
        assert [status for status, _used in seen] == [200, 200, 200, 429, 418]
        assert [used for _status, used in seen[:3]] == ["2", "4", "6"]
        assert body["code"] == -1003
        assert int(answer.headers["Retry-After"]) > 0


async def test_a_bad_signature_and_a_late_request_are_refused() -> None:
    async with running_venue() as server, aiohttp.ClientSession(server.rest_url) as http:
        text, headers = signed_order(server)
        wrong = text.replace("quantity=0.01", "quantity=0.02")
        async with http.post("/api/v3/order", data=wrong, headers=headers) as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, -1022)
        async with http.post("/api/v3/order", data=text) as answer:
            assert (answer.status, (await answer.json())["code"]) == (401, -2014)
        text, headers = signed_order(server, recvWindow="10")
        await asyncio.sleep(0.05)
        async with http.post("/api/v3/order", data=text, headers=headers) as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, -1021)


async def test_a_parameter_that_is_sent_twice_is_refused_but_the_query_wins_over_the_body() -> None:
    async with running_venue() as server, aiohttp.ClientSession(server.rest_url) as http:
        twice = "/api/v3/depth?symbol=BTCUSDT&symbol=ETHUSDT"
        async with http.get(twice) as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, -1101)
        text, headers = signed_order(server)
        async with http.post("/api/v3/order", data=f"{text}&side=SELL", headers=headers) as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, -1101)


async def test_streams_can_be_changed_on_an_open_socket() -> None:
    async with running_venue() as server, aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{server.ws_url}/ws") as socket:

            async def ask(message: dict[str, Any]) -> Any:
                await socket.send_json(message)
                return await socket.receive_json(timeout=WAIT_S)

            names = ["btcusdt@trade", "unknown@nothing"]
            subscribe = {"method": "SUBSCRIBE", "params": names, "id": 1}
            assert await ask(subscribe) == {"result": None, "id": 1}
            assert (await ask({"method": "LIST_SUBSCRIPTIONS", "id": 2}))["result"] == names
            tick(server, 50_001.0)
            trade = await socket.receive_json(timeout=WAIT_S)
            assert (trade["e"], trade["p"]) == ("trade", "50001.00000000")
            await ask({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": 3})
            tick(server, 50_002.0)
            assert (await ask({"method": "LIST_SUBSCRIPTIONS", "id": 4}))["id"] == 4
        async with http.ws_connect(f"{server.ws_url}/ws") as socket:
            await socket.send_str("{")
            assert (await socket.receive_json(timeout=WAIT_S))["code"] == 3
            await socket.send_json({"method": "HELLO", "id": 5})
            assert "unknown variant `HELLO`" in (await socket.receive_json(timeout=WAIT_S))["msg"]


@pytest.mark.parametrize("plus", ["+", "%2B"])
async def test_the_time_zone_of_a_kline_stream_may_stand_in_the_url(plus: str) -> None:
    url = f"/stream?streams=btcusdt@kline_1d@{plus}08:00"
    async with (
        running_venue() as server,
        aiohttp.ClientSession() as http,
        http.ws_connect(yarl.URL(f"{server.ws_url}{url}", encoded=True)) as socket,
    ):
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
        listed = (await socket.receive_json(timeout=WAIT_S))["result"]
    assert listed == ["btcusdt@kline_1d@+08:00"]


@pytest.mark.parametrize("path", ["/ws", "/ws/btcusdt@trade"])
async def test_a_client_that_floods_the_stream_socket_is_cut(path: str) -> None:
    async with (
        running_venue() as server,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{server.ws_url}{path}") as socket,
    ):
        for number in range(20):
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
        kinds = [(await socket.receive(timeout=WAIT_S)).type for _ in range(12)]
        assert aiohttp.WSMsgType.CLOSE in kinds


async def test_depth_events_continue_from_the_snapshot() -> None:
    async with (
        running_venue() as server,
        aiohttp.ClientSession(server.rest_url) as http,
        http.ws_connect(f"{server.ws_url}/ws/btcusdt@depth@100ms") as socket,
    ):
        book: dict[str, dict[str, str]] = {"b": {}, "a": {}}
        async with http.get("/api/v3/depth?symbol=BTCUSDT&limit=1000") as answer:
            snapshot = await answer.json()
        book["b"], book["a"] = dict(snapshot["bids"]), dict(snapshot["asks"])
        version = snapshot["lastUpdateId"]
        for price in (50_010.0, 50_500.0, 49_000.0):
            tick(server, price)
            event = await socket.receive_json(timeout=WAIT_S)
            assert event["U"] <= version + 1 <= event["u"]
            version = event["u"]
            for side in ("b", "a"):
                for level, quantity in event[side]:
                    book[side][level] = quantity
                    if float(quantity) == 0:
                        del book[side][level]
        async with http.get("/api/v3/depth?symbol=BTCUSDT&limit=1000") as answer:
            expected = await answer.json()
        assert book == {"b": dict(expected["bids"]), "a": dict(expected["asks"])}
        assert expected["lastUpdateId"] == version


async def test_a_finished_minute_is_announced_as_closed() -> None:
    async with (
        running_venue() as server,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{server.ws_url}/stream?streams=btcusdt@kline_1m") as socket,
    ):
        now_ms = server.exchange.clock.now_ms()
        server.exchange.on_tick(Tick("BTCUSDT", 50_100.0, 1.0, now_ms))
        server.exchange.on_tick(Tick("BTCUSDT", 50_200.0, 1.0, now_ms + 60_000))
        closed = []
        while not closed or closed[-1]["t"] < now_ms // 60_000 * 60_000:
            bar = (await socket.receive_json(timeout=WAIT_S))["data"]["k"]
            closed += [bar] if bar["x"] else []
        assert closed[-1]["c"] == "50100.00000000"
        assert closed[-1]["T"] == closed[-1]["t"] + 59_999


@pytest.mark.parametrize(
    ("order", "first"), [(UserEventOrder.BEFORE, "event"), (UserEventOrder.AFTER, "answer")]
)
async def test_user_events_come_before_or_after_the_answer_as_configured(
    order: UserEventOrder, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def recording(kind: type, name: str, label: str) -> None:
        original = getattr(kind, name)

        async def record(self: Any, *args: Any, **kwargs: Any) -> Any:
            written.append(label)
            return await original(self, *args, **kwargs)

        monkeypatch.setattr(kind, name, record)

    async with (
        running_venue(order) as server,
        aiohttp.ClientSession(server.rest_url) as http,
        http.ws_connect(server.ws_api_url) as socket,
    ):
        assert (await subscribe_user_data(server, socket))["result"] == {"subscriptionId": 0}
        recording(aiohttp.web.Response, "write_eof", "answer")
        recording(aiohttp.web.WebSocketResponse, "send_frame", "event")
        text, headers = signed_order(server)
        async with http.post("/api/v3/order", data=text, headers=headers) as answer:
            assert answer.status == 200
        events = [(await socket.receive_json(timeout=WAIT_S))["event"] for _ in range(4)]
        assert [event.get("x") for event in events] == ["NEW", None, "TRADE", None]
        assert written[0] == first
        assert written[:4] == ["event"] * 4 or first == "answer"


async def test_a_second_subscription_to_the_same_account_is_refused() -> None:
    async with (
        running_venue() as server,
        aiohttp.ClientSession() as http,
        http.ws_connect(server.ws_api_url) as socket,
    ):
        await subscribe_user_data(server, socket)
        again = await subscribe_user_data(server, socket)
        assert (again["status"], again["error"]["code"]) == (400, -2035)
        await socket.send_json({"id": 1, "method": "session.subscriptions"})
        assert (await socket.receive_json(timeout=WAIT_S))["result"] == [{"subscriptionId": 0}]
        await socket.send_json({"id": 2, "method": "userDataStream.unsubscribe"})
        assert (await socket.receive_json(timeout=WAIT_S))["result"] == {}


async def test_a_lost_answer_leaves_the_order_executed() -> None:
    async with running_venue() as server, python_binance(server) as client:
        server.faults.plan(Fault(kind=FaultKind.RESET_READING))
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await client.order_market_buy(
                symbol="BTCUSDT", quantity="0.01", newClientOrderId="lost"
            )
        found = await client.get_order(symbol="BTCUSDT", origClientOrderId="lost")
        assert found["status"] == "FILLED"
        assert [post["accepted"] for post in server.received_orders] == [True]


async def test_dropped_sockets_are_cut_without_a_goodbye() -> None:
    async with (
        running_venue() as server,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{server.ws_url}/ws/btcusdt@trade") as socket,
    ):
        assert server.drop_websockets("user") == 0
        assert server.drop_websockets("market") == 1
        message = await socket.receive(timeout=WAIT_S)
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert socket.close_code == 1006


async def test_a_stopping_server_says_so() -> None:
    async with aiohttp.ClientSession() as http, running_venue() as server:
        socket = await http.ws_connect(f"{server.ws_url}/stream?streams=btcusdt@trade")
        stopping = asyncio.create_task(server.stop())
        message = await socket.receive_json(timeout=WAIT_S)
        assert message["stream"] == "!serverShutdown"
        assert message["data"]["e"] == "serverShutdown"
        assert (await socket.receive(timeout=WAIT_S)).type is aiohttp.WSMsgType.CLOSE
        await stopping


async def test_received_orders_are_on_record_refused_ones_too() -> None:
    async with running_venue() as server, aiohttp.ClientSession(server.rest_url) as http:
        for quantity in ("0.01", "999"):
            text, headers = signed_order(server, quantity=quantity, recvWindow="1000")
            async with http.post("/api/v3/order", data=text, headers=headers) as answer:
                await answer.read()
        async with http.get("/control/received") as answer:
            received = await answer.json()
        assert [post["accepted"] for post in received] == [True, False]
        assert received[0]["params"]["recvWindow"] == "1000"


async def test_control_is_off_unless_asked_for() -> None:
    async with running_venue() as server, aiohttp.ClientSession(server.rest_url) as http:
        async with http.post("/control/shock", json={"pct": -20, "duration_s": 0}) as answer:
            assert answer.status == 200
        async with http.post("/control/shock", json={"pct": -100}) as answer:
            assert answer.status == 400
    async with (
        await start_server(server.exchange) as plain,
        aiohttp.ClientSession(plain.rest_url) as http,
        http.get("/control/received") as answer,
    ):
        assert answer.status == 404
