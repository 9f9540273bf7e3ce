"""Bounds within which a pair's trades need no look: see ``SymbolState``.

A threshold lies a fraction of at least ``least_move`` below a window's high or above its low. In
a band no wider than that, a price cannot meet a threshold that the band's own prices have set; the
thresholds that the windows set before bound the band further. So nothing within can be missed,
however the price moves there, and no new high or low of a window needs a look.
"""

from __future__ import annotations

from collections.abc import Iterable

from trading.clock import MINUTE_MS
from trading.market.config import SpikeDetectionConfig
from trading.market.symbol_state import SymbolState
from trading.market.windows import ONE_HOUR, ONE_MINUTE, SPANS_MS

# Comparisons of the same prices may differ in the last bits, by how they are calculated.
ROUNDING = 1e-9
VOLUME_HOLDS_MINUTES = 10


def least_move(spikes: SpikeDetectionConfig, symbol: str, falls_pct: Iterable[float] = ()) -> float:
    """The smallest fraction that any price threshold of the pair lies off a window's extreme."""
    return min(*spikes.thresholds_of(symbol).by_window, *falls_pct) / 100.0


def set_price_guard(
    state: SymbolState, price: float, down: float, up: float, least: float, until_ms: int
) -> None:
    """Set the band around ``price``, the last one; ``down`` and ``up`` are today's thresholds.

    A third of the tick filter's jump to each side keeps every step inside below that jump. Where a
    threshold leaves no room on one side, the other side may have it.
    """
    width = 1.0 + least * (1.0 - ROUNDING)
    reach = least / (2.0 + least) * (1.0 - ROUNDING)
    jump = state.filter.jump_fraction / 3.0
    down, up = down * (1.0 + ROUNDING), up * (1.0 - ROUNDING)
    low, high = max(price * (1.0 - reach), down), min(price * (1.0 + reach), up)
    state.guard_low = max(min(low, high / width), down, price * (1.0 - jump))
    state.guard_high = min(max(high, low * width), up, price * (1.0 + jump))
    state.guard_until_ms = until_ms


def set_fall_lines(state: SymbolState, fall_pct: float) -> None:
    """Prices that decide without a look whether the pair is ``fall_pct`` below its 1 h high.

    The windows must be current and the price guard set, which bounds all highs to come.
    """
    high = state.windows.high(ONE_HOUR)
    left = 1.0 - fall_pct / 100.0
    state.fall_line = max(high, state.guard_high) * left * (1.0 + ROUNDING)
    state.sure_fall_line = high * left * (1.0 - ROUNDING)
    state.falling_until_ms = state.windows.high_time_ms(ONE_HOUR) + SPANS_MS[ONE_HOUR]


def volume_room(state: SymbolState, spikes: SpikeDetectionConfig) -> float:
    """How much may trade before a minute's volume can be unusual; not above 0 for none.

    The room holds while ``VOLUME_HOLDS_MINUTES`` further minutes close. The windows must be
    current.
    """
    least = state.bars.least_unusual_volume(
        VOLUME_HOLDS_MINUTES + 1, spikes.volume_multiple, spikes.volume_sigma
    )
    state.volume_until_ms = state.bars.open_ms + VOLUME_HOLDS_MINUTES * MINUTE_MS
    return least - state.windows.volume(ONE_MINUTE) * (1.0 + ROUNDING)
