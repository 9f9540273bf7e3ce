"""ccxt, synchronous and over its WebSockets: spot and USD-M futures, as its users call it."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import ccxt.pro
from calls import acall, call, moved, ready

READY = ready()
SPOT, SWAP = "BTC/USDT", "BTC/USDT:USDT"
ACCOUNT = {"apiKey": READY["api_key"], "secret": READY["api_secret"], "enableRateLimit": False}
LINEAR = {"options": {"fetchMarkets": {"types": ["linear"]}}}
ONLY_SPOT = {"options": {"fetchMarkets": {"types": ["spot"]}}}


def pointed(exchange: Any) -> Any:
    """At the server instead of Binance."""
    rest, futures = READY["rest_url"], READY["futures_rest_url"]
    urls = exchange.urls["api"]
    for name, url in list(urls.items()):
        if isinstance(url, str):
            urls[name] = moved(url, futures if "fapi" in name or "/futures/" in url else rest)
    sockets = urls.get("ws")
    if sockets:
        sockets |= {"spot": f"{READY['ws_url']}/ws", "linear": f"{READY['futures_ws_url']}/ws"}
        sockets["ws-api"] |= {
            "spot": READY["ws_api_url"],
            "linear": READY["futures_ws_api_url"],
        }
    return exchange


def spot() -> None:
    client = pointed(ccxt.binance({**ACCOUNT, **ONLY_SPOT}))
    call("spot load_markets", client.load_markets)
    for name in (
        *("fetch_time", "fetch_status", "fetch_currencies", "fetch_balance", "fetch_tickers"),
        *("fetch_bids_asks", "fetch_last_prices", "fetch_trading_fees"),
    ):
        call(f"spot {name}", getattr(client, name))
    for name in (
        *("fetch_ticker", "fetch_order_book", "fetch_trades", "fetch_ohlcv", "fetch_orders"),
        *("fetch_my_trades", "fetch_open_orders", "fetch_closed_orders", "fetch_trading_fee"),
    ):
        call(f"spot {name}", lambda: getattr(client, name)(SPOT))  # noqa: B023 - called at once
    for frame in client.timeframes:
        call(f"spot {frame} bars", lambda: client.fetch_ohlcv(SPOT, frame, limit=3))  # noqa: B023
    last = client.fetch_ticker(SPOT)["last"]

    def place(name: str, kind: str, side: str, share: float = 0.0, **more: Any) -> Any:
        refusal = more.pop("refusal", "")
        price = round(last * share, 2) if share else None
        act = lambda: client.create_order(SPOT, kind, side, 0.002, price, more)  # noqa: E731
        return call(f"spot {name}", act, refusal)

    order = place("limit", "limit", "buy", 0.9)
    changed = call(
        "spot edit",
        lambda: client.edit_order(order["id"], SPOT, "limit", "buy", 0.003, last * 0.9),
    )
    call("spot cancel", lambda: client.cancel_order(changed["id"], SPOT))
    place("market", "market", "buy")
    call("spot market by cost", lambda: client.create_market_buy_order_with_cost(SPOT, 50))
    place("post-only", "limit", "buy", 0.9, postOnly=True)
    crossing = "OrderImmediatelyFillable"
    place("post-only that takes", "limit", "buy", 1.05, postOnly=True, refusal=crossing)
    for policy in ("IOC", "FOK"):
        place(policy, "limit", "buy", 1.01, timeInForce=policy)
    place("stop-limit", "limit", "sell", 0.9, stopLossPrice=round(last * 0.91, 2))
    place("stop", "market", "sell", stopLossPrice=round(last * 0.91, 2))
    place("take-profit", "market", "sell", takeProfitPrice=round(last * 1.1, 2))
    place("test order", "limit", "buy", 0.9, test=True)
    place("routed", "limit", "buy", 0.9, sor=True)
    place("with an id", "limit", "buy", 0.9, clientOrderId="mine")
    call("spot by id", lambda: client.fetch_order(None, SPOT, {"clientOrderId": "mine"}))
    call("spot cancel all", lambda: client.cancel_all_orders(SPOT))
    call("spot cancel nothing", lambda: client.cancel_all_orders(SPOT), "OrderNotFound")
    call("spot my trades", lambda: client.fetch_my_trades(SPOT, limit=2))


def futures() -> None:
    client = pointed(ccxt.binanceusdm({**ACCOUNT, **LINEAR}))
    call("futures load_markets", client.load_markets)
    for name in (
        *("fetch_balance", "fetch_tickers", "fetch_mark_prices", "fetch_positions"),
        *("fetch_funding_rates", "fetch_funding_intervals", "fetch_leverage_tiers"),
        *("fetch_leverages", "fetch_margin_modes", "fetch_ledger", "fetch_position_mode"),
    ):
        call(f"futures {name}", getattr(client, name))
    for name in (
        *("fetch_ticker", "fetch_order_book", "fetch_trades", "fetch_ohlcv", "fetch_mark_ohlcv"),
        *("fetch_index_ohlcv", "fetch_premium_index_ohlcv", "fetch_funding_rate"),
        *("fetch_funding_rate_history", "fetch_open_interest", "fetch_orders", "fetch_my_trades"),
        *("fetch_funding_history", "fetch_my_liquidations", "fetch_margin_adjustment_history"),
    ):
        call(f"futures {name}", lambda: getattr(client, name)(SWAP))  # noqa: B023
    for name in ("fetch_open_interest_history", "fetch_long_short_ratio_history"):
        call(f"futures {name}", lambda: getattr(client, name)(SWAP, "5m"))  # noqa: B023
    last = client.fetch_ticker(SWAP)["last"]

    def place(name: str, kind: str, side: str, share: float = 0.0, **more: Any) -> Any:
        refusal = more.pop("refusal", "")
        price = round(last * share, 1) if share else None
        act = lambda: client.create_order(SWAP, kind, side, 0.01, price, more)  # noqa: E731
        return call(f"futures {name}", act, refusal)

    call("futures leverage", lambda: client.set_leverage(10, SWAP))
    call("futures isolated", lambda: client.set_margin_mode("isolated", SWAP))
    again = "MarginModeAlreadySet"
    call("futures isolated again", lambda: client.set_margin_mode("isolated", SWAP), again)
    call("futures hedge mode", lambda: client.set_position_mode(True))
    call("futures one-way mode", lambda: client.set_position_mode(False))
    order = place("limit", "limit", "buy", 0.97)
    call(
        "futures edit",
        lambda: client.edit_order(order["id"], SWAP, "limit", "buy", 0.011, round(last * 0.968, 1)),
    )
    call("futures order", lambda: client.fetch_order(order["id"], SWAP))
    call("futures cancel", lambda: client.cancel_order(order["id"], SWAP))
    place("market", "market", "buy")
    place("FOK", "limit", "buy", 0.97, timeInForce="FOK", refusal="-5021")
    place("post-only that takes", "limit", "buy", 1.02, postOnly=True, refusal="-5022")
    stop = place("stop", "market", "sell", stopLossPrice=round(last * 0.95, 1), reduceOnly=True)
    place("trailing", "market", "sell", trailingPercent=1)
    call("futures algo", lambda: client.fetch_order(stop["id"], SWAP, {"trigger": True}))
    call("futures cancel algo", lambda: client.cancel_order(stop["id"], SWAP, {"trigger": True}))
    call("futures cancel all", lambda: client.cancel_all_orders(SWAP))
    place("close", "market", "sell", reduceOnly=True)


async def streams(client: Any, symbol: str, place: str) -> None:
    await client.load_markets()
    for name in ("watch_ticker", "watch_trades", "watch_order_book", "watch_ohlcv"):
        await acall(f"{place} {name}", lambda: getattr(client, name)(symbol))  # noqa: B023

    async def buy_soon() -> None:
        await asyncio.sleep(3)
        await client.create_order(symbol, "market", "buy", 0.01)

    buying = asyncio.create_task(buy_soon())
    await asyncio.gather(
        *(
            acall(f"{place} {name}", lambda: getattr(client, name)(*args))  # noqa: B023
            for name, args in (
                ("watch_orders", (symbol,)),
                ("watch_my_trades", (symbol,)),
                ("watch_balance", ()),
            )
        )
    )
    await buying
    last = (await client.fetch_ticker(symbol))["last"]
    asked = (symbol, "limit", "buy", 0.01, round(last * 0.97, 1))
    order = await acall(f"{place} create_order_ws", lambda: client.create_order_ws(*asked))
    if order is not None:
        name = f"{place} cancel_order_ws"
        await acall(name, lambda: client.cancel_order_ws(order["id"], symbol))
    await client.close()


async def main() -> None:
    await streams(pointed(ccxt.pro.binance({**ACCOUNT, **ONLY_SPOT})), SPOT, "spot")
    await streams(pointed(ccxt.pro.binanceusdm({**ACCOUNT, **LINEAR})), SWAP, "futures")


spot()
futures()
asyncio.run(main())
