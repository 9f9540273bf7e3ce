"""The distance that a signed figure has kept up for some time."""

from __future__ import annotations

from collections import deque
from itertools import islice


class HeldDistance:
    """The least distance from zero, on one side, over the last ``hold_ms``.

    A figure stands until the next one. Zero while the figures do not cover the time, change sides,
    or are fewer than ``min_count``.
    """

    __slots__ = ("_figures", "_hold_ms", "_min_count")

    def __init__(self, hold_ms: int, min_count: int = 1) -> None:
        self._hold_ms = hold_ms
        self._min_count = min_count
        self._figures: deque[tuple[int, float]] = deque()

    @property
    def last_ms(self) -> int | None:
        """Time of the last figure."""
        return self._figures[-1][0] if self._figures else None

    def add(self, time_ms: int, value: float) -> None:
        """Take a figure; one that comes late counts from the latest time."""
        if self._figures:
            time_ms = max(time_ms, self._figures[-1][0])
        self._figures.append((time_ms, value))
        self._drop(time_ms)

    def clear(self) -> None:
        self._figures.clear()

    def least(self, now_ms: int) -> float:
        """As of ``now_ms``, no earlier than the last figure."""
        self._drop(now_ms)
        figures = self._figures
        if len(figures) < self._min_count or figures[0][0] > now_ms - self._hold_ms:
            return 0.0
        values = [value for _, value in figures]
        if min(values) > 0.0:
            return min(values)
        return -max(values) if max(values) < 0.0 else 0.0

    def _drop(self, now_ms: int) -> None:
        """Figures before the hold go, but for the one that stood at its beginning."""
        figures, since_ms = self._figures, now_ms - self._hold_ms
        while len(figures) > self._min_count and next(islice(figures, 1, None))[0] <= since_ms:
            figures.popleft()
