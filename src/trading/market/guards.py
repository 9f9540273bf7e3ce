"""Bounds within which a pair's trades need no look: see ``SymbolState``.

A threshold lies a fraction of at least ``least_move`` below a window's high or above its low. In
a band no wider than that, a price cannot meet a threshold that the band's own prices have set; the
thresholds that the windows set before bound the band further. So nothing within can be missed,
however the price moves there, and no new high or low of a window needs a look. A band that is left
is moved, as long as it still holds all prices since that look, before another one is needed.
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
BEHIND = 0.25  # of the room that a moved band has to spare, on the side where the price was
# A band ends above the last hour's high no further from the price than this part of the fall that
# counts, or the band could not tell that a pair near its high is not falling.
ABOVE = 0.5


def least_move(spikes: SpikeDetectionConfig, symbol: str, falls_pct: Iterable[float] = ()) -> float:
    """The smallest fraction that any price threshold of the pair lies off a window's extreme."""
    return min(*spikes.thresholds_of(symbol).by_window, *falls_pct) / 100.0


def set_price_guard(
    state: SymbolState, price: float, down: float, up: float, least: float, until_ms: int
) -> None:
    """Set the band around ``price``, the last one; ``down`` and ``up`` are today's thresholds.

    Two thirds of the tick filter's jump keep every step inside below that jump. Where a threshold
    leaves no room on one side, the other side may have it.
    """
    least = min(least, state.filter.jump_fraction / 1.5)
    width = 1.0 + least * (1.0 - ROUNDING)
    reach = least / (2.0 + least) * (1.0 - ROUNDING)
    down, up = down * (1.0 + ROUNDING), up * (1.0 - ROUNDING)
    low, high = max(price * (1.0 - reach), down), min(price * (1.0 + reach), up)
    state.floor, state.ceiling, state.width = down, up, width
    state.guard_low = max(min(low, high / width), down)
    state.guard_high = min(max(high, low * width), up)
    state.guard_until_ms = until_ms
    state.begin_trail(price)


def slide_price_guard(state: SymbolState) -> bool:
    """Move the band after the last trade, which left it; False where none holds all prices.

    A band's promise rests on the prices that came since the windows were looked at. While these are
    no further apart than the band is wide, one that has all of them in it promises the same. Where
    no fall would count the highest do not matter, and where no rise would the lowest do not.
    """
    low, high = state.trail()
    price = state.last_price
    if not state.heeds_falls:
        high = max(low, price)
    if not state.heeds_rises:
        low = min(high, price)
    spare = low * state.width / high - 1.0
    if spare <= 0.0:
        return False
    # Where the price goes, it will rather need room than where it comes from.
    if price < state.guard_high:
        top = high * (1.0 + BEHIND * spare)
        bottom = top / state.width
    else:
        bottom = low / (1.0 + BEHIND * spare)
        top = bottom * state.width
    top = min(top, max(state.fall_line / state.fall_left, _roof(price, state.fall_left)))
    state.guard_low, state.guard_high = max(bottom, state.floor), min(top, state.ceiling)
    state.fall_line = max(state.fall_line, top * state.fall_left)
    return True


def set_fall_lines(state: SymbolState, fall_pct: float, high: float, high_ms: int) -> None:
    """Prices that decide without a look whether the pair is ``fall_pct`` below its 1 h high, which
    is ``high`` and was traded at ``high_ms``.

    The price guard, which bounds all highs to come, must be set; it is lowered where it would leave
    the decision open.
    """
    left = 1.0 - fall_pct / 100.0
    state.guard_high = min(state.guard_high, max(high, _roof(state.last_price, left)))
    state.fall_left = left * (1.0 + ROUNDING)
    state.fall_line = max(high, state.guard_high) * state.fall_left
    state.sure_fall_line = high * left * (1.0 - ROUNDING)
    state.falling_until_ms = high_ms + SPANS_MS[ONE_HOUR]


def _roof(price: float, left: float) -> float:
    return price * (1.0 + ABOVE * (1.0 - left))


def volume_room(state: SymbolState, spikes: SpikeDetectionConfig) -> tuple[float, int]:
    """How much may trade before a minute's volume can be unusual, not above 0 for none; and until
    when that holds, which is while ``VOLUME_HOLDS_MINUTES`` further minutes close.

    The windows must be current.
    """
    least = state.bars.least_unusual_volume(
        VOLUME_HOLDS_MINUTES + 1, spikes.volume_multiple, spikes.volume_sigma
    )
    room = least - state.windows.volume(ONE_MINUTE) * (1.0 + ROUNDING)
    return room, state.bars.open_ms + VOLUME_HOLDS_MINUTES * MINUTE_MS
