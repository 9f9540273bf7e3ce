"""The job that everybody is given: the 1 h high and the drawdown at each trade, and a callback."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

HOUR_MS = 3_600_000
BREACH_PCT = 15.0


class Drawdown:
    """One instrument's rolling high, in the plainest fast Python: a monotonic deque."""

    __slots__ = ("_breached", "_highs", "_on_breach", "pct")

    def __init__(self, on_breach: Callable[[int, float], None]) -> None:
        self._highs: deque[tuple[int, float]] = deque()
        self._on_breach = on_breach
        self._breached = False
        self.pct = 0.0

    def update(self, time_ms: int, price: float) -> None:
        highs = self._highs
        while highs and highs[-1][1] <= price:
            highs.pop()
        highs.append((time_ms, price))
        while highs[0][0] <= time_ms - HOUR_MS:
            highs.popleft()
        high = highs[0][1]
        self.pct = (high - price) / high * 100.0
        if self.pct >= BREACH_PCT:
            if not self._breached:
                self._breached = True
                self._on_breach(time_ms, self.pct)
        else:
            self._breached = False
