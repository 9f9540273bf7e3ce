"""Binance's own USD-M client, with its strict models, over everything that the exchange serves.

An answer passes when the client's model takes it without a complaint, has every documented field,
and has none that is not documented; exceptions are named where they are made.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from official_client import OfficialClient, official_client
from official_venue import SYMBOL, judged
from simulated_venue import tick

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHERE_IT_APPLIES = frozenset({"activatePrice", "priceRate", "modifyId", "M", "AP", "cr", "P", "S"})
# Served by the real venue, and absent from the client's models.
UNDOCUMENTED = frozenset(
    {"futuresType", "maxMoveOrderLimit", "permissionSets", "positionControlSide"}
)
MARKET_BUY = SYMBOL | {"side": "BUY", "type": "MARKET", "quantity": 0.1}
ASK = SYMBOL | {
    "side": "SELL",
    "type": "LIMIT",
    "time_in_force": "GTC",
    "quantity": 0.1,
    "price": 51000,
}
STOP = SYMBOL | {
    "algo_type": "CONDITIONAL",
    "side": "SELL",
    "type": "STOP_MARKET",
    "quantity": 0.1,
    "trigger_price": 49000,
    "reduce_only": "true",
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client() -> AsyncIterator[OfficialClient]:
    async with official_client("usdm", WHERE_IT_APPLIES | UNDOCUMENTED) as running:
        yield running


async def test_market_data_fits_the_official_models(client: OfficialClient) -> None:
    async with judged(client):
        rest = partial(client.fits, "rest")
        await rest("test_connectivity")
        await rest("check_server_time")
        each_filter = ("maxPrice", "minPrice", "tickSize", "maxQty", "minQty", "stepSize")
        few_filters = ("limit", "notional", "multiplierUp", "multiplierDown", "multiplierDecimal")
        info = await rest("exchange_information", "settlePlan", *each_filter, *few_filters)
        assert [each["symbol"] for each in info["symbols"]] == ["BTCUSDT", "ETHUSDT"]
        for name in ("order_book", "rpi_order_book"):
            assert len((await rest(name, **SYMBOL, limit=5))["bids"]) == 5
        for name in ("recent_trades_list", "old_trades_lookup", "compressed_aggregate_trades_list"):
            assert len(await rest(name, **SYMBOL)) == 1
        kline = {"interval": "1h", "limit": 1}
        for name, args in (
            ("kline_candlestick_data", SYMBOL),
            ("mark_price_kline_candlestick_data", SYMBOL),
            ("premium_index_kline_data", SYMBOL),
            ("index_price_kline_candlestick_data", {"pair": "BTCUSDT"}),
            (
                "continuous_contract_kline_candlestick_data",
                {"pair": "BTCUSDT", "contract_type": "PERPETUAL"},
            ),
        ):
            [row] = await rest(name, **args, **kline)
            assert len(row) == 12
        for name in (
            "mark_price",
            "ticker24hr_price_change_statistics",
            "symbol_price_ticker",
            "symbol_price_ticker_v2",
            "symbol_order_book_ticker",
        ):
            assert (await rest(name, **SYMBOL))["symbol"] == "BTCUSDT"
            assert len(await rest(name)) == 2
        await rest("get_funding_rate_history", **SYMBOL)
        assert len(await rest("get_funding_rate_info")) == 2
        assert float((await rest("open_interest", **SYMBOL))["openInterest"]) > 0
        for name in (
            "open_interest_statistics",
            "long_short_ratio",
            "top_trader_long_short_ratio_accounts",
            "top_trader_long_short_ratio_positions",
            "taker_buy_sell_volume",
        ):
            assert await rest(name, **SYMBOL, period="5m")
        assert await rest("basis", pair="BTCUSDT", contract_type="PERPETUAL", period="5m")
        await rest("query_index_price_constituents", **SYMBOL)
        await rest("query_insurance_fund_balance_snapshot", **SYMBOL)
        assert await rest("composite_index_symbol_information") == []
        assert (await rest("adl_risk", **SYMBOL))["adlRisk"] == "low"


@pytest.mark.parametrize("sends_body", [False, True], ids=["query", "body"])
async def test_trading_fits_the_official_models(client: OfficialClient, sends_body: bool) -> None:
    async with judged(client):
        rest = partial(client.fits, "rest", sends_body=sends_body)
        taken = await rest("new_order", **MARKET_BUY, new_order_resp_type="RESULT")
        assert (taken["status"], taken["executedQty"]) == ("FILLED", "0.100")
        resting = await rest("new_order", **ASK)
        one = SYMBOL | {"order_id": resting["orderId"]}
        await rest("query_order", **one)
        await rest("query_current_open_order", **one)
        assert len(await rest("current_all_open_orders")) == 1
        changed = {"side": "SELL", "quantity": 0.05, "price": 51500}
        assert (await rest("modify_order", **one, **changed))["origQty"] == "0.050"
        [change] = await rest("get_order_modify_history", **one)
        quantity = change["amendment"]["origQty"]
        assert (quantity["before"], quantity["after"]) == ("0.100", "0.050")
        assert (await rest("cancel_order", **one))["status"] == "CANCELED"
        batch = [
            {
                "symbol": "BTCUSDT",
                "side": "SELL",
                "type": "LIMIT",
                "timeInForce": "GTC",
                "quantity": quantity,
                "price": 51000.0,
            }
            for quantity in (0.01, 0.0005)
        ]
        either = ("code", "msg")
        several = await rest("place_multiple_orders", *either, *(ORDER_FIELDS), batch_orders=batch)
        assert (several[0]["status"], several[1]["code"]) == ("NEW", -1111)
        number = several[0]["orderId"]
        modified = [{"symbol": "BTCUSDT", "orderId": number, "side": "SELL"}]
        modified[0] |= {"quantity": 0.02, "price": 51500.0}
        assert (await rest("modify_multiple_orders", *either, batch_orders=modified))[0][
            "price"
        ] == "51500.00"
        await rest(
            "cancel_multiple_orders",
            *either,
            **SYMBOL,
            order_id_list=[number],
        )
        await rest("new_order", **ASK)
        await rest("auto_cancel_all_open_orders", **SYMBOL, countdown_time=0)
        assert (await rest("cancel_all_open_orders", **SYMBOL))["code"] == 200
        await rest("test_order", **ASK)
        assert len(await rest("all_orders", "cumBase", "pair", **SYMBOL)) == 4
        [trade] = await rest("account_trade_list", **SYMBOL)
        assert (trade["buyer"], trade["maker"]) == (True, False)
        await rest("get_income_history")
        assert await rest("users_force_orders") == []


ORDER_FIELDS = (
    "clientOrderId",
    "cumQty",
    "executedQty",
    "orderId",
    "origQty",
    "price",
    "reduceOnly",
    "side",
    "positionSide",
    "status",
    "stopPrice",
    "closePosition",
    "symbol",
    "timeInForce",
    "type",
    "origType",
    "updateTime",
    "workingType",
    "priceProtect",
    "priceMatch",
    "selfTradePreventionMode",
    "goodTillDate",
)
"""Of an order in a batch, which may be a refusal instead."""


@pytest.mark.parametrize("sends_body", [False, True], ids=["query", "body"])
async def test_conditional_orders_fit_the_official_models(
    client: OfficialClient, sends_body: bool
) -> None:
    async with judged(client) as server:
        rest = partial(client.fits, "rest", sends_body=sends_body)
        await rest("new_order", **MARKET_BUY)
        first = await rest("new_algo_order", "icebergQuantity", **STOP)
        await rest(
            "new_algo_order",
            "icebergQuantity",
            "callbackRate",
            **STOP | {"type": "TRAILING_STOP_MARKET", "trigger_price": None, "callback_rate": 1.5},
        )
        queried = ("icebergQuantity", "tpTriggerPrice", "tpPrice", "slTriggerPrice", "slPrice")
        more = ("actualType", "actualQty", "callbackRate")
        await rest("query_algo_order", *queried, algo_id=first["algoId"])
        open_orders = await rest("current_all_algo_open_orders", *queried, *more)
        assert [each["orderType"] for each in open_orders] == [
            "STOP_MARKET",
            "TRAILING_STOP_MARKET",
        ]
        tick(server, 48_900.0)
        [done, gone] = await rest("query_all_algo_orders", *queried, *more, **SYMBOL)
        assert done["algoStatus"] == "FINISHED"
        assert gone["algoStatus"] in ("NEW", "REJECTED", "FINISHED")
        waiting = await rest("new_algo_order", "icebergQuantity", **STOP | {"trigger_price": 40000})
        cancelled = await rest("cancel_algo_order", algo_id=waiting["algoId"])
        assert cancelled["code"] == "200"
        await rest("cancel_all_algo_open_orders", **SYMBOL)


async def test_accounts_and_settings_fit_the_official_models(client: OfficialClient) -> None:
    async with judged(client):
        rest = partial(client.fits, "rest")
        await rest("change_margin_type", **SYMBOL, margin_type="ISOLATED")
        assert (await rest("change_initial_leverage", **SYMBOL, leverage=10))["leverage"] == 10
        await rest("new_order", **MARKET_BUY)
        moved = await rest("modify_isolated_position_margin", **SYMBOL, amount=100, type="1")
        assert (moved["amount"], moved["type"]) == (100, 1)
        [change] = await rest("get_position_margin_change_history", **SYMBOL)
        assert change["deltaType"] == "USER_ADJUST"
        # Documented for the WebSocket API's twin of this request alone.
        account = await rest("account_information_v2", "breakEvenPrice")
        assert [each["symbol"] for each in account["positions"]] == ["BTCUSDT", "ETHUSDT"]
        account = await rest("account_information_v3")
        [position] = account["positions"]
        assert float(position["isolatedWallet"]) == pytest.approx(600, abs=1)
        for name in ("futures_account_balance_v2", "futures_account_balance_v3"):
            assert (await rest(name))[0]["asset"] == "USDT"
        assert len(await rest("position_information_v2")) == 2
        [held] = await rest("position_information_v3")
        assert 44_000 < float(held["liquidationPrice"]) < 45_000
        await rest("position_adl_quantile_estimation", "HEDGE", "BOTH")
        await rest("futures_account_configuration")
        [settings] = await rest("symbol_configuration", **SYMBOL)
        assert (settings["marginType"], settings["leverage"]) == ("ISOLATED", 10)
        await rest("notional_and_leverage_brackets", **SYMBOL)
        await rest("user_commission_rate", **SYMBOL)
        await rest("query_user_rate_limit")
        indicators = ("BTCUSDT", "ETHUSDT", "ACCOUNT")
        await rest("futures_trading_quantitative_rules_indicators", *indicators)
        assert not (await rest("get_bnb_burn_status"))["feeBurn"]
        assert not (await rest("get_current_multi_assets_mode"))["multiAssetsMargin"]
        assert not (await rest("get_current_position_mode"))["dualSidePosition"]
        await rest("new_order", **MARKET_BUY | {"side": "SELL"}, reduce_only="true")
        await rest("change_margin_type", **SYMBOL, margin_type="CROSSED")
        await rest("change_position_mode", dual_side_position="true")
        await rest("change_multi_assets_mode", multi_assets_margin="true")
        await rest("new_order", **MARKET_BUY, position_side="LONG")
        key = await rest("start_user_data_stream")
        assert await rest("keepalive_user_data_stream") == key
        await rest("close_user_data_stream")


@pytest.mark.parametrize(
    ("name", "args", "error", "code"),
    [
        ("new_order", ASK | {"symbol": "NONE"}, "BadRequestError", -1121),
        ("new_order", ASK | {"quantity": 900}, "BadRequestError", -2019),
        ("cancel_order", SYMBOL | {"order_id": 99}, "BadRequestError", -2011),
        ("query_order", SYMBOL | {"order_id": 99}, "BadRequestError", -2013),
        ("new_algo_order", STOP | {"trigger_price": 50500}, "BadRequestError", -2021),
        ("order_book", SYMBOL | {"limit": 7}, "BadRequestError", -4021),
        ("change_initial_leverage", SYMBOL | {"leverage": 126}, "BadRequestError", -4028),
        ("keepalive_user_data_stream", {}, "BadRequestError", -1125),
    ],
)
async def test_refusals_become_the_official_clients_errors(
    client: OfficialClient, name: str, args: dict[str, Any], error: str, code: int
) -> None:
    async with judged(client):
        verdict = await client.ask("rest", name, **args)
        assert verdict.error is not None
        assert (verdict.error["type"], verdict.error["code"]) == (error, code)


async def test_the_websocket_api_fits_the_official_models(client: OfficialClient) -> None:
    async with judged(client):
        ws = partial(client.fits, "ws_api")
        await ws("order_book", "bids", "asks", **SYMBOL)  # outside the result, in the model
        for name in ("symbol_price_ticker", "symbol_order_book_ticker"):
            await ws(name, "lastUpdateId", **SYMBOL)
        placed = await ws("new_order", **ASK)
        one = SYMBOL | {"order_id": placed["orderId"]}
        await ws("query_order", **one)
        changed = {"side": "SELL", "quantity": 0.05, "price": 51500}
        await ws("modify_order", "pair", **one, **changed)
        await ws("cancel_order", **one)
        await ws("new_order", **MARKET_BUY)
        algo = await ws("new_algo_order", "icebergQuantity", "callbackRate", **STOP)
        await ws("cancel_algo_order", algo_id=algo["algoId"])
        for name in (
            "account_information",
            "account_information_v2",
            "futures_account_balance",
            "futures_account_balance_v2",
            "position_information",
            "position_information_v2",
        ):
            await ws(name, "marginAvailable", "breakEvenPrice")
        for name in ("start", "keepalive", "close"):
            await ws(f"{name}_user_data_stream")


async def test_market_streams_fit_the_official_models(client: OfficialClient) -> None:
    symbol = {"symbol": "btcusdt"}
    async with judged(client) as server:

        async def trade() -> None:
            for step in itertools.count():
                tick(server, 50_000.0 + step % 50 * 20)
                await asyncio.sleep(0.02)

        market = server.start_task(trade())
        # The client tells the symbol by "ps" and "st" only after the merger of the futures markets.
        await client.fits(
            "streams",
            "all",
            *("a", "b"),
            aggregate_trade_streams=symbol,
            mark_price_stream=symbol | {"update_speed": "1s"},
            mark_price_stream_for_all_market={"update_speed": "1s"},
            kline_candlestick_streams=symbol | {"interval": "1m"},
            continuous_contract_kline_candlestick_streams={
                "pair": "btcusdt",
                "contract_type": "perpetual",
                "interval": "1m",
            },
            individual_symbol_mini_ticker_stream=symbol,
            all_market_mini_tickers_stream={},
            individual_symbol_ticker_streams=symbol,
            all_market_tickers_streams={},
            individual_symbol_book_ticker_streams=symbol,
            partial_book_depth_streams=symbol | {"levels": 5, "update_speed": "100ms"},
            diff_book_depth_streams=symbol | {"update_speed": "100ms"},
        )
        market.cancel()


async def test_user_data_fit_the_official_models(client: OfficialClient) -> None:
    """Kinds and order of the events: each answer's own, then what its fills changed."""
    async with judged(client):
        calls = [
            {"call": "change_initial_leverage"} | SYMBOL | {"leverage": 50},
            {"call": "new_order"} | MARKET_BUY,
            {"call": "new_algo_order"} | STOP,
            {"call": "cancel_all_algo_open_orders"} | SYMBOL,
        ]
        exceptions = ("e", "ai", "cp")
        events = await client.fits("listen_key_data", "", *exceptions, calls=calls, count=7)
        config, placed, lite, filled, account, waiting, cancelled = events
        assert config["ac"] == {"s": "BTCUSDT", "l": 50}
        assert (placed["o"]["x"], filled["o"]["x"]) == ("NEW", "TRADE")
        assert lite["t"] == filled["o"]["t"]
        assert account["a"]["P"][0]["pa"] == "0.100"
        assert [event["o"]["X"] for event in (waiting, cancelled)] == ["NEW", "CANCELED"]
