"""The futures half of the server on the wire: routes, keys, limits, faults, garbage."""

from __future__ import annotations

import asyncio
import random
import time
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa
from futures_wire import BID, MARKET_BUY, FuturesWire, futures_wire, hear
from simulated_venue import WAIT_S, futures_of, hold_windows, tick
from yarl import URL

from trading.simulator.server.connection import Connection
from trading.simulator.server.faults import Fault, FaultKind
from trading.simulator.server.usdm.endpoints import KEYED, PUBLIC
from trading.simulator.server.usdm.stream_names import Route, parse_stream
from trading.simulator.server.usdm.streams import FuturesStreams

OWN_STREAMS = {
    Route.PUBLIC: "btcusdt@bookTicker",
    Route.MARKET: "btcusdt@aggTrade",
}


async def heard_so_far(socket: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
    """What was sent before the answer to a question that is asked now."""
    await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 7})
    heard: list[dict[str, Any]] = []
    while True:
        message = await socket.receive_json(timeout=WAIT_S)
        if message.get("id") == 7:
            return heard
        heard.append(message)


async def check_that_a_path_hears_its_own_alone(path: str) -> None:
    both = "/".join(OWN_STREAMS.values())
    async with futures_wire() as wire, wire.socket(f"{path}/stream?streams={both}") as socket:
        await heard_so_far(socket)
        tick(wire.server, 50_001.0)
        heard = {message["stream"] for message in await heard_so_far(socket)}
    route = path.removeprefix("/") or Route.PUBLIC
    assert heard == {name for own, name in OWN_STREAMS.items() if own == route}


@pytest.mark.parametrize("path", ["/public", "/market", "/private", ""])
async def test_a_stream_is_heard_on_its_own_route_and_nowhere_else(path: str) -> None:
    await check_that_a_path_hears_its_own_alone(path)


async def test_a_server_that_ignores_routes_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    subscribe = FuturesStreams.subscribe

    def everywhere(streams: FuturesStreams, connection: Connection, name: str) -> None:
        spec = parse_stream(name)
        assert spec is not None
        streams.open(connection, spec.route)
        subscribe(streams, connection, name)

    monkeypatch.setattr(FuturesStreams, "subscribe", everywhere)
    with pytest.raises(AssertionError):
        await check_that_a_path_hears_its_own_alone("/market")


async def test_streams_can_be_changed_on_an_open_socket() -> None:
    async with futures_wire() as wire, wire.socket("/market/ws") as socket:
        names = ["btcusdt@markPrice@1s", "btcusdt@bookTicker"]
        await socket.send_json({"method": "SUBSCRIBE", "params": names, "id": 1})
        assert await socket.receive_json(timeout=WAIT_S) == {"result": None, "id": 1}
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 2})
        assert await socket.receive_json(timeout=WAIT_S) == {"result": sorted(names), "id": 2}
        assert (await hear(socket, "markPriceUpdate"))["s"] == "BTCUSDT"


async def test_depth_events_continue_from_the_snapshot_and_from_each_other() -> None:
    async with futures_wire() as wire, wire.socket("/public/ws/btcusdt@depth@100ms") as socket:
        await asyncio.sleep(0.05)
        tick(wire.server, 50_010.0)
        first = await hear(socket, "depthUpdate")
        tick(wire.server, 50_020.0)
        snapshot = await wire.ask("GET", "v1/depth", symbol="BTCUSDT", limit="1000")
        book = {side: dict(snapshot[side]) for side in ("bids", "asks")}
        last = first["u"]

        async def follow() -> None:
            nonlocal last
            event = await hear(socket, "depthUpdate")
            assert event["U"] <= event["u"]
            assert event["pu"] == last
            last = event["u"]
            if last < snapshot["lastUpdateId"]:
                return
            for name, side in (("b", "bids"), ("a", "asks")):
                for price, quantity in event[name]:
                    book[side][price] = quantity
                    if float(quantity) == 0:
                        del book[side][price]

        for step in range(5):
            tick(wire.server, 50_030.0 + step * 10)
            await wire.ask("POST", "v1/order", **BID | {"price": f"{49_000 + step}"})
            await follow()
        now = await wire.ask("GET", "v1/depth", symbol="BTCUSDT", limit="1000")
        while last < now["lastUpdateId"]:
            await follow()
        assert last == now["lastUpdateId"]
        assert book == {side: dict(now[side]) for side in ("bids", "asks")}


