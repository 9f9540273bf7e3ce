"""The account's worth over a period, and what it is held against, ready to be drawn and judged."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from trading.clock import MINUTE_MS
from trading.storage.equity_point_repository import EquityMeasure

# Equity is measured once a minute. A longer silence is drawn as one: the core did not run.
GAP_MS = 10 * MINUTE_MS

Curve: TypeAlias = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Curves:
    """Points in time (ms) and value. Money is in the quote asset.

    ``growth`` and ``holding`` begin at 1 and follow the account, and the benchmark's price, through
    new accounts: each of those begins where the one before ended. ``without_breaker_growth`` is
    empty unless the whole run is known without a breaker, as after a replay.
    """

    equity: Curve
    without_breaker: Curve
    growth: Curve
    holding: Curve
    without_breaker_growth: Curve
    accounts: int

    @property
    def empty(self) -> bool:
        return not self.equity


def curves_of(points: Sequence[EquityMeasure], beginnings_ms: Sequence[int]) -> Curves:
    """Of ``points`` in order; a new account begins with the first point after each beginning."""
    equity = [(point.time_ms, point.equity) for point in points]
    twin = [(p.time_ms, p.without_breaker) for p in points if p.without_breaker is not None]
    held = [(point.time_ms, point.benchmark_price) for point in points if point.benchmark_price]
    firsts = {bisect_left(points, begin, key=_time) for begin in beginnings_ms}
    fresh = {points[place].time_ms for place in firsts if 0 < place < len(points)}
    whole_twin = len(twin) == len(points) > 0 and not fresh
    return Curves(
        equity=equity,
        without_breaker=twin,
        growth=_chained(equity, fresh),
        holding=_chained(held, fresh),
        without_breaker_growth=_chained(twin, fresh) if whole_twin else [],
        accounts=1 + len(fresh) if points else 0,
    )


def unbroken(curve: Curve) -> list[Curve]:
    """``curve`` in parts between which nothing was measured for longer than ``GAP_MS``."""
    parts: list[list[tuple[int, float]]] = []
    for point in curve:
        if not parts or point[0] - parts[-1][-1][0] > GAP_MS:
            parts.append([])
        parts[-1].append(point)
    return list(parts)


def _chained(curve: Curve, fresh: set[int]) -> Curve:
    """``curve`` as a multiple of its first value; a step to a fresh account earns nothing."""
    chained: list[tuple[int, float]] = []
    level, before = 1.0, 0.0
    for time_ms, value in curve:
        if before > 0 and time_ms not in fresh:
            level *= value / before
        before = value
        chained.append((time_ms, level))
    return chained


def _time(point: EquityMeasure) -> int:
    return point.time_ms
