"""Tells impossible trades from crashes.

A trade far from the one before is held back: one such trade must not trip the breaker, while a
real gap shows in the trades that follow it. The permitted distance widens with the time since the
last trade, because a price may well have travelled meanwhile (and the four prices that stand in
for a recorded minute are 15 s apart).
"""

from __future__ import annotations

import math
from collections import deque

from trading.market.config import CrashDetectionConfig

BAD_TICK_MEMORY_MS = 60_000


class TickFilter:
    """Judges the trades of one pair that leave the band around its last price."""

    __slots__ = (
        "_bad_times",
        "_drift_per_ms",
        "_jump",
        "_limit",
        "_needed",
        "jump_fraction",
        "pending",
    )

    def __init__(self, config: CrashDetectionConfig) -> None:
        # Jumps within this need not be shown to ``judge`` while nothing is pending.
        self.jump_fraction = config.max_tick_jump_pct / 100
        self._drift_per_ms = config.max_tick_drift_pct_per_s / 100 / 1000
        self._needed = config.jump_confirmation_ticks
        self._limit = config.max_bad_ticks_per_minute
        self.pending: list[tuple[int, float, float]] = []
        self._bad_times: deque[int] = deque(maxlen=self._limit)

    def judge(
        self, last_price: float, last_time_ms: int, time_ms: int, price: float, quantity: float
    ) -> list[tuple[int, float, float]]:
        """Trades to accept now, oldest first: none, this one, or a confirmed jump."""
        trade = (time_ms, price, quantity)
        if trade in self.pending:
            return []  # the same trade again confirms nothing
        if self._is_near(last_price, last_time_ms, price, time_ms):
            self._refute_pending(time_ms)
            return [trade]
        if self.pending:
            held_ms, held_price, _ = self.pending[-1]
            same_side = (held_price > last_price) == (price > last_price)
            if not (same_side and self._is_near(held_price, held_ms, price, time_ms)):
                self._refute_pending(time_ms)
        self.pending.append(trade)
        if len(self.pending) <= self._needed:
            return []
        confirmed, self.pending = self.pending, []
        return confirmed

    def note_bad(self, time_ms: int) -> None:
        """Count a trade that cannot be true whatever follows."""
        self._bad_times.append(time_ms)

    def is_insane(self, now_ms: int) -> bool:
        """Whether the pair has had too many bad trades within the last minute."""
        bad = self._bad_times
        return len(bad) == self._limit and now_ms - bad[0] < BAD_TICK_MEMORY_MS

    def _is_near(self, from_price: float, from_ms: int, price: float, time_ms: int) -> bool:
        permitted = self.jump_fraction + self._drift_per_ms * max(0, time_ms - from_ms)
        return abs(math.log(price / from_price)) <= -math.log1p(-min(permitted, 0.9))

    def _refute_pending(self, time_ms: int) -> None:
        for _ in self.pending:
            self.note_bad(time_ms)
        self.pending.clear()
