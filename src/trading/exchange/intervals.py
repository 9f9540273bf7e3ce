"""Lengths of bars by their venue name."""

from __future__ import annotations

from trading.clock import MINUTE_MS
from trading.errors import ExchangeError

INTERVALS_MS: dict[str, int] = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "2h": 120 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
    "6h": 360 * MINUTE_MS,
    "8h": 480 * MINUTE_MS,
    "12h": 720 * MINUTE_MS,
    "1d": 1440 * MINUTE_MS,
}


def interval_ms(interval: str) -> int:
    """Milliseconds of ``interval``. Raises ExchangeError -1120 for one we do not use."""
    length = INTERVALS_MS.get(interval)
    if length is None:
        raise ExchangeError(
            f"Invalid interval. {interval!r} is not one of {', '.join(INTERVALS_MS)}", code=-1120
        )
    return length
