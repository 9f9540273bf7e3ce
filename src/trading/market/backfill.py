"""Fits bars fetched from a venue into a pair's windows and bars."""

from __future__ import annotations

from collections.abc import Iterable

from trading.clock import MINUTE_MS
from trading.errors import MarketDataError
from trading.market.pseudo_ticks import bar_ticks
from trading.market.symbol_state import SymbolState
from trading.market.windows import FOUR_HOURS, SPANS_MS
from trading.model.market import Bar


def merge_history(state: SymbolState, bars: Iterable[Bar], now_ms: int) -> None:
    """Merge one-minute bars into ``state``; minutes that saw trades here keep their own.

    Nothing is stamped later than ``now_ms``, so that an open bar does not reach into the future.

    Raises MarketDataError for other than one-minute bars.
    """
    usable = []
    for bar in bars:
        if bar.interval_ms != MINUTE_MS:
            raise MarketDataError(
                f"{state.symbol}: windows are filled from one-minute bars, not of"
                f" {bar.interval_ms} ms"
            )
        if bar.open_time_ms <= now_ms:
            usable.append(bar)
    if not usable:
        return
    own = list(state.windows.trades())
    own_minutes = {time_ms // MINUTE_MS for time_ms, _, _ in own}
    oldest_ms = now_ms - SPANS_MS[FOUR_HOURS]
    past = [
        (min(tick.time_ms, now_ms), tick.price, tick.quantity)
        for bar in usable
        if bar.close_time_ms > oldest_ms and bar.open_time_ms // MINUTE_MS not in own_minutes
        for tick in bar_ticks(bar)
    ]
    state.bars.load(usable)
    # Stable: of equal times, the order of a bar's own trades stays.
    state.windows.load(sorted(past + own, key=lambda trade: trade[0]), now_ms)
    state.distrust_guards(len(past))