async def test_a_forced_order_is_told_to_everybody_and_to_its_account() -> None:
    async with futures_wire() as wire:
        key = await wire.listen_key()
        await wire.ask("POST", "v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
        await wire.ask("POST", "v1/order", **MARKET_BUY)
        async with (
            wire.socket("/market/ws/!forceOrder@arr") as market,
            wire.socket(f"/private/ws?listenKey={key}&events=ORDER_TRADE_UPDATE") as user,
        ):
            tick(wire.server, 45_000.0)
            forced = (await hear(market, "forceOrder"))["o"]
            assert (forced["s"], forced["S"], forced["X"]) == ("BTCUSDT", "SELL", "FILLED")
            heard = [(await user.receive_json(timeout=WAIT_S))["o"] for _ in range(2)]
        assert [order["x"] for order in heard] == ["NEW", "CALCULATED"]
        assert heard[0]["c"].startswith("autoclose-")
        [own] = await wire.ask("GET", "v1/forceOrders")
        assert (own["origQty"], own["status"]) == ("0.100", "FILLED")
        assert await wire.ask("GET", "v3/positionRisk") == []


async def test_a_listen_key_is_the_same_until_it_ends() -> None:
    async with futures_wire(listen_key_life_s=1.0) as wire:
        key = await wire.listen_key()
        assert await wire.listen_key() == key
        async with wire.socket("/private/ws") as socket:
            await socket.send_json({"method": "SUBSCRIBE", "params": [key], "id": 1})
            assert await socket.receive_json(timeout=WAIT_S) == {"result": None, "id": 1}
            notice = await hear(socket, "listenKeyExpired")
        assert notice["listenKey"] == key
        status, body, _headers = await wire.send("PUT", "fapi/v1/listenKey", signed=False)
        assert (status, body["code"]) == (400, -1125)
        assert await wire.listen_key() != key


async def test_an_unknown_listen_key_hears_nothing() -> None:
    async with futures_wire() as wire, wire.socket("/private/ws?listenKey=none") as socket:
        await wire.ask("POST", "v1/order", **MARKET_BUY)
        with pytest.raises(TimeoutError):
            await socket.receive_json(timeout=0.2)


async def test_orders_are_counted_and_weigh_nothing() -> None:
    async with futures_wire(futures_rate_limits={"orders_per_10s": 2}) as wire:
        hold_windows(wire.server)
        before = int((await wire.send("GET", "fapi/v1/ping"))[2]["X-MBX-USED-WEIGHT-1M"])
        _status, _body, headers = await wire.send("POST", "fapi/v1/order", **BID)
        assert (headers["X-MBX-ORDER-COUNT-10S"], headers["X-MBX-ORDER-COUNT-1M"]) == ("1", "1")
        assert int(headers["X-MBX-USED-WEIGHT-1M"]) == before
        await wire.ask("POST", "v1/order", **BID)
        status, body, headers = await wire.send("POST", "fapi/v1/order", **BID)
        assert (status, body["code"]) == (429, -1015)
        assert 1 <= int(headers["Retry-After"]) <= 11


async def test_used_weight_is_enforced_and_funding_has_a_pool_of_its_own() -> None:
    limits = {"weight_per_minute": 3, "funding_requests_per_5min": 1, "calls_before_ban": 2}
    async with futures_wire(futures_rate_limits=limits) as wire:
        hold_windows(wire.server)
        status, _body, headers = await wire.send("GET", "fapi/v1/fundingInfo", signed=False)
        assert status == 200
        assert "X-MBX-USED-WEIGHT-1M" not in headers
        assert (await wire.send("GET", "fapi/v1/fundingRate", signed=False))[0] == 429
        statuses = [(await wire.send("GET", "fapi/v1/ping", signed=False))[0] for _ in range(7)]
        assert statuses == [200, 200, 200, 429, 429, 418, 418]


async def test_requests_may_be_signed_with_ed25519() -> None:
    private = ECC.generate(curve="ed25519")
    public = private.public_key().export_key(format="PEM")
    signer = eddsa.new(private, "rfc8032")
    async with futures_wire(accounts=({"public_key": public},)) as wire:
        headers = {"X-MBX-APIKEY": wire.server.keys[0].key}
        text = f"timestamp={time.time_ns() // 1_000_000}"
        for what, status in ((text, 200), (f"{text}0", 400)):
            signature = quote(b64encode(signer.sign(what.encode())), safe="")
            url = f"{wire.server.futures_rest_url}/fapi/v3/balance?{text}&signature={signature}"
            async with wire.http.get(URL(url, encoded=True), headers=headers) as answer:
                assert answer.status == status


async def test_faults_hit_futures_orders_in_the_futures_words() -> None:
    async with futures_wire() as wire:
        wire.server.faults.plan(Fault(kind=FaultKind.INSUFFICIENT_BALANCE))
        assert (await wire.send("POST", "fapi/v1/order", **MARKET_BUY))[1]["code"] == -2019
        wire.server.faults.plan(Fault(kind=FaultKind.ANSWER_LOST))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wire.ask("POST", "v1/order", **MARKET_BUY), 1.0)
        [position] = await wire.ask("GET", "v3/positionRisk")
        assert position["positionAmt"] == "0.100"


