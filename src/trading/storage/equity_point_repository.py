"""Rows of equity_points: the account's worth over time, and what it is compared with."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from trading.clock import iso
from trading.model.portfolio import EquityPoint
from trading.storage.repository import Repository, from_text, to_text


class EquityMeasure(NamedTuple):
    """An ``EquityPoint`` in binary numbers."""

    time_ms: int
    equity: float
    without_breaker: float | None
    benchmark_price: float | None


class EquityPointRepository(Repository):
    """Writes and reads equity_points."""

    def record(self, venue: str, point: EquityPoint) -> None:
        """Add one point. One of the same moment is replaced."""
        self._execute(
            "INSERT OR REPLACE INTO equity_points (venue, timestamp_ms, equity, cash,"
            " without_breaker, benchmark_price) VALUES (?, ?, ?, ?, ?, ?)",
            (
                venue,
                point.time_ms,
                to_text(point.equity),
                to_text(point.cash),
                to_text(point.without_breaker),
                to_text(point.benchmark_price),
            ),
        )

    def set_without_breaker(self, venue: str, points: Iterable[tuple[int, Decimal]]) -> None:
        """Put the equity of the same run without a breaker beside the points of its moments."""
        for time_ms, equity in points:
            self._execute(
                "UPDATE equity_points SET without_breaker = ? WHERE venue = ? AND timestamp_ms = ?",
                (to_text(equity), venue, time_ms),
            )

    def add_replay(self, report: str, wall_ms: int) -> None:
        """Note that this store is of a replay, with its report as JSON."""
        values = {"finished_at": iso(wall_ms), "finished_at_ms": wall_ms, "report": report}
        self._insert("replays", values)

    def venues(self) -> tuple[str, ...]:
        """Venues with points, the one of the newest point first."""
        rows = self._rows(
            "SELECT venue FROM equity_points GROUP BY venue ORDER BY max(timestamp_ms) DESC, venue"
        )
        return tuple(row["venue"] for row in rows)

    def measures(self, venue: str, start_ms: int, end_ms: int) -> list[EquityMeasure]:
        """What ``between`` gives, for charts and ratios: a year has half a million of them."""
        rows = self._execute(
            "SELECT timestamp_ms, CAST(equity AS REAL), CAST(without_breaker AS REAL),"
            " CAST(benchmark_price AS REAL) FROM equity_points WHERE venue = ?"
            " AND timestamp_ms >= ? AND timestamp_ms < ? ORDER BY timestamp_ms",
            (venue, start_ms, end_ms),
        )
        return [EquityMeasure(*row) for row in rows]

    def between(self, venue: str, start_ms: int, end_ms: int) -> list[EquityPoint]:
        """Points from ``start_ms`` up to ``end_ms``, oldest first."""
        rows = self._rows(
            "SELECT * FROM equity_points WHERE venue = ? AND timestamp_ms >= ?"
            " AND timestamp_ms < ? ORDER BY timestamp_ms",
            (venue, start_ms, end_ms),
        )
        return [_point(row) for row in rows]


def _point(row: sqlite3.Row) -> EquityPoint:
    return EquityPoint(
        time_ms=row["timestamp_ms"],
        equity=Decimal(row["equity"]),
        cash=Decimal(row["cash"]),
        without_breaker=from_text(row["without_breaker"]),
        benchmark_price=from_text(row["benchmark_price"]),
    )
