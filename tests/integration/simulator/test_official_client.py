"""Binance's own client, with its strict models, over all of spot's REST that the exchange serves.

An answer passes when the client's model takes it without a complaint, has every documented field,
and has none that is not documented; fields that the documents send "only where they apply" may be
there or not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from Crypto.PublicKey import ECC
from official_client import OfficialClient, official_client
from official_venue import (
    BALANCES,
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

from trading.simulator.server.spot import order_wire

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client() -> AsyncIterator[OfficialClient]:
    async with official_client("spot", SENT_WHERE_IT_APPLIES) as running:
        yield running


async def test_market_data_fits_the_official_models(client: OfficialClient) -> None:
    async with judged(client):
        rest = partial(client.fits, "rest")
        await rest("ping")
        await rest("time")
        exponents = ("qtyExponent", "priceExponent", "multiplierExponent")
        info = await rest("exchange_info", "sors", "count", *exponents)
        assert [pair["symbol"] for pair in info["symbols"]] == ["BTCUSDT", "ETHUSDT"]
        await rest("exchange_info", "sors", "count", *exponents, symbols=["BTCUSDT"])
        assert len((await rest("depth", **SYMBOL, limit=5))["bids"]) == 5
        for name in ("get_trades", "historical_trades", "agg_trades"):
            assert len(await rest(name, **SYMBOL)) == 1
        assert await rest("historical_block_trades", **SYMBOL, from_id=1) == []
        for interval in ("1s", "1m", "3d", "1w", "1M"):
            rows = await rest("klines", **SYMBOL, interval=interval)
            assert {len(row) for row in rows} == {12}
        rows = await rest("ui_klines", **SYMBOL, interval="1d", time_zone="+05:45")
        assert (rows[-1][0] + (5 * 60 + 45) * 60_000) % 86_400_000 == 0
        await rest("avg_price", **SYMBOL)
        for name in ("ticker_price", "ticker_book_ticker", "ticker24hr"):
            assert (await rest(name, **SYMBOL))["symbol"] == "BTCUSDT"
            assert len(await rest(name)) == 2
        for name in ("ticker", "ticker_trading_day"):
            assert (await rest(name, **SYMBOL))["symbol"] == "BTCUSDT"
            assert len(await rest(name, symbols=["BTCUSDT", "ETHUSDT"])) == 2
        assert await rest("execution_rules", **SYMBOL) == {"symbolRules": []}


@pytest.mark.parametrize("sends_body", [False, True], ids=["query", "body"])
async def test_trading_fits_the_official_models(client: OfficialClient, sends_body: bool) -> None:
    async with judged(client) as server:
        rest = partial(client.fits, "rest", sends_body=sends_body)
        bought = await rest("new_order", **SYMBOL, side="BUY", type="MARKET", quantity="0.1")
        assert (bought["status"], len(bought["fills"]) > 0) == ("FILLED", True)
        resting = await rest("new_order", **LIMIT, iceberg_qty="0.005", strategy_id=7)
        assert resting["icebergQty"] == "0.00500000"
        await rest("get_order", **SYMBOL, order_id=resting["orderId"])
        assert len(await rest("get_open_orders", **SYMBOL)) == 1
        amended = await rest(
            "order_amend_keep_priority",
            "listStatus",
            **SYMBOL,
            order_id=resting["orderId"],
            new_qty="0.008",
        )
        assert amended["amendedOrder"]["qty"] == "0.00800000"
        rows = await rest("order_amendments", **SYMBOL, order_id=resting["orderId"])
        assert (rows[0]["origQty"], rows[0]["newQty"]) == ("0.01000000", "0.00800000")
        replaced = await rest(
            "order_cancel_replace",
            "fills",
            **LIMIT,
            cancel_replace_mode="STOP_ON_FAILURE",
            cancel_order_id=resting["orderId"],
        )
        assert (replaced["cancelResult"], replaced["newOrderResult"]) == ("SUCCESS", "SUCCESS")
        await rest("delete_order", **SYMBOL, order_id=replaced["newOrderResponse"]["orderId"])
        trailing = await rest(
            "new_order",
            "fills",
            **SYMBOL,
            side="SELL",
            type="STOP_LOSS",
            quantity="0.01",
            trailing_delta=500,
            new_order_resp_type="RESULT",
        )
        assert (trailing["trailingDelta"], trailing["workingTime"]) == (500, -1)
        await rest("delete_open_orders", **SYMBOL)
        assert len(await rest("all_orders", **SYMBOL)) == 4
        assert (await rest("my_trades", **SYMBOL))[0]["isBuyer"]
        fees = await rest("order_test", **LIMIT, compute_commission_rates=True)
        assert fees["standardCommissionForOrder"]["maker"] == "0.00100000"
        account = await rest("get_account", omit_zero_balances=True)
        assert {row["asset"] for row in account["balances"]} == set(BALANCES)
        await rest("account_commission", **SYMBOL)
        counts = await rest("rate_limit_order")
        assert [row["count"] for row in counts] == [3, 3]
        exponents = ("qtyExponent", "priceExponent", "multiplierExponent")
        await rest("my_filters", "rateLimits", *exponents, **SYMBOL)
        assert await rest("my_allocations", **SYMBOL) == []
        await rest("new_order", **LIMIT | {"price": "50000", "side": "SELL"})
        taker = await rest(
            "new_order", **LIMIT | {"price": "50000"}, self_trade_prevention_mode="EXPIRE_BOTH"
        )
        assert taker["status"] == "EXPIRED_IN_MATCH"
        prevented = await rest(
            "my_prevented_matches",
            "takerPreventedQuantity",
            **SYMBOL,
            order_id=taker["orderId"],
        )
        assert prevented[0]["selfTradePreventionMode"] == "EXPIRE_BOTH"
        assert len(server.received_orders) == 6


@pytest.mark.parametrize("sends_body", [False, True], ids=["query", "body"])
async def test_order_lists_fit_the_official_models(
    client: OfficialClient, sends_body: bool
) -> None:
    above = {"above_type": "LIMIT_MAKER", "above_price": "55000"}
    below = {"below_type": "STOP_LOSS_LIMIT", "below_stop_price": "45000", "below_price": "44900"}
    oco = SYMBOL | {"side": "SELL", "quantity": "0.01"} | above | below
    oco |= {"below_time_in_force": "GTC"}
    async with judged(client):
        rest = partial(client.fits, "rest", sends_body=sends_body)
        placed = await rest("order_list_oco", **oco)
        assert [order["type"] for order in placed["orderReports"]] == [
            "LIMIT_MAKER",
            "STOP_LOSS_LIMIT",
        ]
        assert (await rest("get_order_list", order_list_id=placed["orderListId"]))["orders"]
        assert len(await rest("open_order_list")) == 1
        done = await rest(
            "delete_order_list",
            "selfTradePreventionMode",  # in the documents' example, not in the client's model
            **SYMBOL,
            order_list_id=placed["orderListId"],
        )
        assert (done["listStatusType"], done["listOrderStatus"]) == ("ALL_DONE", "ALL_DONE")
        old = await rest("order_oco", **OLD_OCO)
        assert [order["type"] for order in old["orderReports"]] == ["LIMIT_MAKER", "STOP_LOSS"]
        oto = await rest("order_list_oto", **SYMBOL, **WORKING, **THEN_STOP, **OF_QUANTITY)
        assert [order["status"] for order in oto["orderReports"]] == ["NEW", "PENDING_NEW"]
        otoco = await rest("order_list_otoco", **SYMBOL, **WORKING, **THEN_PAIR, **OF_QUANTITY)
        assert len(otoco["orders"]) == 3
        opo = await rest("order_list_opo", **SYMBOL, **WORKING, **THEN_STOP)
        assert [order["status"] for order in opo["orderReports"]] == ["NEW", "PENDING_NEW"]
        opoco = await rest("order_list_opoco", **SYMBOL, **WORKING, **THEN_PAIR)
        assert len(opoco["orders"]) == 3
        assert len(await rest("all_order_list")) == 6


async def test_routed_orders_fit_the_official_models(client: OfficialClient) -> None:
    async with judged(client):
        placed = await client.fits("rest", "sor_order", **LIMIT)
        assert (placed["workingFloor"], placed["usedSor"], placed["status"]) == (
            "EXCHANGE",
            True,
            "NEW",
        )
        asked = LIMIT | {"compute_commission_rates": True}
        # What order/test says, too, and not in the client's model.
        await client.fits("rest", "sor_order_test", "specialCommissionForOrder", **asked)
        stop = LIMIT | {"type": "STOP_LOSS_LIMIT", "stop_price": "60000"}
        verdict = await client.ask("rest", "sor_order_test", **stop)
        assert verdict.error is not None


@pytest.mark.parametrize(
    ("name", "args", "error", "code"),
    [
        ("new_order", LIMIT | {"symbol": "NONE"}, "BadRequestError", -1121),
        ("new_order", LIMIT | {"quantity": "0.000001"}, "BadRequestError", -1013),
        ("delete_order", SYMBOL | {"order_id": 99}, "BadRequestError", -2011),
        ("get_order", SYMBOL | {"order_id": 99}, "BadRequestError", -2013),
        ("reference_price", SYMBOL, "BadRequestError", -2043),
        (
            "order_cancel_replace",
            LIMIT | {"cancel_replace_mode": "STOP_ON_FAILURE", "cancel_order_id": 99},
            "BadRequestError",
            -2022,
        ),
    ],
)
async def test_refusals_become_the_official_clients_errors(
    client: OfficialClient, name: str, args: dict[str, Any], error: str, code: int
) -> None:
    async with judged(client):
        verdict = await client.ask("rest", name, **args)
        assert verdict.error is not None
        assert (verdict.error["type"], verdict.error["code"]) == (error, code)


async def test_times_are_sent_in_microseconds_on_request(client: OfficialClient) -> None:
    async with judged(client, time_unit="MICROSECOND"):
        now = (await client.fits("rest", "time"))["serverTime"]
        placed = await client.fits("rest", "new_order", **LIMIT)
        row = (await client.fits("rest", "klines", **SYMBOL, interval="1m"))[-1]
        assert now > 10**15
        assert placed["transactTime"] > 10**15
        assert (row[6] - row[0]) == 60_000_000 - 1


async def test_an_ed25519_key_signs_requests_and_logs_a_session_on(client: OfficialClient) -> None:
    key = ECC.generate(curve="ed25519")
    account = {"public_key": key.public_key().export_key(format="PEM")}
    private_key = key.export_key(format="PEM")
    async with judged(client, account, private_key=private_key, api_secret=""):
        assert (await client.fits("rest", "new_order", **LIMIT))["status"] == "NEW"
        session = await client.fits("ws_api", "session_logon", "returnRateLimits")
        assert session["apiKey"]
        assert len(await client.fits("ws_api", "open_orders_status", **SYMBOL)) == 1
        subscription = await client.fits("ws_api", "user_data_stream_subscribe")
        assert subscription["subscriptionId"] == 0
    async with judged(client, account):
        verdict = await client.ask("rest", "new_order", **LIMIT)
        assert verdict.error is not None
        assert verdict.error["code"] == -1022


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: answer | {"orderId": str(answer["orderId"])},
        lambda answer: {name: answer[name] for name in answer if name != "side"},
        lambda answer: answer | {"invented": 1},
    ],
    ids=["wrong type", "missing field", "unknown field"],
)
async def test_an_answer_that_differs_from_the_documents_is_found_out(
    client: OfficialClient, spoil: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = order_wire.full
    monkeypatch.setattr(order_wire, "full", lambda order, time_ms: spoil(good(order, time_ms)))
    async with judged(client):
        with pytest.raises(AssertionError):
            await client.fits("rest", "new_order", **LIMIT)
