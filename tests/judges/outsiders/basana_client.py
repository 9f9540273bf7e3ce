"""basana: a trading framework's view of spot, with its own reading of user events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import basana
from basana.external.binance import exchange as binance
from calls import acall, heard, ready

READY = ready()
PAIR = basana.Pair("BTC", "USDT")
AMOUNT = Decimal("0.01")
LISTEN_S = 4.0


async def main() -> None:
    dispatcher = basana.realtime_dispatcher()
    urls = {
        "http": {"base_url": READY["rest_url"]},
        "ws_stream": {"base_url": READY["ws_url"]},
        "ws_api": {"base_url": READY["ws_url"]},
    }
    client = binance.Exchange(
        dispatcher,
        api_key=READY["api_key"],
        api_secret=READY["api_secret"],
        config_overrides={"api": urls},
    )
    got: set[str] = set()

    def note(name: str) -> Callable[[Any], Any]:
        async def on_event(_event: Any) -> None:
            got.add(name)

        return on_event

    client.subscribe_to_order_book_events(PAIR, note("book"))
    client.subscribe_to_trade_events(PAIR, note("trade"))
    client.spot_account.subscribe_to_order_events(note("order"))
    running = asyncio.create_task(dispatcher.run())
    await asyncio.sleep(LISTEN_S)
    account = client.spot_account
    await acall("pair", lambda: client.get_pair_info(PAIR))
    bid, _ask = await acall("bid and ask", lambda: client.get_bid_ask(PAIR))
    low, high = round(bid * Decimal("0.9"), 2), round(bid * Decimal("1.1"), 2)
    buy, sell = basana.OrderOperation.BUY, basana.OrderOperation.SELL
    await acall("balances", account.get_balances)
    await acall("market", lambda: account.create_market_order(buy, PAIR, amount=2 * AMOUNT))
    order = await acall("limit", lambda: account.create_limit_order(buy, PAIR, AMOUNT, low))
    await acall("order", lambda: account.get_order_info(PAIR, order_id=order.id))
    await acall("open orders", lambda: account.get_open_orders(PAIR))
    await acall("cancel", lambda: account.cancel_order(PAIR, order_id=order.id))
    pair = (sell, PAIR, AMOUNT, high, low)
    oco = await acall("oco", lambda: account.create_oco_order(*pair, stop_limit_price=low))
    number = oco.order_list_id
    await acall("oco info", lambda: account.get_oco_order_info(order_list_id=number))
    await acall("oco cancel", lambda: account.cancel_oco_order(PAIR, order_list_id=number))
    await asyncio.sleep(LISTEN_S)
    heard("events", {"book", "trade", "order"}, got)
    dispatcher.stop()
    running.cancel()


asyncio.run(main())
