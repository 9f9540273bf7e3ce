"""The equities that loss limits count from: the day's, the week's, and the highest ever."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from trading.clock import iso
from trading.storage.repository import Repository, to_text

MarkKind = Literal["day", "week", "peak"]


@dataclass(frozen=True, slots=True)
class EquityMark:
    """An equity in the quote asset, when it was taken, and whether its limit has tripped."""

    equity: Decimal
    time_ms: int
    tripped: bool = False


class EquityMarkRepository(Repository):
    """One row a kind, of one venue."""

    def __init__(self, connection: sqlite3.Connection, venue: str) -> None:
        super().__init__(connection)
        self._venue = venue

    def set(self, kind: MarkKind, mark: EquityMark) -> None:
        self._execute(
            "INSERT INTO equity_marks (venue, kind, equity, marked_at, marked_at_ms, tripped)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (venue, kind) DO UPDATE SET"
            " equity = excluded.equity, marked_at = excluded.marked_at,"
            " marked_at_ms = excluded.marked_at_ms, tripped = excluded.tripped",
            (
                self._venue,
                kind,
                to_text(mark.equity),
                iso(mark.time_ms),
                mark.time_ms,
                int(mark.tripped),
            ),
        )

    def all(self) -> dict[str, EquityMark]:
        rows = self._rows("SELECT * FROM equity_marks WHERE venue = ?", (self._venue,))
        return {
            row["kind"]: EquityMark(
                Decimal(row["equity"]), row["marked_at_ms"], bool(row["tripped"])
            )
            for row in rows
        }

    def forget(self) -> None:
        """The account is a new one."""
        self._execute("DELETE FROM equity_marks WHERE venue = ?", (self._venue,))
