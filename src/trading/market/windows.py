"""Exact rolling windows over one pair's trades.

All windows of a pair share one store of its trades and one monotonic stack each for highs and
lows: the stack of the longest window holds the answers of all shorter ones, which find theirs by
time. Adding a trade is O(1) amortised, reading a window O(log n); trades may come one at a time
or in batches, with the same results to the last bit.

A window of length w at time t holds the trades with ``t - w < time <= t``. The last trade always
counts for high, low and first price, however old it is: without trades the price stands.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import sub

import numpy as np

from trading.market.columns import (
    Numbers,
    Times,
    bounds,
    last_extremes,
    last_highest,
    never_falling,
    put,
    running_totals,
)

WINDOW_NAMES = ("1m", "5m", "15m", "1h", "4h")
SPANS_MS = (60_000, 300_000, 900_000, 3_600_000, 14_400_000)
WINDOW_MINUTES = tuple(span // 60_000 for span in SPANS_MS)
ONE_MINUTE, FIVE_MINUTES, FIFTEEN_MINUTES, ONE_HOUR, FOUR_HOURS = range(5)
_LONGEST_MS = SPANS_MS[FOUR_HOURS]

# A window means something once its data spans half of it; the short ones, which trip on the
# speed of a fall, want five minutes or all of it.
READY_AFTER_MS = tuple(max(span // 2, min(span, 300_000)) for span in SPANS_MS)

_COMPACT_EVERY = 8_192
_COMPACT_STACK = 256


class RollingWindows:
    """Highs, lows, first prices and volumes over 1 m, 5 m, 15 m, 1 h and 4 h of one pair.

    Readers take a window's index (``ONE_MINUTE`` … ``FOUR_HOURS``) and answer as of the last call
    of ``expire``; before the first trade they must not be called.
    """

    __slots__ = (
        "_first_ms",
        "_high_prices",
        "_high_times",
        "_low_prices",
        "_low_times",
        "_now_ms",
        "_prices",
        "_times",
        "_total",
        "_totals",
        "_until_compact",
        "last_price",
        "last_time_ms",
    )

    def __init__(self) -> None:
        self._times = array("q")
        self._prices = array("d")
        self._totals = array("d")  # volume up to and including the trade
        self._total = 0.0
        self._high_times: list[int] = []
        self._high_prices: list[float] = []
        self._low_times: list[int] = []
        self._low_prices: list[float] = []
        self._first_ms = 0
        self._now_ms = 0
        self._until_compact = _COMPACT_EVERY
        self.last_price = 0.0
        self.last_time_ms = 0

    def __len__(self) -> int:
        return len(self._times)

    def add(self, time_ms: int, price: float, quantity: float) -> None:
        """Take a trade. One that arrives late counts as of the last trade's time."""
        self.extend([time_ms], [price], [quantity])

    def extend(self, times: Times, prices: Numbers, quantities: Numbers) -> Times:
        """Take trades in the order they came; returns the times as of which they count."""
        if not self._times:
            self._first_ms = self.last_time_ms = int(times[0])
        times = never_falling(times, self.last_time_ms)
        at = 0
        # Sums start afresh after the same trades however these are batched: rounding must not
        # depend on how often somebody looked.
        while len(times) - at >= self._until_compact:
            stop = at + self._until_compact
            self._append(times[at:stop], prices[at:stop], quantities[at:stop])
            self._compact()
            at = stop
        if at:
            times_left, prices, quantities = times[at:], prices[at:], quantities[at:]
        else:
            times_left = times
        if len(times_left):
            self._append(times_left, prices, quantities)
            self._until_compact -= len(times_left)
        return times

    def expire(self, now_ms: int) -> None:
        """Read as of ``now_ms`` from here on, but never as of before the last trade or read."""
        self._now_ms = max(self._now_ms, now_ms, self.last_time_ms)

    def high(self, window: int) -> float:
        return self._high_prices[self._at(self._high_times, window)]

    def high_time_ms(self, window: int) -> int:
        """When the window's high was traded last."""
        return self._high_times[self._at(self._high_times, window)]

    def high_after(
        self, window: int, now_ms: int, times: Times, prices: Numbers
    ) -> tuple[float, int] | None:
        """The window's high as of ``now_ms``, and a time until which it was traded, if these trades
        were taken too; None where only taking them can tell, as one is older than the window.

        Costs a fraction of taking them. A trade that came late is told by its own time.
        """
        oldest_ms, newest_ms = bounds(times)
        cutoff_ms = max(self._now_ms, now_ms, self.last_time_ms, newest_ms) - SPANS_MS[window]
        if oldest_ms <= cutoff_ms:
            return None
        at = last_highest(prices)
        high, high_ms = float(prices[at]), int(times[at])
        if self.last_time_ms > cutoff_ms:
            known = bisect_right(self._high_times, cutoff_ms)
            if self._high_prices[known] > high:
                return self._high_prices[known], self._high_times[known]
        return high, high_ms

    def low(self, window: int) -> float:
        return self._low_prices[self._at(self._low_times, window)]

    def low_time_ms(self, window: int) -> int:
        """When the window's low was traded last."""
        return self._low_times[self._at(self._low_times, window)]

    def highs_since(self, windows: Sequence[int], since_ms: int) -> tuple[float, ...]:
        """Highs of the windows' trades from ``since_ms`` on; the last price if there are none."""
        prices = self._high_prices
        return tuple(prices[at] for at in self._at_since(self._high_times, windows, since_ms))

    def lows_since(self, windows: Sequence[int], since_ms: int) -> tuple[float, ...]:
        """Lows of the windows' trades from ``since_ms`` on; the last price if there are none."""
        prices = self._low_prices
        return tuple(prices[at] for at in self._at_since(self._low_times, windows, since_ms))

    def high_since_leaves_ms(self, window: int, since_ms: int) -> int:
        """When the high of the window's trades from ``since_ms`` on is older than the window."""
        (at,) = self._at_since(self._high_times, (window,), since_ms)
        return self._high_times[at] + SPANS_MS[window]

    def low_since_leaves_ms(self, window: int, since_ms: int) -> int:
        """When the low of the window's trades from ``since_ms`` on is older than the window."""
        (at,) = self._at_since(self._low_times, (window,), since_ms)
        return self._low_times[at] + SPANS_MS[window]

    def first_price(self, window: int) -> float:
        """Price of the window's first trade."""
        at = bisect_right(self._times, self._now_ms - SPANS_MS[window])
        return self._prices[at] if at < len(self._prices) else self.last_price

    def volume(self, window: int) -> float:
        """Base asset traded in the window."""
        at = bisect_right(self._times, self._now_ms - SPANS_MS[window])
        if at >= len(self._totals):
            return 0.0
        return self._total - self._totals[at] + self._quantity_at(at)

    def drawdown_pct(self, window: int) -> float:
        """How far the last price is below the window's high, in %, never negative."""
        high = self.high(window)
        return (high - self.last_price) / high * 100.0

    def is_ready(self, window: int) -> bool:
        """Whether the data spans enough of the window (``READY_AFTER_MS``)."""
        return self.last_time_ms - self._first_ms >= READY_AFTER_MS[window]

    def ready_from_ms(self, window: int) -> int:
        """The trade time from which on the window is ready."""
        return self._first_ms + READY_AFTER_MS[window]

    def trades(self) -> Iterator[tuple[int, float, float]]:
        """Every stored trade, oldest first: time, price, quantity."""
        for at in range(len(self._times)):
            yield self._times[at], self._prices[at], self._quantity_at(at)

    def newest(self, count: int, since_ms: int) -> Iterator[tuple[int, float, float]]:
        """At most ``count`` trades since ``since_ms``, oldest first: time, price, quantity."""
        first = max(bisect_left(self._times, since_ms), len(self._times) - count)
        before = self._totals[first - 1] if first else 0.0
        totals = self._totals[first:]
        quantities = map(sub, totals, chain((before,), totals))
        return zip(self._times[first:], self._prices[first:], quantities, strict=False)

    def load(self, trades: Iterable[tuple[int, float, float]], now_ms: int) -> None:
        """Start again with these trades, which must be in time order."""
        self.__init__()  # type: ignore[misc]  # every column anew
        columns = [list(column) for column in zip(*trades, strict=True)]
        if columns:
            times, prices, quantities = columns
            self.extend(times, prices, quantities)
            self.expire(now_ms)

    def _append(self, times: Times, prices: Numbers, quantities: Numbers) -> None:
        totals = running_totals(self._total, quantities)
        self._total = float(totals[-1])
        put(self._times, times)
        put(self._prices, prices)
        put(self._totals, totals)
        high_times, highs, low_times, lows = last_extremes(times, prices)
        # What is not above a later price can never be a high again; of equals the later stays.
        stack, stack_times, top = self._high_prices, self._high_times, highs[0]
        while stack and stack[-1] <= top:
            stack.pop()
            stack_times.pop()
        stack += highs
        stack_times += high_times
        stack, stack_times, bottom = self._low_prices, self._low_times, lows[0]
        while stack and stack[-1] >= bottom:
            stack.pop()
            stack_times.pop()
        stack += lows
        stack_times += low_times
        self.last_price = lows[-1]
        self.last_time_ms = low_times[-1]

    def _at(self, times: list[int], window: int) -> int:
        """Position of the window's extreme in the stack with these times."""
        cutoff_ms = self._now_ms - SPANS_MS[window]
        if times[0] > cutoff_ms:
            return 0
        return min(bisect_right(times, cutoff_ms), len(times) - 1)

    def _at_since(self, times: list[int], windows: Sequence[int], since_ms: int) -> list[int]:
        """The same for several windows, of the trades from ``since_ms`` on."""
        now_ms, last = self._now_ms, len(times) - 1
        found = []
        for window in windows:
            cutoff_ms = max(now_ms - SPANS_MS[window], since_ms - 1)
            at = 0 if times[0] > cutoff_ms else bisect_right(times, cutoff_ms)
            found.append(at if at < last else last)
        return found

    def _quantity_at(self, at: int) -> float:
        return self._totals[at] - (self._totals[at - 1] if at else 0.0)

    def _compact(self) -> None:
        """Forget trades older than the longest window, and with them the sum's rounding."""
        self._until_compact = _COMPACT_EVERY
        self._now_ms = max(self._now_ms, self.last_time_ms)
        oldest_ms = self.last_time_ms - _LONGEST_MS
        # The trade before the window's first stays: differences of running totals need it.
        cut = bisect_right(self._times, oldest_ms) - 1
        if cut > 0:
            totals = np.frombuffer(self._totals)[cut:]
            self._totals = array("d", (totals - totals[0]).tobytes())
            del self._times[:cut], self._prices[:cut]
            self._total = self._totals[-1]
        for times, prices in (
            (self._high_times, self._high_prices),
            (self._low_times, self._low_prices),
        ):
            cut = min(bisect_right(times, oldest_ms), len(times) - 1)
            if cut > _COMPACT_STACK:
                del times[:cut], prices[:cut]
