"""nautilus_trader's Binance adapter, whose HTTP clients decode answers into strict structures."""

from __future__ import annotations

import asyncio
from typing import Any

from calls import acall, ready, same
from nautilus_trader.adapters.binance.common.enums import (
    BinanceAccountType,
    BinanceKlineInterval,
    BinanceOrderSide,
    BinanceOrderType,
    BinanceTimeInForce,
)
from nautilus_trader.adapters.binance.futures.http.account import BinanceFuturesAccountHttpAPI
from nautilus_trader.adapters.binance.futures.http.market import BinanceFuturesMarketHttpAPI
from nautilus_trader.adapters.binance.futures.http.user import BinanceFuturesUserDataHttpAPI
from nautilus_trader.adapters.binance.futures.http.wallet import BinanceFuturesWalletHttpAPI
from nautilus_trader.adapters.binance.http.client import BinanceHttpClient
from nautilus_trader.adapters.binance.spot.http.account import BinanceSpotAccountHttpAPI
from nautilus_trader.adapters.binance.spot.http.market import BinanceSpotMarketHttpAPI
from nautilus_trader.adapters.binance.spot.http.wallet import BinanceSpotWalletHttpAPI
from nautilus_trader.common.component import LiveClock

READY = ready()
CLOCK = LiveClock()
BTC = "BTCUSDT"
SPOT, SWAP = BinanceAccountType.SPOT, BinanceAccountType.USDT_FUTURES


def http(base_url: str) -> BinanceHttpClient:
    return BinanceHttpClient(
        clock=CLOCK,
        api_key=READY["api_key"],
        api_secret=READY["api_secret"],
        base_url=base_url,
    )


async def market(place: str, client: Any) -> None:
    for name, args in {
        "ping": (),
        "request_server_time": (),
        **same((BTC,), "query_depth", "query_trades", "query_historical_trades"),
        "query_agg_trades": (BTC,),
        "query_klines": (BTC, BinanceKlineInterval.MINUTE_1),
        **same((), "query_ticker_24hr", "query_ticker_price", "query_ticker_book"),
    }.items():
        await acall(f"{place} {name}", lambda: getattr(client, name)(*args))  # noqa: B023


async def orders(place: str, client: Any, price: str) -> None:
    bid = {"symbol": BTC, "side": BinanceOrderSide.BUY, "quantity": "0.010"}
    limit = {"order_type": BinanceOrderType.LIMIT, "time_in_force": BinanceTimeInForce.GTC}
    placed = await acall(
        f"{place} new_order", lambda: client.new_order(**bid, **limit, price=price)
    )
    for name, args in {
        "query_order": {"symbol": BTC, "order_id": placed.orderId},
        "query_open_orders": {},
        "query_all_orders": {"symbol": BTC},
        "cancel_order": {"symbol": BTC, "order_id": placed.orderId},
    }.items():
        await acall(f"{place} {name}", lambda: getattr(client, name)(**args))  # noqa: B023
    bought = {"order_type": BinanceOrderType.MARKET}
    await acall(f"{place} market order", lambda: client.new_order(**bid, **bought))
    await acall(f"{place} query_user_trades", lambda: client.query_user_trades(BTC))


async def main() -> None:
    spot, futures = http(READY["rest_url"]), http(READY["futures_rest_url"])
    prices = BinanceSpotMarketHttpAPI(spot, SPOT)
    await market("spot", prices)
    await acall("spot exchange info", prices.query_spot_exchange_info)
    await acall("spot average price", lambda: prices.query_spot_average_price(BTC))
    contracts = BinanceFuturesMarketHttpAPI(futures, SWAP)
    await market("futures", contracts)
    await acall("futures exchange info", contracts.query_futures_exchange_info)
    wallet = BinanceSpotWalletHttpAPI(spot, CLOCK, SPOT)
    await acall("spot trade fees", wallet.query_spot_trade_fees)
    account = BinanceSpotAccountHttpAPI(spot, CLOCK, SPOT)
    for name in (
        *("query_spot_account_info", "query_spot_order_rate_limit", "query_spot_all_oco"),
        "query_spot_all_open_oco",
    ):
        await acall(f"spot {name}", getattr(account, name))
    found = await prices.query_ticker_price(symbol=BTC)
    last = float((found[0] if isinstance(found, list) else found).price)
    await orders("spot", account, str(round(last * 0.9, 2)))
    trader = BinanceFuturesAccountHttpAPI(futures, CLOCK, SWAP)
    await orders("futures", trader, str(round(last * 0.97, 1)))
    for name in (
        *("query_futures_hedge_mode", "query_futures_account_info"),
        *("query_futures_position_risk", "query_futures_symbol_config"),
    ):
        await acall(f"futures {name}", getattr(trader, name))
    await acall("futures leverage", lambda: trader.set_leverage(BTC, 7))
    fees = BinanceFuturesWalletHttpAPI(futures, CLOCK, SWAP)
    await acall("futures commission", lambda: fees.query_futures_commission_rate(BTC))
    user = BinanceFuturesUserDataHttpAPI(futures, SWAP)
    key = await acall("futures listen key", user.create_listen_key)
    await acall("futures listen key kept", lambda: user.keepalive_listen_key(key.listenKey))


asyncio.run(main())
