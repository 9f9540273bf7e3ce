"""Looks back at spikes that were not traded: would a trade on them have won?

The trade is the one that the run's risk assessor named; where none did, the spike's own measure: a
stop at half of its move below the price at detection and a target as far again above it, both
within the limits of ``risk``. It has won when the target is reached before the stop, within the
time that a position is held at most; fees are left out. A minute that touches both counts as lost,
since nobody knows which came first; the minute of the detection itself does not count.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from enum import StrEnum

from trading.clock import MINUTE_MS
from trading.model.market import Bar
from trading.node.records import Records, RecordTables
from trading.risk.risk_config import RiskConfig
from trading.storage.repository import from_json

# Without a time limit for positions: as long as the longest window of the detectors.
DEFAULT_MINUTES = 240
INTERVAL_MS = MINUTE_MS


class UntradedOutcome(StrEnum):
    WON = "won"
    LOST = "lost"
    NEITHER = "neither"


class Hindsight:
    """``advance`` is the main loop's, a few times a second or less."""

    def __init__(
        self,
        records: Records,
        bars: Callable[[str, int], Sequence[Bar]],
        risk: RiskConfig,
        *,
        max_holding_minutes: float,
        on_judged: Callable[[], None],
    ) -> None:
        """``bars`` gives a pair's newest minutes, oldest first; ``on_judged`` is called
        whenever outcomes have been handed to the store."""
        self._records = records
        self._bars = bars
        self._risk = risk
        self._minutes = int(max_holding_minutes) or DEFAULT_MINUTES
        self._on_judged = on_judged
        self._next_ms = 0
        self._open: list[sqlite3.Row] = []

    def advance(self, now_ms: int) -> None:
        """Judge what can be judged by now, once a minute."""
        if now_ms < self._next_ms:
            return
        self._next_ms = now_ms + INTERVAL_MS
        judged = [
            (row["id"], outcome.value)
            for row in self._open
            if (outcome := self._outcome(row, now_ms)) is not None
        ]
        # A minute more than the longest trade: its last bar must have closed.
        since_ms = now_ms - (self._minutes + 2) * MINUTE_MS

        def write(tables: RecordTables) -> None:
            tables.untraded.judge(judged)
            self._open = tables.untraded.open(since_ms)

        self._records.write(write)
        if judged:
            self._on_judged()

    def _outcome(self, row: sqlite3.Row, now_ms: int) -> UntradedOutcome | None:
        """None while it is open, or where bars are missing."""
        first_ms = (row["timestamp_ms"] // MINUTE_MS + 1) * MINUTE_MS
        end_ms = first_ms + self._minutes * MINUTE_MS
        after = [
            bar
            for bar in self._bars(row["trading_pair"], self._minutes + 2)
            if first_ms <= bar.open_time_ms < end_ms and bar.open_time_ms + MINUTE_MS <= now_ms
        ]
        if not after or after[0].open_time_ms != first_ms:
            return None
        stop_pct, target_pct = self._trade(row)
        price = float(row["price_to"])
        stop, target = price * (1 - stop_pct / 100), price * (1 + target_pct / 100)
        for bar in after:
            if bar.low <= stop:
                return UntradedOutcome.LOST
            if bar.high >= target:
                return UntradedOutcome.WON
        return UntradedOutcome.NEITHER if now_ms >= end_ms else None

    def _trade(self, row: sqlite3.Row) -> tuple[float, float]:
        """Stop and target, in % of the price at detection."""
        named = from_json(row["risk_assessment"]) or {}
        stop, target = named.get("stop_loss_pct") or 0.0, named.get("take_profit_pct") or 0.0
        if stop > 0 and target > 0:
            return float(stop), float(target)
        move = abs(row["magnitude_percent"])
        least, most = self._risk.min_stop_loss_pct, self._risk.max_stop_loss_pct
        return min(max(move / 2, least), most), max(move, self._risk.min_take_profit_pct)
