"""The unmodified python-binance client against the embedded exchange, over real sockets."""

from __future__ import annotations

import pytest
from binance import DepthCacheManager
from binance.exceptions import BinanceAPIException
from simulated_venue import python_binance, receive, running_venue, sockets, tick

from trading.simulator.config import UserEventOrder


async def test_market_data_by_rest() -> None:
    async with running_venue() as server, python_binance(server) as client:
        tick(server, 50_010.0)
        info = await client.get_symbol_info("BTCUSDT")
        assert info["filters"][0]["tickSize"] == "0.01000000"
        book = await client.get_order_book(symbol="BTCUSDT", limit=5)
        assert len(book["bids"]) == len(book["asks"]) == 5
        assert float(book["bids"][0][0]) < 50_010 < float(book["asks"][0][0])
        klines = await client.get_klines(symbol="BTCUSDT", interval="1m", limit=10)
        assert [len(row) for row in klines] == [12] * 10
        assert klines[-1][4] == "50010.00000000"
        hours = await client.get_historical_klines("BTCUSDT", "5m", "2 hours ago UTC")
        assert sum(float(row[5]) for row in hours) == pytest.approx(301)
        assert (await client.get_symbol_ticker(symbol="BTCUSDT"))["price"] == "50010.00000000"
        assert len(await client.get_all_tickers()) == 2
        assert (await client.get_ticker(symbol="BTCUSDT"))["priceChange"] == "10.00000000"
        assert (await client.get_recent_trades(symbol="BTCUSDT"))[0]["qty"] == "1.00000000"
        assert (await client.get_aggregate_trades(symbol="BTCUSDT"))[0]["a"] == 1
        assert float((await client.get_avg_price(symbol="ETHUSDT"))["price"]) == 2000


async def test_orders_by_rest_from_placing_to_history() -> None:
    async with running_venue() as server, python_binance(server) as client:
        bought = await client.order_market_buy(
            symbol="BTCUSDT", quantity="0.01", newClientOrderId="buy"
        )
        assert bought["status"] == "FILLED"
        assert bought["fills"][0]["commissionAsset"] == "BTC"
        resting = await client.order_limit_sell(
            symbol="BTCUSDT", quantity="0.005", price="51000", newClientOrderId="sell"
        )
        assert resting["status"] == "NEW"
        stop = await client.create_order(
            symbol="BTCUSDT", side="SELL", type="STOP_LOSS", quantity="0.004", stopPrice="45000"
        )
        assert "status" not in stop  # ACK is the default answer for trigger orders
        found = await client.get_order(symbol="BTCUSDT", origClientOrderId="sell")
        assert (found["status"], found["isWorking"]) == ("NEW", True)
        assert len(await client.get_open_orders(symbol="BTCUSDT")) == 2
        account = await client.get_account()
        btc = next(row for row in account["balances"] if row["asset"] == "BTC")
        assert (btc["free"], btc["locked"]) == ("0.00099000", "0.00900000")
        tick(server, 51_500.0)
        assert (await client.get_order(symbol="BTCUSDT", orderId=resting["orderId"]))[
            "status"
        ] == "FILLED"
        canceled = await client.cancel_order(symbol="BTCUSDT", orderId=stop["orderId"])
        assert canceled["status"] == "CANCELED"
        trades = await client.get_my_trades(symbol="BTCUSDT")
        assert [row["isMaker"] for row in trades] == [False, True]
        history = await client.get_all_orders(symbol="BTCUSDT")
        assert [row["status"] for row in history] == ["FILLED", "FILLED", "CANCELED"]
        assert (
            await client.create_test_order(
                symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01"
            )
            == {}
        )


