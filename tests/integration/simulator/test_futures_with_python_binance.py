"""The unmodified python-binance trades futures on the embedded exchange: REST, streams, WS API."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from binance.exceptions import BinanceAPIException
from simulated_venue import (
    futures_of,
    python_binance,
    receive,
    running_venue,
    sockets,
    tick,
)

BTC = {"symbol": "BTCUSDT"}
BUY = BTC | {"side": "BUY", "type": "MARKET", "quantity": "0.1"}
ASK = BTC | {
    "side": "SELL",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.1",
    "price": "51000",
}


async def events_until(socket: Any, kind: str, count: int = 1) -> list[dict[str, Any]]:
    """What comes on ``socket`` up to the ``count``-th event of ``kind``."""
    heard: list[dict[str, Any]] = []
    while sum(event["e"] == kind for event in heard) < count:
        heard.append(await receive(socket))
    return heard


async def test_a_position_is_opened_reduced_and_shown() -> None:
    async with running_venue() as server, python_binance(server) as client:
        tick(server, 50_000.0)
        placed = await client.futures_create_order(**BUY)
        assert (placed["status"], placed["executedQty"]) == ("NEW", "0.000")  # an ACK
        order = await client.futures_get_order(**BTC, orderId=placed["orderId"])
        assert (order["status"], order["executedQty"]) == ("FILLED", "0.100")
        [position] = await client.futures_position_information()
        assert (position["positionAmt"], position["positionSide"]) == ("0.100", "BOTH")
        assert float(position["entryPrice"]) == float(order["avgPrice"])
        result = await client.futures_create_order(
            **BUY | {"side": "SELL", "quantity": "0.04", "newOrderRespType": "RESULT"},
            reduceOnly="true",
        )
        assert (result["status"], result["executedQty"]) == ("FILLED", "0.040")
        trades = await client.futures_account_trades(**BTC)
        assert [trade["side"] for trade in trades] == ["BUY", "SELL"]
        assert float(trades[-1]["realizedPnl"]) < 0  # sold at the bid what was bought at the ask
        income = await client.futures_income_history()
        wallet = 10_000 + sum(float(row["income"]) for row in income)
        [usdt] = await client.futures_account_balance()
        assert float(usdt["balance"]) == pytest.approx(wallet, abs=1e-9)


async def test_orders_are_changed_cancelled_and_sent_in_batches() -> None:
    async with running_venue() as server, python_binance(server) as client:
        tick(server, 50_000.0)
        resting = await client.futures_create_order(**ASK)
        changed = await client.futures_modify_order(
            **BTC, orderId=resting["orderId"], side="SELL", quantity="0.05", price="51500"
        )
        assert (changed["price"], changed["origQty"]) == ("51500.00", "0.050")
        done = await client.futures_cancel_order(**BTC, orderId=resting["orderId"])
        assert done["status"] == "CANCELED"
        batch = await client.futures_place_batch_order(
            batchOrders=[ASK, ASK | {"quantity": "0.00001"}]
        )
        assert (batch[0]["status"], batch[1]["code"]) == ("NEW", -1111)
        await client.futures_countdown_cancel_all(**BTC, countdownTime=30)
        await asyncio.sleep(0.1)
        assert await client.futures_get_open_orders() == []


async def test_a_conditional_order_waits_apart_and_becomes_a_real_one() -> None:
    async with running_venue() as server, python_binance(server) as client:
        tick(server, 50_000.0)
        await client.futures_create_order(**BUY)
        algo = await client.futures_create_order(
            **BTC, side="SELL", type="STOP_MARKET", stopPrice="49000", closePosition="true"
        )
        assert await client.futures_get_open_orders() == []
        [waiting] = await client.futures_get_open_algo_orders()
        assert (waiting["algoId"], waiting["triggerPrice"]) == (algo["algoId"], "49000.00")
        tick(server, 48_900.0)
        [done] = await client.futures_get_all_algo_orders(**BTC)
        assert done["algoStatus"] == "FINISHED"
        born = await client.futures_get_order(**BTC, orderId=int(done["actualOrderId"]))
        assert (born["origType"], born["status"]) == ("STOP_MARKET", "FILLED")
        assert await client.futures_position_information() == []


async def test_user_data_come_by_listen_key() -> None:
    async with (
        running_venue() as server,
        python_binance(server) as client,
        sockets(server, client).futures_user_socket() as user,
    ):
        tick(server, 50_000.0)
        await client.futures_create_order(**BUY)
        heard = await events_until(user, "ACCOUNT_UPDATE")
        assert [event["e"] for event in heard] == [
            "ORDER_TRADE_UPDATE",
            "TRADE_LITE",
            "ORDER_TRADE_UPDATE",
            "ACCOUNT_UPDATE",
        ]
        assert heard[2]["o"]["X"] == "FILLED"
        assert heard[3]["a"]["P"][0]["pa"] == "0.100"


async def test_streams_are_routed() -> None:
    async with running_venue() as server, python_binance(server) as client:
        manager = sockets(server, client)
        tick(server, 50_000.0)
        async with (
            manager.aggtrade_futures_socket("BTCUSDT") as trades,
            manager.symbol_mark_price_socket("BTCUSDT") as marks,
            manager.symbol_ticker_futures_socket("BTCUSDT") as book,
            manager.futures_multiplex_socket(["btcusdt@kline_1m"]) as klines,
        ):
            await asyncio.sleep(0.1)
            tick(server, 50_010.0)
            heard = [(await receive(socket))["data"] for socket in (trades, book, klines, marks)]
            assert [event["e"] for event in heard] == [
                "aggTrade",
                "bookTicker",
                "kline",
                "markPriceUpdate",
            ]
            assert float(heard[-1]["i"]) == 50_010.0


async def test_the_futures_websocket_api_places_orders() -> None:
    async with running_venue() as server, python_binance(server) as client:
        tick(server, 50_000.0)
        placed = await client.ws_futures_create_order(**ASK)
        assert placed["status"] == "NEW"
        status = await client.ws_futures_get_order(**BTC, orderId=placed["orderId"])
        assert status["price"] == "51000.00"
        await client.ws_futures_cancel_order(**BTC, orderId=placed["orderId"])
        balances = await client.ws_futures_v2_account_balance()
        assert balances[0]["asset"] == "USDT"
        await client.ws_future.close()  # close_connection forgets it


async def test_refusals_carry_the_futures_own_codes() -> None:
    async with running_venue() as server, python_binance(server) as client:
        tick(server, 50_000.0)
        for order, code in (
            (ASK | {"quantity": "1000"}, -2019),
            (ASK | {"price": "51000.05"}, -4014),
            (ASK | {"quantity": "0.0005"}, -1111),
            (ASK | {"quantity": "0.001", "price": "48000"}, -4164),
            (ASK | {"price": "40000"}, -4024),
            (ASK | {"positionSide": "LONG"}, -4061),
            (ASK | {"reduceOnly": "true"}, -2022),
            (ASK | {"price": "49000", "timeInForce": "GTX"}, -5022),
            (ASK | {"symbol": "NONE"}, -1121),
        ):
            with pytest.raises(BinanceAPIException) as refusal:
                await client.futures_create_order(**order)
            assert refusal.value.code == code, order
        assert futures_of(server).open_orders("main") == ()


PAIR = {"pair": "BTCUSDT"}
HOURS = {"interval": "1h"}
READS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("futures_ping", {}),
    ("futures_time", {}),
    ("futures_exchange_info", {}),
    ("futures_order_book", BTC),
    ("futures_rpi_depth", BTC),
    ("futures_recent_trades", BTC),
    ("futures_historical_trades", BTC),
    ("futures_aggregate_trades", BTC),
    ("futures_klines", BTC | HOURS),
    ("futures_mark_price_klines", BTC | HOURS),
    ("futures_index_price_klines", PAIR | HOURS),
    ("futures_premium_index_klines", BTC | HOURS),
    ("futures_continuous_klines", PAIR | HOURS | {"contractType": "PERPETUAL"}),
    ("futures_historical_klines", BTC | HOURS | {"start_str": "1 day ago UTC"}),
    ("futures_mark_price", {}),
    ("futures_funding_rate", {}),
    ("futures_v1_get_funding_info", {}),
    ("futures_top_longshort_account_ratio", BTC | {"period": "5m"}),
    ("futures_top_longshort_position_ratio", BTC | {"period": "5m"}),
    ("futures_global_longshort_ratio", BTC | {"period": "5m"}),
    ("futures_taker_longshort_ratio", BTC | {"period": "5m"}),
    ("futures_open_interest_hist", BTC | {"period": "5m"}),
    ("futures_ticker", {}),
    ("futures_symbol_ticker", {}),
    ("futures_orderbook_ticker", {}),
    ("futures_index_price_constituents", BTC),
    ("futures_open_interest", BTC),
    ("futures_index_info", {}),
    ("futures_liquidation_orders", {}),
    ("futures_api_trading_status", {}),
    ("futures_commission_rate", BTC),
    ("futures_adl_quantile_estimate", {}),
    ("futures_symbol_adl_risk", {}),
    ("futures_leverage_bracket", {}),
    ("futures_get_open_orders", {}),
    ("futures_get_all_orders", {}),
    ("futures_get_open_algo_orders", {}),
    ("futures_account_balance", {}),
    ("futures_account", {}),
    ("futures_account", {"version": 3}),
    ("futures_position_information", {}),
    ("futures_position_margin_history", BTC),
    ("futures_account_trades", {}),
    ("futures_income_history", {}),
    ("futures_get_position_mode", {}),
    ("futures_get_multi_assets_mode", {}),
    ("futures_account_config", {}),
    ("futures_symbol_config", {}),
    ("futures_stream_get_listen_key", {}),
)


async def test_every_question_that_python_binance_can_ask_is_answered() -> None:
    async with running_venue() as server, python_binance(server) as client:
        tick(server, 50_000.0)
        tick(server, 2_000.0, symbol="ETHUSDT")
        await client.futures_create_order(**BUY)
        for name, args in READS:
            assert await getattr(client, name)(**args) is not None, name


async def test_every_futures_stream_that_python_binance_knows_is_sent() -> None:
    async with running_venue() as server, python_binance(server) as client:
        manager = sockets(server, client)
        tick(server, 50_000.0)
        streams = {
            "depthUpdate": manager.futures_depth_socket("BTCUSDT"),
            "continuous_kline": manager.kline_futures_socket("BTCUSDT"),
            "24hrTicker": manager.individual_symbol_ticker_futures_socket("BTCUSDT"),
            "markPriceUpdate": manager.all_mark_price_socket(),
            "24hrMiniTicker": manager.futures_multiplex_socket(["btcusdt@miniTicker"]),
        }

        async def first(socket: Any) -> str:
            async with socket as opened:
                await asyncio.sleep(0.1)
                tick(server, 50_010.0)
                message = await receive(opened)
                data = message.get("data", message)
                return str((data[0] if isinstance(data, list) else data)["e"])

        heard = await asyncio.gather(*map(first, streams.values()))
        assert heard == list(streams)
