"""Trades that stand in for a bar, for replay and for backfilling windows."""

from __future__ import annotations

from trading.model.market import Bar, Tick

TICKS_PER_BAR = 4


def bar_ticks(bar: Bar) -> tuple[Tick, Tick, Tick, Tick]:
    """Open, the two extremes and close, as trades of a quarter of the bar's volume each.

    A rising bar is taken to have seen its low first, a falling one its high: the shortest path
    that touches all four prices. Only the open's and the close's moments are known; the extremes
    go to the first and second quarter of the bar, so that a fall is seen inside the minute in
    which it happened, and the close comes in the bar's last millisecond, before the next open.
    Windows fed with these have exactly the highs and lows of the bars.
    """
    extremes = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
    quarter = bar.volume / TICKS_PER_BAR
    start, span = bar.open_time_ms, bar.interval_ms
    falling = bar.close < bar.open
    return (
        Tick(bar.symbol, bar.open, quarter, start, falling),
        Tick(bar.symbol, extremes[0], quarter, start + span // 4, not falling),
        Tick(bar.symbol, extremes[1], quarter, start + span // 2, falling),
        Tick(bar.symbol, bar.close, quarter, start + span - 1, falling),
    )
