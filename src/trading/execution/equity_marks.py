"""The equities that loss limits count from, kept through restarts.

The day's begins at midnight UTC, the week's on Monday, the peak is the highest ever. A limit that
has tripped the breaker does so once a day, a week or a peak: after an operator has released the
latch it must not trip again at once, and entries stay refused for as long as the loss stands.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from trading.clock import DAY_MS
from trading.errors import StoreError
from trading.execution.journal import Journal
from trading.storage.equity_repository import EquityMark, MarkKind

logger = logging.getLogger(__name__)

MONDAY = 3  # 1970-01-01 was a Thursday
# A peak is stored again once it has risen by this share; a restart forgets no more than that.
PEAK_STEP = Decimal("0.001")


class EquityMarks:
    """On the order loop. A mark that cannot be stored is kept in memory and logged."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._marks: dict[str, EquityMark] = {}
        self._stored_peak: Decimal | None = None

    def restore(self) -> None:
        """What a process before this one had marked."""
        self._marks = self._journal.equity_marks.all()
        peak = self._marks.get("peak")
        self._stored_peak = peak.equity if peak is not None else None

    def advance(self, now_ms: int, equity: Decimal) -> None:
        """Begin a day or a week with ``equity``, or note a new peak."""
        self._begin("day", now_ms, equity, _day)
        self._begin("week", now_ms, equity, _week)
        peak = self._marks.get("peak")
        if peak is None or equity > peak.equity:
            self._marks["peak"] = EquityMark(equity, now_ms)
            if self._stored_peak is None or equity >= self._stored_peak * (1 + PEAK_STEP):
                self._stored_peak = equity
                self._store("peak")

    def equity(self, kind: MarkKind) -> Decimal | None:
        """The marked equity; None before the first."""
        mark = self._marks.get(kind)
        return mark.equity if mark is not None else None

    def may_trip(self, kind: MarkKind) -> bool:
        """Whether the limit that counts from this mark has not tripped yet."""
        mark = self._marks.get(kind)
        return mark is not None and not mark.tripped

    def note_trip(self, kind: MarkKind) -> None:
        self._marks[kind] = replace(self._marks[kind], tripped=True)
        self._store(kind)

    def accept_drawdown(self, now_ms: int, equity: Decimal) -> None:
        """An operator goes on after the drawdown limit has tripped: count anew from here."""
        peak = self._marks.get("peak")
        if peak is not None and peak.tripped:
            self._marks["peak"] = EquityMark(equity, now_ms)
            self._stored_peak = equity
            self._store("peak")

    def shift(self, change: Decimal) -> None:
        """Money came in or went out that is neither won nor lost."""
        for kind, mark in self._marks.items():
            self._marks[kind] = replace(mark, equity=max(mark.equity + change, Decimal(0)))
            self._store(kind)  # type: ignore[arg-type]  # keys are the kinds

    def _begin(
        self, kind: MarkKind, now_ms: int, equity: Decimal, period: Callable[[int], int]
    ) -> None:
        mark = self._marks.get(kind)
        if mark is None or period(mark.time_ms) != period(now_ms):
            self._marks[kind] = EquityMark(equity, now_ms)
            self._store(kind)

    def _store(self, kind: MarkKind) -> None:
        mark = self._marks[kind]
        try:
            self._journal.write(
                "an equity mark", lambda: self._journal.equity_marks.set(kind, mark)
            )
        except StoreError:
            logger.exception("the %s's equity could not be stored", kind)


def _day(time_ms: int) -> int:
    return time_ms // DAY_MS


def _week(time_ms: int) -> int:
    return (time_ms // DAY_MS + MONDAY) // 7