@pytest.mark.parametrize(
    ("order", "code", "text"),
    [
        ({"type": "MARKET", "quantity": "1"}, -2010, "insufficient balance"),
        ({"type": "MARKET", "quantity": "0.000001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"type": "MARKET", "quantity": 0.00001}, -1100, "Illegal characters"),
        (
            {"type": "LIMIT_MAKER", "quantity": "0.01", "price": "50100"},
            -2010,
            "Order would immediately match and take.",
        ),
        ({"type": "MARKET", "quantity": "0.01", "symbol": "NONE"}, -1121, "Invalid symbol."),
    ],
)
async def test_a_refused_order_raises_binances_code_and_message(
    order: dict[str, object], code: int, text: str
) -> None:
    async with running_venue() as server, python_binance(server) as client:
        with pytest.raises(BinanceAPIException) as caught:
            await client.create_order(**({"symbol": "BTCUSDT", "side": "BUY"} | order))
        assert (caught.value.code, caught.value.status_code) == (code, 400)
        assert text in caught.value.message


async def test_unknown_orders_have_their_codes() -> None:
    async with running_venue() as server, python_binance(server) as client:
        for call, code in (
            (client.get_order(symbol="BTCUSDT", origClientOrderId="none"), -2013),
            (client.cancel_order(symbol="BTCUSDT", origClientOrderId="none"), -2011),
            (client.get_order(symbol="BTCUSDT"), -1102),
        ):
            with pytest.raises(BinanceAPIException) as caught:
                await call
            assert caught.value.code == code


async def test_a_key_shows_whether_it_may_withdraw() -> None:
    accounts = ({"can_withdraw": True},)
    async with running_venue(accounts=accounts) as server, python_binance(server) as client:
        assert (await client.get_account_api_permissions())["enableWithdrawals"] is True
        assert (await client.get_account())["canWithdraw"] is True


async def test_trades_arrive_on_the_combined_stream() -> None:
    async with running_venue() as server, python_binance(server) as client:
        streams = ["btcusdt@aggTrade", "ethusdt@aggTrade"]
        async with sockets(server, client).multiplex_socket(streams) as socket:
            tick(server, 50_001.0, 0.5)
            tick(server, 2_001.0, 3.0, "ETHUSDT")
            first, second = await receive(socket), await receive(socket)
        assert first["stream"] == "btcusdt@aggTrade"
        assert first["data"]["p"] == "50001.00000000"
        assert first["data"]["q"] == "0.50000000"
        assert second["data"]["s"] == "ETHUSDT"


@pytest.mark.parametrize("order", [UserEventOrder.BEFORE, UserEventOrder.AFTER])
async def test_fills_arrive_on_the_user_stream(order: UserEventOrder) -> None:
    async with (
        running_venue(order) as server,
        python_binance(server) as client,
        sockets(server, client).user_socket() as user,
    ):
        await client.order_limit_buy(
            symbol="BTCUSDT", quantity="0.01", price="49000", newClientOrderId="rest"
        )
        new, locked = await receive(user), await receive(user)
        assert (new["e"], new["x"], new["c"]) == ("executionReport", "NEW", "rest")
        usdt = next(row for row in locked["B"] if row["a"] == "USDT")
        assert usdt == {"a": "USDT", "f": "9510.00000000", "l": "490.00000000"}
        tick(server, 48_000.0)
        fill, position = await receive(user), await receive(user)
        assert (fill["x"], fill["X"], fill["m"]) == ("TRADE", "FILLED", True)
        assert (fill["l"], fill["L"]) == ("0.01000000", "49000.00000000")
        assert (fill["n"], fill["N"]) == ("0.00001000", "BTC")
        assert position["e"] == "outboundAccountPosition"
        await client.order_limit_sell(
            symbol="BTCUSDT", quantity="0.009", price="60000", newClientOrderId="sell"
        )
        await client.cancel_order(
            symbol="BTCUSDT", origClientOrderId="sell", newClientOrderId="stop-it"
        )
        reports = [await receive(user) for _ in range(4)]
        assert (reports[2]["x"], reports[2]["c"], reports[2]["C"]) == (
            "CANCELED",
            "stop-it",
            "sell",
        )


async def test_orders_and_their_status_by_the_websocket_api() -> None:
    async with running_venue() as server, python_binance(server) as client:
        placed = await client.ws_create_order(
            symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01", newClientOrderId="ws"
        )
        assert placed["status"] == "FILLED"
        found = await client.ws_get_order(symbol="BTCUSDT", origClientOrderId="ws")
        assert found["executedQty"] == "0.01000000"
        with pytest.raises(BinanceAPIException) as caught:
            await client.ws_cancel_order(symbol="BTCUSDT", origClientOrderId="ws")
        assert caught.value.code == -2011


async def test_order_lists_and_replacements_by_rest() -> None:
    async with running_venue() as server, python_binance(server) as client:
        bought = await client.order_market_buy(symbol="BTCUSDT", quantity="0.1")
        assert bought["selfTradePreventionMode"] == "EXPIRE_MAKER"
        pair = await client.create_oco_order(
            symbol="BTCUSDT",
            side="SELL",
            quantity="0.01",
            aboveType="LIMIT_MAKER",
            abovePrice="55000",
            belowType="STOP_LOSS",
            belowStopPrice="45000",
        )
        assert [report["isWorking"] for report in await client.get_open_orders()] == [True, False]
        tick(server, 44_900.0)
        stop = await client.get_order(symbol="BTCUSDT", orderId=pair["orders"][1]["orderId"])
        assert (stop["status"], stop["orderListId"]) == ("FILLED", pair["orderListId"])
        resting = await client.order_limit_sell(symbol="BTCUSDT", quantity="0.01", price="55000")
        replaced = await client.cancel_replace_order(
            symbol="BTCUSDT",
            side="SELL",
            type="LIMIT",
            timeInForce="GTC",
            quantity="0.01",
            price="56000",
            cancelReplaceMode="STOP_ON_FAILURE",
            cancelOrderId=resting["orderId"],
        )
        assert replaced["newOrderResponse"]["price"] == "56000.00000000"


async def test_account_reports_by_rest_and_by_the_websocket_api() -> None:
    async with running_venue() as server, python_binance(server) as client:
        limits = await client.get_current_order_count()
        assert [row["rateLimitType"] for row in limits] == ["ORDERS", "ORDERS"]
        prevented = await client.get_prevented_matches(symbol="BTCUSDT", orderId=1)
        assert prevented == []
        assert await client.get_allocations(symbol="BTCUSDT") == []
        assert (await client.ws_get_order_book(symbol="BTCUSDT"))["bids"]
        assert (await client.ws_get_account())["accountType"] == "SPOT"
        assert await client.ws_get_open_orders(symbol="BTCUSDT") == []


async def test_a_depth_cache_follows_the_book() -> None:
    async with running_venue() as server, python_binance(server) as client:
        manager = DepthCacheManager(
            client, symbol="BTCUSDT", bm=sockets(server, client), ws_interval=100
        )
        async with manager as cache:
            tick(server, 50_500.0)
            depth = await receive(cache)
            wanted = await client.get_order_book(symbol="BTCUSDT", limit=5)
            assert [[f"{p:.8f}", f"{q:.8f}"] for p, q in depth.get_bids()[:5]] == wanted["bids"]


async def test_every_ticker_and_kline_stream_speaks() -> None:
    names = (
        "btcusdt@kline_1s",
        "btcusdt@kline_1M",
        "btcusdt@ticker_4h",
        "btcusdt@miniTicker",
        "!miniTicker@arr",
        "btcusdt@depth5",
    )
    async with (
        running_venue() as server,
        python_binance(server) as client,
        sockets(server, client).multiplex_socket(list(names)) as socket,
    ):
        heard: set[str] = set()
        while heard != set(names):
            tick(server, 50_100.0)
            heard.add((await receive(socket))["stream"])
