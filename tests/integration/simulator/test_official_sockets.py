"""Binance's own client, with its strict models, over spot's WebSocket API, streams and events."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio
from official_client import OfficialClient, official_client
from official_venue import (
    LIMIT,
    OF_QUANTITY,
    OLD_OCO,
    SENT_WHERE_IT_APPLIES,
    SYMBOL,
    THEN_PAIR,
    THEN_STOP,
    WORKING,
    judged,
)
from simulated_venue import tick

pytestmark = pytest.mark.asyncio(loop_scope="module")

ONLY_OF_LISTS = (
    "contingencyType",
    "listStatusType",
    "listOrderStatus",
    "listClientOrderId",
    "transactionTime",
    "orders",
    "orderReports",
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client() -> AsyncIterator[OfficialClient]:
    async with official_client("spot", SENT_WHERE_IT_APPLIES) as running:
        yield running


async def test_the_websocket_api_fits_the_official_models(client: OfficialClient) -> None:
    async with judged(client):
        ws = partial(client.fits, "ws_api")
        await ws("time")
        await ws("depth", **SYMBOL)
        for name in ("trades_recent", "trades_aggregate"):
            assert len(await ws(name, **SYMBOL)) == 1
        await ws("klines", **SYMBOL, interval="1m")
        await ws("avg_price", **SYMBOL)
        for name in ("ticker_price", "ticker_book", "ticker24hr", "ticker"):
            await ws(name, **SYMBOL)
        placed = await ws("order_place", **LIMIT)
        await ws("order_status", **SYMBOL, order_id=placed["orderId"])
        assert len(await ws("open_orders_status", **SYMBOL)) == 1
        await ws("order_cancel", *ONLY_OF_LISTS, **SYMBOL, order_id=placed["orderId"])
        assert len(await ws("all_orders", **SYMBOL)) == 1
        assert await ws("session_subscriptions") == []
        oco = SYMBOL | {"side": "SELL", "quantity": "0.01", "above_type": "LIMIT_MAKER"}
        oco |= {"above_price": "55000", "below_type": "STOP_LOSS", "below_stop_price": "45000"}
        placed = await ws("order_list_place_oco", **oco)
        assert len(await ws("open_order_lists_status")) == 1
        await ws("order_list_cancel", **SYMBOL, order_list_id=placed["orderListId"])
        await ws("account_status")
        await ws("account_commission", **SYMBOL)
        await ws("account_rate_limits_orders")
        assert await ws("my_trades", **SYMBOL) == []


async def test_every_other_method_of_the_websocket_api_fits_too(client: OfficialClient) -> None:
    async with judged(client):
        ws = partial(client.fits, "ws_api")
        # Not exchange_info and my_filters: there the client parses the envelope, not the result.
        await ws("ping")
        await ws("execution_rules", **SYMBOL)
        await ws("trades_historical", **SYMBOL, from_id=1)
        await ws("ui_klines", **SYMBOL, interval="1h")
        await ws("ticker_trading_day", **SYMBOL)
        await ws("order_test", **LIMIT, compute_commission_rates=True)
        placed = await ws("order_place", **LIMIT)
        amended = await ws(
            "order_amend_keep_priority",
            "listStatus",
            **SYMBOL,
            order_id=placed["orderId"],
            new_qty="0.009",
        )
        assert amended["amendedOrder"]["qty"] == "0.00900000"
        assert len(await ws("order_amendments", **SYMBOL, order_id=placed["orderId"])) == 1
        replaced = await ws(
            "order_cancel_replace",
            "fills",
            **LIMIT,
            cancel_replace_mode="STOP_ON_FAILURE",
            cancel_order_id=placed["orderId"],
        )
        assert replaced["cancelResult"] == "SUCCESS"
        oto = await ws("order_list_place_oto", **SYMBOL, **WORKING, **THEN_STOP, **OF_QUANTITY)
        await ws("order_list_status", order_list_id=oto["orderListId"])
        await ws("order_list_place_otoco", **SYMBOL, **WORKING, **THEN_PAIR, **OF_QUANTITY)
        await ws("order_list_place", **OLD_OCO)
        lists = await ws("all_order_lists")
        assert len(lists) == 3
        for each in lists:
            await ws("order_list_cancel", **SYMBOL, order_list_id=each["orderListId"])
        assert len(await ws("open_orders_cancel_all", *ONLY_OF_LISTS, **SYMBOL)) == 1
        assert await ws("my_allocations", **SYMBOL) == []
        assert await ws("my_prevented_matches", **SYMBOL, order_id=1) == []
        await ws("session_status", "apiKey", "authorizedSince")


async def test_market_streams_fit_the_official_models(client: OfficialClient) -> None:
    symbol = {"symbol": "btcusdt"}
    async with judged(client) as server:

        async def trade() -> None:
            for step in itertools.count():
                tick(server, 50_000.0 + step % 50)
                await asyncio.sleep(0.02)

        market = server.start_task(trade())
        await client.fits(
            "streams",
            "all",
            agg_trade=symbol,
            trade=symbol,
            book_ticker=symbol,
            kline=symbol | {"interval": "1m"},
            kline_offset=symbol | {"interval": "1d"},
            mini_ticker=symbol,
            ticker=symbol,
            rolling_window_ticker=symbol | {"window_size": "1h"},
            avg_price=symbol,
            partial_book_depth=symbol | {"levels": "5", "update_speed": "100ms"},
            diff_book_depth=symbol | {"update_speed": "100ms"},
            all_mini_ticker={},
            all_market_rolling_window_ticker={"window_size": "1d"},
        )
        market.cancel()


async def test_user_events_fit_the_official_models(client: OfficialClient) -> None:
    only_sometimes = set("dDjJvABuUbakWN") | {"Cs", "pl", "pL", "pY", "uS", "eR"}
    only_sometimes |= {"gP", "gOT", "gOV", "gp"}
    orders = [
        {"call": "new_order"} | LIMIT,
        {"call": "new_order"} | SYMBOL | {"side": "SELL", "type": "MARKET", "quantity": "0.01"},
        {"call": "order_list_oco", "side": "SELL", "quantity": "0.01", "above_type": "LIMIT_MAKER"}
        | SYMBOL
        | {"above_price": "55000", "below_type": "STOP_LOSS", "below_stop_price": "45000"},
        {"call": "delete_open_orders"} | SYMBOL,
    ]
    async with judged(client):
        exceptions = (*only_sometimes, "e")
        events = await client.fits("user_data", "user_data", *exceptions, orders=orders, count=18)
        kinds = {event.get("x", event.get("l")) for event in events if "x" in event or "l" in event}
        assert {"NEW", "TRADE", "CANCELED", "EXEC_STARTED", "ALL_DONE"} <= kinds
        assert any("B" in event and "u" in event for event in events)
