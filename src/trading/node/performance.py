"""Keeps agent_performance up to date: one row for each agent and UTC day.

A decision counts as right or wrong only once the trade it led to is closed, or once it is known
what a trade that it kept from happening would have been. So the day is summed up again after every
closed trade and every look back, and otherwise once in ``INTERVAL_MS`` while agents decide; the day
before with it, of which such news may still come.
"""

from __future__ import annotations

from trading.clock import DAY_MS, Clock, utc
from trading.events import EventBus, PositionChanged
from trading.node.records import Records, RecordTables

INTERVAL_MS = 60_000


class PerformanceRollUp:
    """``decided`` and ``advance`` are the main loop's; the bus may call from the order thread."""

    def __init__(self, records: Records, clock: Clock, bus: EventBus) -> None:
        self._records = records
        self._clock = clock
        self._stale = False
        self._next_ms = 0
        bus.subscribe(PositionChanged, self._on_position)

    def decided(self) -> None:
        """An agent has decided something."""
        self._stale = True

    def looked_back(self) -> None:
        """It is known what became of a trade, or of a spike that was not traded."""
        self._stale = True
        self._next_ms = 0

    def advance(self, now_ms: int) -> None:
        """Sum up when something is new and it is time."""
        if self._stale and now_ms >= self._next_ms:
            self.roll_up(now_ms)

    def roll_up(self, now_ms: int) -> None:
        """Sum up the current UTC day and the one before it now."""
        self._stale = False
        self._next_ms = now_ms + INTERVAL_MS
        today_ms = now_ms // DAY_MS * DAY_MS

        def write(tables: RecordTables) -> None:
            for start_ms in (today_ms - DAY_MS, today_ms):
                period = f"{utc(start_ms):%Y-%m-%d}"
                for agent in tables.decisions.agents_between(start_ms, start_ms + DAY_MS):
                    tables.decisions.roll_up(agent, period, start_ms, start_ms + DAY_MS, now_ms)

        self._records.write(write)

    def _on_position(self, event: PositionChanged) -> None:
        if event.closed:
            self.looked_back()
