"""Exact rolling windows over one pair's trades.

All windows of a pair share one store of its trades and one monotonic stack each for highs and
lows: the stack of the longest window holds the answers of all shorter ones, each of which keeps a
position in it. Adding a trade and expiring old ones is O(1) amortised.

A window of length w at time t holds the trades with ``t - w < time <= t``. The last trade always
counts for high, low and first price, however old it is: without trades the price stands.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator

WINDOW_NAMES = ("1m", "5m", "15m", "1h", "4h")
SPANS_MS = (60_000, 300_000, 900_000, 3_600_000, 14_400_000)
WINDOW_MINUTES = tuple(span // 60_000 for span in SPANS_MS)
ONE_MINUTE, FIVE_MINUTES, FIFTEEN_MINUTES, ONE_HOUR, FOUR_HOURS = range(5)
_LONGEST = FOUR_HOURS

# A window means something once its data spans half of it; the short ones, which trip on the
# speed of a fall, want five minutes or all of it.
READY_AFTER_MS = tuple(max(span // 2, min(span, 300_000)) for span in SPANS_MS)

_COMPACT_TICKS = 8_192
_COMPACT_STACK = 256


class RollingWindows:
    """Highs, lows, first prices and volumes over 1 m, 5 m, 15 m, 1 h and 4 h of one pair.

    Readers take a window's index (``ONE_MINUTE`` … ``FOUR_HOURS``) and answer as of the last call
    of ``expire`` or ``add``, whichever is later; before the first trade they must not be called.
    """

    __slots__ = (
        "_first_ms",
        "_high_heads",
        "_high_prices",
        "_high_times",
        "_low_heads",
        "_low_prices",
        "_low_times",
        "_prices",
        "_tails",
        "_times",
        "_total",
        "_totals",
        "last_price",
        "last_time_ms",
    )

    def __init__(self) -> None:
        self._times = array("q")
        self._prices = array("d")
        self._totals = array("d")  # volume up to and including the trade
        self._total = 0.0
        self._tails = [0] * len(SPANS_MS)  # first trade of each window
        self._high_times: list[int] = []
        self._high_prices: list[float] = []
        self._high_heads = [0] * len(SPANS_MS)  # each window's high in the stack
        self._low_times: list[int] = []
        self._low_prices: list[float] = []
        self._low_heads = [0] * len(SPANS_MS)
        self._first_ms = 0
        self.last_price = 0.0
        self.last_time_ms = 0

    def __len__(self) -> int:
        return len(self._times)

    def add(self, time_ms: int, price: float, quantity: float) -> None:
        """Take a trade. One that arrives late counts as of the last trade's time."""
        times = self._times
        if times:
            time_ms = max(time_ms, self.last_time_ms)
        else:
            self._first_ms = time_ms
        times.append(time_ms)
        self._prices.append(price)
        self._total += quantity
        self._totals.append(self._total)
        self.last_price = price
        self.last_time_ms = time_ms

        stack = self._high_prices
        if stack and stack[-1] <= price:
            stack_times = self._high_times
            while stack and stack[-1] <= price:
                stack.pop()
                stack_times.pop()
            # Shorter windows stand farther on: if the shortest needs no clipping, none does.
            if self._high_heads[ONE_MINUTE] > len(stack):
                _clip(self._high_heads, len(stack))
        stack.append(price)
        self._high_times.append(time_ms)

        stack = self._low_prices
        if stack and stack[-1] >= price:
            stack_times = self._low_times
            while stack and stack[-1] >= price:
                stack.pop()
                stack_times.pop()
            if self._low_heads[ONE_MINUTE] > len(stack):
                _clip(self._low_heads, len(stack))
        stack.append(price)
        self._low_times.append(time_ms)

    def expire(self, now_ms: int) -> None:
        """Drop what has left each window at ``now_ms`` (no earlier than the last trade)."""
        now_ms = max(now_ms, self.last_time_ms)
        times, tails, count = self._times, self._tails, len(self._times)
        high_times, high_heads, last_high = self._high_times, self._high_heads, self._last_high
        low_times, low_heads, last_low = self._low_times, self._low_heads, self._last_low
        for window, span_ms in enumerate(SPANS_MS):
            cutoff_ms = now_ms - span_ms
            at = tails[window]
            if at < count and times[at] <= cutoff_ms:
                while at < count and times[at] <= cutoff_ms:
                    at += 1
                tails[window] = at
            at = high_heads[window]
            if high_times[at] <= cutoff_ms:
                while at < last_high and high_times[at] <= cutoff_ms:
                    at += 1
                high_heads[window] = at
            at = low_heads[window]
            if low_times[at] <= cutoff_ms:
                while at < last_low and low_times[at] <= cutoff_ms:
                    at += 1
                low_heads[window] = at
        if tails[_LONGEST] > _COMPACT_TICKS and tails[_LONGEST] * 2 > count:
            self._compact_ticks()
        if high_heads[_LONGEST] > _COMPACT_STACK:
            _compact_stack(high_times, self._high_prices, high_heads)
        if low_heads[_LONGEST] > _COMPACT_STACK:
            _compact_stack(low_times, self._low_prices, low_heads)

    def high(self, window: int) -> float:
        return self._high_prices[self._high_heads[window]]

    def low(self, window: int) -> float:
        return self._low_prices[self._low_heads[window]]

    def high_since(self, window: int, since_ms: int) -> float:
        """High of the window's trades from ``since_ms`` on; the last price if there are none."""
        times, at = self._high_times, self._high_heads[window]
        if times[at] < since_ms:
            at = min(bisect_left(times, since_ms, at), len(times) - 1)
        return self._high_prices[at]

    def low_since(self, window: int, since_ms: int) -> float:
        """Low of the window's trades from ``since_ms`` on; the last price if there are none."""
        times, at = self._low_times, self._low_heads[window]
        if times[at] < since_ms:
            at = min(bisect_left(times, since_ms, at), len(times) - 1)
        return self._low_prices[at]

    def first_price(self, window: int) -> float:
        """Price of the window's first trade."""
        at = self._tails[window]
        return self._prices[at] if at < len(self._prices) else self.last_price

    def volume(self, window: int) -> float:
        """Base asset traded in the window."""
        at = self._tails[window]
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

    def trades(self) -> Iterator[tuple[int, float, float]]:
        """Every stored trade, oldest first: time, price, quantity."""
        for at in range(len(self._times)):
            yield self._times[at], self._prices[at], self._quantity_at(at)

    def load(self, trades: Iterable[tuple[int, float, float]], now_ms: int) -> None:
        """Start again with these trades, which must be in time order."""
        self.__init__()  # type: ignore[misc]
        for time_ms, price, quantity in trades:
            self.add(time_ms, price, quantity)
        if self._times:
            self.expire(now_ms)

    @property
    def _last_high(self) -> int:
        return len(self._high_prices) - 1

    @property
    def _last_low(self) -> int:
        return len(self._low_prices) - 1

    def _quantity_at(self, at: int) -> float:
        return self._totals[at] - (self._totals[at - 1] if at else 0.0)

    def _compact_ticks(self) -> None:
        """Forget trades older than the longest window, and with them the sum's rounding."""
        # The trade before the tail stays: differences of running totals need it.
        cut = self._tails[_LONGEST] - 1
        base = self._totals[cut]
        del self._times[:cut], self._prices[:cut], self._totals[:cut]
        self._totals = array("d", (total - base for total in self._totals))
        self._total = self._totals[-1]
        self._tails = [at - cut for at in self._tails]


def _clip(heads: list[int], top: int) -> None:
    """Positions in a part of the stack that was popped move to the entry about to be pushed."""
    for window, at in enumerate(heads):
        if at > top:
            heads[window] = top


def _compact_stack(times: list[int], prices: list[float], heads: list[int]) -> None:
    cut = heads[_LONGEST]
    del times[:cut], prices[:cut]
    for window, at in enumerate(heads):
        heads[window] = at - cut
