"""The job in pandas and in river; run in the rivals' environment. Prints JSON.

pandas is measured over all trades at once, which is its strength but no way to trade, and trade by
trade over each instrument's own past. river has no rolling maximum over time, so its maximum over
the last thousand trades stands in.
"""

from __future__ import annotations

import json
import sys
import time

import pandas as pd
from _market import load, stream
from river import stats

SINGLE_TRADES = 3_000
RIVER_WINDOW = 1_000


def main(count: int, limit: int) -> None:
    source = stream(load(), count, limit)
    frame = pd.DataFrame(source.events, columns=["symbol", "at", "price", "size"])
    frame.index = pd.to_datetime(frame["at"], unit="ms")
    started = time.process_time_ns()
    high = frame.groupby("symbol")["price"].rolling("1h").max().sort_index(level=1)
    last = frame.groupby("symbol")["price"].last()
    final = (1.0 - last / high.groupby(level=0).last()) * 100.0
    batch = (time.process_time_ns() - started) / len(frame)

    by_symbol = {number: part["price"] for number, part in frame.groupby("symbol")}
    at = dict.fromkeys(by_symbol, 0)
    started = time.process_time_ns()
    for number, _, price, _ in source.events[:SINGLE_TRADES]:
        at[number] += 1
        past = by_symbol[number].iloc[: at[number]]
        top = past.loc[past.index[-1] - pd.Timedelta("1h") :].max()
        _ = (top - price) / top * 100.0
    single = (time.process_time_ns() - started) / min(SINGLE_TRADES, len(source.events))

    highs = [stats.RollingMax(window_size=RIVER_WINDOW) for _ in source.symbols]
    events = source.events[: min(len(source.events), 200_000)]
    started = time.process_time_ns()
    for number, _, price, _ in events:
        rolling = highs[number]
        rolling.update(price)
        top = rolling.get()
        _ = (top - price) / top * 100.0
    river = (time.process_time_ns() - started) / len(events)
    drawdowns = {source.symbols[number]: pct for number, pct in final.items()}
    print(json.dumps({"batch": batch, "single": single, "river": river, "final": drawdowns}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
