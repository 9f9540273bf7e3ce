"""Everybody else's leveraged positions on one contract, and how they are forced out.

With every minute's volume new positions are opened at its price and old ones are closed, so that
the open interest stays near its target. Each has a leverage drawn from one fixed mix; the price at
which it would be liquidated follows from it. When the mark price reaches that price, the position
becomes a forced order: in falls the longs' liquidations rise, in rises the shorts'.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from trading.clock import MINUTE_MS

# Chosen so that a fall of 5 % forces out about 2 % of the longs, one of 20 % about a quarter.
LEVERAGES = (
    (2, 0.400),
    (3, 0.325),
    (5, 0.200),
    (10, 0.050),
    (20, 0.017),
    (50, 0.006),
    (100, 0.002),
)
MAINTENANCE = 0.005
DAY_MINUTES = 1440
HELD_MINUTES = 480  # how long a position is held on average
BUCKET = 0.002  # liquidation prices are kept to 0.2 %
SMALLEST_SCALE = 1e-9
SNAPSHOT_MS = 5 * MINUTE_MS
REMEMBERED_SNAPSHOTS = 500


@dataclass(frozen=True, slots=True)
class InterestSnapshot:
    """Open interest in contracts, its value, and what share of it is long."""

    time_ms: int
    quantity: float
    notional: float
    long_share: float


class Crowd:
    """The ladder of liquidation prices. Quantities are of the base asset."""

    def __init__(self, days: float) -> None:
        """``days``: open interest as a multiple of a day's (spot) volume."""
        self._days = days
        self._volume = 0.0  # mean of a minute
        self._minutes = 0
        self.snapshots: deque[InterestSnapshot] = deque(maxlen=REMEMBERED_SNAPSHOTS)
        self._ladders: dict[bool, dict[int, float]] = {True: {}, False: {}}  # longs, shorts
        self._calm = (0.0, math.inf)
        self._scale = 1.0  # stored quantities times this are the present ones
        self._minute = 0
        self._snapshot_ms = 0

    @property
    def open_interest(self) -> float:
        """Contracts that are open; each has a long and a short."""
        return max(self._total(True), self._total(False))

    @property
    def long_share(self) -> float:
        """Share of longs among what is held with leverage."""
        longs, shorts = self._total(True), self._total(False)
        return longs / (longs + shorts) if longs + shorts else 0.5

    def is_older_than(self, minute: int) -> bool:
        """Whether ``live`` has not been called in that minute since the epoch yet."""
        return minute > self._minute

    def live(self, price: float, volume: float, time_ms: int) -> None:
        """A minute with that spot ``volume`` (base asset) is over: positions come and go."""
        minute = time_ms // MINUTE_MS
        if minute <= self._minute:
            return
        passed = min(minute - self._minute, HELD_MINUTES) if self._minute else HELD_MINUTES
        self._minute = minute
        self._minutes = min(self._minutes + 1, DAY_MINUTES)
        self._volume += (volume - self._volume) / self._minutes
        target = self._volume * DAY_MINUTES * self._days
        kept = math.exp(-passed / HELD_MINUTES)
        self._scale *= kept
        if self._scale < SMALLEST_SCALE:
            self._rescale()
        opened = target * (1 - kept) / self._scale
        for leverage, share in LEVERAGES:
            distance = 1 / leverage - MAINTENANCE
            for is_long in (True, False):
                at = price * (1 - distance if is_long else 1 + distance)
                ladder, bucket = self._ladders[is_long], _bucket(at)
                ladder[bucket] = ladder.get(bucket, 0.0) + opened * share
        self._note_calm()
        if time_ms - self._snapshot_ms >= SNAPSHOT_MS:
            self._snapshot_ms = time_ms - time_ms % SNAPSHOT_MS
            quantity = self.open_interest
            snapshot = InterestSnapshot(
                self._snapshot_ms, quantity, quantity * price, self.long_share
            )
            self.snapshots.append(snapshot)

    def forced_out(self, mark: float) -> tuple[float, float]:
        """Quantities of longs and shorts whose liquidation price ``mark`` has passed."""
        if self._calm[0] <= mark < self._calm[1]:
            return 0.0, 0.0
        at = _bucket(mark)
        longs, shorts = self._ladders[True], self._ladders[False]
        sold = sum(longs.pop(bucket) for bucket in [each for each in longs if each > at])
        bought = sum(shorts.pop(bucket) for bucket in [each for each in shorts if each < at])
        self._note_calm()
        return sold * self._scale, bought * self._scale

    def _rescale(self) -> None:
        """Begin again at a scale of 1, before it becomes too small for a float."""
        for ladder in self._ladders.values():
            for bucket in ladder:
                ladder[bucket] *= self._scale
        self._scale = 1.0

    def _note_calm(self) -> None:
        """Remember between which prices nobody is forced out."""
        longs, shorts = self._ladders[True], self._ladders[False]
        lowest = math.exp(max(longs) * BUCKET) if longs else 0.0
        highest = math.exp((min(shorts) + 1) * BUCKET) if shorts else math.inf
        self._calm = (lowest, highest)

    def _total(self, is_long: bool) -> float:
        return sum(self._ladders[is_long].values()) * self._scale


def _bucket(price: float) -> int:
    return math.floor(math.log(price) / BUCKET)
