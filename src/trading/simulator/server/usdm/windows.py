"""startTime, endTime and limit of the lists that futures answer with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from trading.simulator.server.params import Params
from trading.simulator.server.wire_errors import WireError

DAY_MS = 86_400_000
SEVEN_DAYS_MS = 7 * DAY_MS
RowT = TypeVar("RowT")


def window(params: Params, longest_ms: int) -> tuple[int | None, int | None]:
    """startTime and endTime. Raises WireError -4165 when they are too far apart."""
    start, end = params.integer("startTime"), params.integer("endTime")
    if start is not None and end is not None and end - start > longest_ms:
        days = longest_ms // DAY_MS
        raise WireError(-4165, f"Maximum time interval is {days} days.")
    return start, end


def chosen(rows: Sequence[RowT], limit: int, from_start: bool) -> Sequence[RowT]:
    """The oldest ``limit`` rows where a start was given, else the newest."""
    return rows[:limit] if from_start else rows[-limit:]


def within(time_ms: int, start: int | None, end: int | None) -> bool:
    return (start is None or time_ms >= start) and (end is None or time_ms <= end)
