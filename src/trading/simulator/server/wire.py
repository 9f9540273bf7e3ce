"""How values travel, on every market: numbers as text, times in either unit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

Json = dict[str, Any]

MICROSECONDS = 1000
EPOCH_TIMES_FROM = 10**11  # milliseconds; ids and counters stay below
TIME_NAMES = frozenset(
    {
        "serverTime",
        "time",
        "updateTime",
        "transactTime",
        "transactionTime",
        "workingTime",
        "trailingTime",
        "openTime",
        "closeTime",
        "timestamp",
        "E",
        "T",
        "t",
        "O",
        "C",
        "W",
        "D",
        "u",
    }
)


def num(value: Decimal | float | None) -> str:
    """A number as the venue writes it: a string with eight decimals."""
    return f"{value or 0:.8f}"


def in_microseconds(body: Any) -> Any:
    """``body`` with all its times in microseconds."""
    if isinstance(body, dict):
        return {
            name: value * MICROSECONDS
            if name in TIME_NAMES and type(value) is int and value > EPOCH_TIMES_FROM
            else in_microseconds(value)
            for name, value in body.items()
        }
    if isinstance(body, list):
        if len(body) == 12 and type(body[0]) is int:  # the row of a kline: open and close time
            last_ms = body[6]
            return [body[0] * MICROSECONDS, *body[1:6], (last_ms + 1) * MICROSECONDS - 1, *body[7:]]
        return [in_microseconds(each) for each in body]
    return body
