"""Lengths of bars by their venue name."""

from __future__ import annotations

from trading.clock import MINUTE_MS
from trading.errors import ExchangeError
from trading.model.market import INTERVAL_MINUTES


def interval_ms(interval: str) -> int:
    """Milliseconds of ``interval``. Raises ExchangeError -1120 for one we do not use."""
    minutes = INTERVAL_MINUTES.get(interval)
    if minutes is None:
        raise ExchangeError(
            f"Invalid interval. {interval!r} is not one of {', '.join(INTERVAL_MINUTES)}",
            code=-1120,
        )
    return minutes * MINUTE_MS
