"""Keeps agent_performance up to date: one row for each agent and UTC day.

A decision counts as right or wrong only once the trade it led to is closed, so the day is summed up
again after every closed trade, and otherwise once in ``INTERVAL_MS`` while agents decide.
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

    def advance(self, now_ms: int) -> None:
        """Sum up when something is new and it is time."""
        if self._stale and now_ms >= self._next_ms:
            self.roll_up(now_ms)

    def roll_up(self, now_ms: int) -> None:
        """Sum up the current UTC day now."""
        self._stale = False
        self._next_ms = now_ms + INTERVAL_MS
        start_ms = now_ms // DAY_MS * DAY_MS
        period = f"{utc(start_ms):%Y-%m-%d}"

        def write(tables: RecordTables) -> None:
            for agent in tables.decisions.agents_between(start_ms, start_ms + DAY_MS):
                tables.decisions.roll_up(agent, period, start_ms, start_ms + DAY_MS, now_ms)

        self._records.write(write)

    def _on_position(self, event: PositionChanged) -> None:
        if event.closed:
            self._stale = True
            self._next_ms = 0
