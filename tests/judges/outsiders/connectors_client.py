"""Binance's older official connectors, binance-connector and binance-futures-connector."""

from __future__ import annotations

import json
import time
from typing import Any

from binance.spot import Spot
from binance.um_futures import UMFutures
from binance.websocket.spot.websocket_api import SpotWebsocketAPIClient
from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient
from binance.websocket.um_futures.websocket_client import UMFuturesWebsocketClient
from calls import call, heard, ready, same

READY = ready()
KEY, SECRET = READY["api_key"], READY["api_secret"]
BTC = "BTCUSDT"
LISTEN_S = 4.0


def spot() -> None:
    client = Spot(api_key=KEY, api_secret=SECRET, base_url=READY["rest_url"])
    one, bars = {"symbol": BTC}, {"symbol": BTC, "interval": "1m"}
    for name, args in {
        **same({}, "ping", "time", "exchange_info", "ticker_price", "book_ticker"),
        **same(one, "depth", "trades", "historical_trades", "agg_trades", "avg_price"),
        **same(bars, "klines", "ui_klines"),
        **same(one, "trading_day_ticker", "rolling_window_ticker"),
        "ticker_24hr": {"symbols": [BTC, "ETHUSDT"]},
        **same({}, "account", "get_open_orders", "get_oco_orders"),
        **same({}, "get_oco_open_orders", "get_order_rate_limit"),
        **same(one, "my_trades", "get_orders", "query_allocations"),
        "query_prevented_matches": {"symbol": BTC, "orderId": 1},
        **same({}, "system_status", "coin_info", "account_status"),
        **same({}, "api_trading_status", "trade_fee"),
    }.items():
        call(f"spot {name}", lambda: getattr(client, name)(**args))  # noqa: B023 - called at once
    last = float(client.ticker_price(BTC)["price"])
    low, high = str(round(last * 0.9, 2)), str(round(last * 1.1, 2))
    bid = {"symbol": BTC, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    bid |= {"quantity": 0.002, "price": low}
    call("spot new_order_test", lambda: client.new_order_test(**bid))
    order = call("spot new_order", lambda: client.new_order(**bid))
    call("spot get_order", lambda: client.get_order(BTC, orderId=order["orderId"]))
    replace = bid | {"cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": order["orderId"]}
    call("spot cancel_and_replace", lambda: client.cancel_and_replace(**replace))
    above = {"aboveType": "STOP_LOSS_LIMIT", "abovePrice": high, "aboveStopPrice": high}
    below = {"aboveTimeInForce": "GTC", "belowType": "LIMIT_MAKER", "belowPrice": low}
    pair = {"symbol": BTC, "side": "BUY", "quantity": 0.002} | above | below
    call("spot new_oco_order", lambda: client.new_oco_order(**pair))
    call("spot cancel_open_orders", lambda: client.cancel_open_orders(BTC))
    call("spot nothing to cancel", lambda: client.cancel_open_orders(BTC), "-2011")


def spot_sockets() -> None:
    events: list[Any] = []

    def note(_client: Any, text: str) -> None:
        events.append(json.loads(text))

    client = SpotWebsocketStreamClient(stream_url=READY["ws_url"], on_message=note)
    client.agg_trade(symbol=BTC)
    client.kline(symbol=BTC, interval="1m")
    client.ticker(symbol=BTC)
    time.sleep(LISTEN_S)
    client.stop()
    heard("spot streams", {"aggTrade", "kline", "24hrTicker"}, _kinds(events))
    answers: list[Any] = []
    api = SpotWebsocketAPIClient(
        stream_url=READY["ws_api_url"],
        api_key=KEY,
        api_secret=SECRET,
        on_message=lambda _client, text: answers.append(json.loads(text)),
    )
    for name in ("server_time", "exchange_info", "ticker_price", "account", "order_rate_limit"):
        getattr(api, name)()
    for name in ("order_book", "recent_trades", "avg_price", "my_trades", "order_history"):
        getattr(api, name)(symbol=BTC)
    time.sleep(LISTEN_S)
    api.stop()
    good = {str(number) for number, each in enumerate(answers) if each["status"] == 200}
    heard("spot WebSocket API", {str(number) for number in range(10)}, good)


def futures() -> None:
    client = UMFutures(key=KEY, secret=SECRET, base_url=READY["futures_rest_url"])
    one, span = {"symbol": BTC}, {"symbol": BTC, "period": "5m"}
    bars = {"symbol": BTC, "interval": "1m"}
    for name, args in {
        **same({}, "ping", "time", "exchange_info", "mark_price", "funding_info"),
        **same(one, "depth", "trades", "historical_trades", "agg_trades"),
        **same(bars, "klines", "mark_price_klines"),
        "continuous_klines": {"pair": BTC, "contractType": "PERPETUAL", "interval": "1m"},
        "index_price_klines": {"pair": BTC, "interval": "1m"},
        **same({}, "ticker_24hr_price_change", "ticker_price", "book_ticker"),
        **same(one, "funding_rate", "open_interest", "index_price_constituents"),
        **same(span, "open_interest_hist", "top_long_short_position_ratio"),
        **same(span, "long_short_account_ratio", "taker_long_short_ratio"),
        **same({}, "get_position_mode", "get_multi_asset_mode", "get_orders"),
        **same({}, "balance", "account", "get_position_risk", "adl_quantile"),
        **same({}, "get_income_history", "leverage_brackets", "force_orders"),
        **same(one, "get_all_orders", "get_account_trades", "commission_rate"),
        "countdown_cancel_order": {"symbol": BTC, "countdownTime": 100_000},
        "change_leverage": {"symbol": BTC, "leverage": 11},
    }.items():
        call(f"futures {name}", lambda: getattr(client, name)(**args))  # noqa: B023
    last = float(client.ticker_price(BTC)["price"])
    bid = {"symbol": BTC, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    bid |= {"quantity": 0.01, "price": round(last * 0.96, 1)}
    order = call("futures new_order", lambda: client.new_order(**bid))
    call("futures query", lambda: client.query_order(BTC, orderId=order["orderId"]))
    call("futures cancel", lambda: client.cancel_order(BTC, orderId=order["orderId"]))
    key = client.new_listen_key()["listenKey"]
    call("futures renew_listen_key", lambda: client.renew_listen_key(key))
    call("futures close_listen_key", lambda: client.close_listen_key(key))
    for route, expected in (
        ("/market", {"aggTrade", "markPriceUpdate", "kline"}),
        ("/public", {"bookTicker", "depthUpdate"}),
        ("", {"bookTicker", "depthUpdate"}),
    ):
        events: list[Any] = []
        socket = UMFuturesWebsocketClient(
            stream_url=READY["futures_ws_url"] + route,
            on_message=lambda _client, text, events=events: events.append(json.loads(text)),
        )
        socket.agg_trade(symbol=BTC)
        socket.mark_price(symbol=BTC, speed=1)
        socket.kline(symbol=BTC, interval="1m")
        socket.book_ticker(symbol=BTC)
        socket.diff_book_depth(symbol=BTC, speed=100)
        time.sleep(LISTEN_S)
        socket.stop()
        heard(f"futures streams on {route or 'no route'}", expected, _kinds(events))


def _kinds(events: list[Any]) -> set[str]:
    return {str(event.get("e")) for event in events if isinstance(event, dict)}


spot()
spot_sockets()
futures()