async def test_a_timed_out_backend_reads_empty() -> None:
    async with futures_wire() as wire:
        wire.server.faults.plan(Fault(kind=FaultKind.ACCOUNT_EMPTY, duration_ms=60_000))
        assert await wire.ask("GET", "v3/balance") == []
        wire.server.faults.end()
        assert len(await wire.ask("GET", "v3/balance")) == 1


async def test_a_countdown_cancels_unless_it_is_asked_for_again() -> None:
    async with futures_wire() as wire:
        await wire.ask("POST", "v1/order", **BID)
        countdown = {"symbol": "BTCUSDT", "countdownTime": "1000"}
        for _ in range(3):
            await wire.ask("POST", "v1/countdownCancelAll", **countdown)
            await asyncio.sleep(0.4)
        assert len(await wire.ask("GET", "v1/openOrders")) == 1
        while await wire.ask("GET", "v1/openOrders"):  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.1)
        await wire.ask("POST", "v1/order", **BID)
        await wire.ask("POST", "v1/countdownCancelAll", **countdown | {"countdownTime": "500"})
        await wire.ask("POST", "v1/countdownCancelAll", **countdown | {"countdownTime": "0"})
        await asyncio.sleep(0.6)
        assert len(await wire.ask("GET", "v1/openOrders")) == 1


NAME_LIST = """
symbol pair limit interval startTime endTime fromId orderId type side quantity price reduceOnly
positionSide timeInForce newClientOrderId origClientOrderId newOrderRespType priceMatch
selfTradePreventionMode goodTillDate algoType triggerPrice workingType closePosition callbackRate
activatePrice algoId clientAlgoId leverage marginType amount dualSidePosition multiAssetsMargin
batchOrders orderIdList countdownTime contractType period incomeType autoCloseType modifyId
"""
VALUE_LIST = """
BTCUSDT ETHUSDT NONE 0 1 -1 1e5 NaN 0.01 49000 50500 99999999999999 BUY SELL LIMIT MARKET STOP
STOP_MARKET TRAILING_STOP_MARKET CONDITIONAL GTC IOC FOK GTX GTD BOTH LONG SHORT 1m 1h 5m 7x ACK
RESULT true false ISOLATED CROSSED OPPONENT QUEUE_5 EXPIRE_BOTH 5 [] [1] [{}] [{"symbol":"BTCUSDT"}]
PERPETUAL LIQUIDATION ä 99999999999999999999999
"""
NAMES, VALUES = NAME_LIST.split(), VALUE_LIST.split()
ROUNDS = 8
LIKELY = {
    "symbol": ("BTCUSDT", "ETHUSDT"),
    "side": ("BUY", "SELL"),
    "quantity": ("0.01", "0.02"),
    "type": ("LIMIT", "MARKET", "STOP_MARKET"),
}


async def test_no_request_makes_the_server_fail() -> None:
    dice = random.Random(5)
    limits = {"weight_per_minute": 10**9, "orders_per_10s": 10**6, "orders_per_minute": 10**6}
    limits |= {"funding_requests_per_5min": 10**6, "data_requests_per_5min": 10**6}
    routes = [("GET", endpoint.path) for endpoint in PUBLIC]
    routes += [(endpoint.http_method, endpoint.path) for endpoint in KEYED]
    seen: set[int] = set()
    async with futures_wire(futures_rate_limits=limits) as wire:
        for method, path in routes * ROUNDS:
            status, body = await _garbage(wire, dice, method, path)
            assert status < 500, (method, path, body)
            assert status == 200 or body["code"] < 0
            seen.add(status)
            tick(wire.server, dice.choice((49_000.0, 50_000.0, 51_000.0)))
        ledger = futures_of(wire.server).ledger
        assert ledger.total("USDT") == 10_000
    assert {200, 400} <= seen


async def _garbage(wire: FuturesWire, dice: random.Random, method: str, path: str) -> Any:
    names = {*dice.sample(NAMES, dice.randint(0, 9)), *dice.sample([*LIKELY], 3)}
    params = {
        name: dice.choice(LIKELY[name] if name in LIKELY and dice.random() < 0.8 else VALUES)
        for name in sorted(names)
    }
    status, body, _headers = await wire.send(method, path, **params)
    return status, body


async def test_ten_messages_a_second_are_heard_and_an_eleventh_cuts_the_socket() -> None:
    async with futures_wire() as wire, wire.socket("/market/ws/btcusdt@aggTrade") as socket:
        await asyncio.sleep(1.01 - time.monotonic() % 1)  # the server counts by whole seconds
        for number in range(11):
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
        answers = [message async for message in socket]
        assert (len(answers), socket.close_code) == (10, 1008)
