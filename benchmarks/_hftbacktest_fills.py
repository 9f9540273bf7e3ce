"""When hftbacktest fills the orders of ``queues.py``; runs in an environment of its own.

    python _hftbacktest_fills.py FILE.npz

The file holds a tape, the book's constant value a price level, and orders. Prints one JSON object:
for each queue model, the milliseconds from each order's placement to its fill, -1 for none.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    FILLED,
    GTC,
    LIMIT,
    LOCAL_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
)
from hftbacktest.types import event_dtype
from numba import njit

MS = 1_000_000
LEVELS = 40  # around the first price, to begin with
MODELS: dict[str, Callable[[BacktestAsset], BacktestAsset]] = {
    "risk-averse": lambda asset: asset.risk_adverse_queue_model(),
    "power, n = 3": lambda asset: asset.power_prob_queue_model(3.0),
    "logarithmic": lambda asset: asset.log_prob_queue_model2(),
}


def events(tape: Any) -> np.ndarray[Any, Any]:
    """The tape as hftbacktest's feed: each trade, and the book around it after it.

    Every price level holds the same value. Bids reach up to the price of a trade that a seller
    began, asks down to that of one that a buyer began.
    """
    rows: list[tuple[int, int, float, float]] = []
    tick, notional = float(tape["tick"]), float(tape["level_notional"])
    both = EXCH_EVENT | LOCAL_EVENT

    def quantity(at: int) -> float:
        return notional / (at * tick)

    ticks = np.rint(tape["price"] / tick).astype(np.int64)
    best_bid = int(ticks[0]) - 1
    start_ms = int(tape["time_ms"][0]) - 1_000
    for step in range(LEVELS):
        bid, ask = best_bid - step, best_bid + 1 + step
        rows.append((DEPTH_EVENT | BUY_EVENT | both, start_ms, bid * tick, quantity(bid)))
        rows.append((DEPTH_EVENT | SELL_EVENT | both, start_ms, ask * tick, quantity(ask)))
    trades = zip(tape["time_ms"], ticks, tape["quantity"], tape["by_seller"], strict=True)
    for time_ms, at, traded, by_seller in trades:
        side = SELL_EVENT if by_seller else BUY_EVENT
        rows.append((TRADE_EVENT | side | both, int(time_ms), at * tick, float(traded)))
        now_best = int(at) if by_seller else int(at) - 1
        low, high = sorted((best_bid, now_best))
        rises = now_best > best_bid
        for level in range(low + 1, high + 1):
            gone, new = (SELL_EVENT, BUY_EVENT) if rises else (BUY_EVENT, SELL_EVENT)
            rows.append((DEPTH_EVENT | gone | both, int(time_ms), level * tick, 0.0))
            rows.append((DEPTH_EVENT | new | both, int(time_ms), level * tick, quantity(level)))
        best_bid = now_best
    feed = np.zeros(len(rows), dtype=event_dtype)
    for name, column in (("ev", 0), ("px", 2), ("qty", 3)):
        feed[name] = [row[column] for row in rows]
    feed["exch_ts"] = feed["local_ts"] = [row[1] * MS for row in rows]
    return feed


@njit  # type: ignore[untyped-decorator] # numba has no types
def play(hbt, times_ms, buys, prices, quantity, life_ms):  # type: ignore[no-untyped-def] # numba types it
    filled = np.full(len(times_ms), -1, np.int64)
    hbt.elapse(1)  # to the first event
    next_order, oldest = 0, 0
    while oldest < len(times_ms):
        now_ms = hbt.current_timestamp // 1_000_000
        due_ms = times_ms[oldest] + life_ms
        if next_order < len(times_ms):
            due_ms = min(due_ms, times_ms[next_order])
        # Small steps, so that the moment of a fill is known to a tenth of a second.
        wait_ms = max(min(due_ms - now_ms, 100), 0)
        if wait_ms > 0 and hbt.elapse(wait_ms * 1_000_000) != 0:
            break
        now_ms = hbt.current_timestamp // 1_000_000
        for number in range(oldest, next_order):
            if filled[number] < 0:
                order = hbt.orders(0).get(number)
                if order is not None and order.status == FILLED:
                    filled[number] = order.exch_timestamp // 1_000_000 - times_ms[number]
        while oldest < next_order and times_ms[oldest] + life_ms <= now_ms:
            if filled[oldest] < 0:
                hbt.cancel(0, oldest, False)
            oldest += 1
        while next_order < len(times_ms) and times_ms[next_order] <= now_ms:
            if buys[next_order]:
                hbt.submit_buy_order(0, next_order, prices[next_order], quantity, GTC, LIMIT, False)
            else:
                hbt.submit_sell_order(
                    0, next_order, prices[next_order], quantity, GTC, LIMIT, False
                )
            next_order += 1
    return filled


def main(path: str) -> None:
    tape = np.load(path)
    feed = events(tape)
    result = {}
    for name, with_queue in MODELS.items():
        asset = with_queue(
            BacktestAsset()
            .data([feed])
            .linear_asset(1.0)
            .constant_order_latency(0, 0)
            .no_partial_fill_exchange()
            .trading_value_fee_model(0.0, 0.0)
            .tick_size(float(tape["tick"]))
            .lot_size(float(tape["step"]))
            .last_trades_capacity(0)
        )
        backtest = HashMapMarketDepthBacktest([asset])
        filled = play(
            backtest,
            tape["order_ms"],
            tape["order_buys"],
            tape["order_price"],
            float(tape["order_quantity"]),
            int(tape["life_ms"]),
        )
        backtest.close()
        result[name] = [int(each) for each in filled]
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1])
