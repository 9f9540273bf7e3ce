"""The lengths of klines that the venue knows, from a second to a month, in any time zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from trading.clock import MINUTE_MS
from trading.model.market import INTERVAL_MINUTES
from trading.simulator.server.wire_errors import WireError, invalid_data
from trading.simulator.tape import SECOND_MS, Candle, Tape

DAY_MS = 1440 * MINUTE_MS
FIXED_MS = {
    "1s": SECOND_MS,
    **{name: minutes * MINUTE_MS for name, minutes in INTERVAL_MINUTES.items()},
    "3d": 3 * DAY_MS,
    "1w": 7 * DAY_MS,
}
FIRST_MONDAY_MS = 4 * DAY_MS  # the epoch was a Thursday
INTERVALS = frozenset((*FIXED_MS, "1M"))
FUTURES_INTERVALS = INTERVALS - {"1s"}
ZONE = re.compile(r"^([+-]?)(\d{1,2})(?::([0-5]\d))?$")
ZONE_BOUNDS_MINUTES = (-12 * 60, 14 * 60)


def start_of(interval: str, time_ms: int, offset_ms: int = 0) -> int:
    """When the kline that holds ``time_ms`` begins, in UTC plus ``offset_ms``."""
    local_ms = time_ms + offset_ms
    if interval == "1M":
        local = datetime.fromtimestamp(local_ms / 1000, UTC)
        first = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return int(first.timestamp() * 1000) - offset_ms
    phase = FIRST_MONDAY_MS if interval == "1w" else 0
    return local_ms - (local_ms - phase) % FIXED_MS[interval] - offset_ms


def end_of(interval: str, start_ms: int, offset_ms: int = 0) -> int:
    """The last millisecond of the kline that begins at ``start_ms``."""
    if interval == "1M":
        return start_of(interval, start_ms + 32 * DAY_MS, offset_ms) - 1
    return start_ms + FIXED_MS[interval] - 1


def candles(tape: Tape, interval: str, offset_ms: int = 0) -> list[Candle]:
    """Oldest first; the last may be open."""
    if interval == "1s":
        return tape.seconds()
    if interval == "1m":
        return list(tape.candles)
    return tape.grouped(lambda time_ms: start_of(interval, time_ms, offset_ms))


def parse_zone(text: str | None) -> int:
    """Milliseconds east of UTC; "-1:00", "05:45", "8". Raises WireError -1130."""
    if text is None:
        return 0
    match = ZONE.match(text)
    if match is not None:
        minutes = int(match[2]) * 60 + int(match[3] or 0)
        minutes = -minutes if match[1] == "-" else minutes
        if ZONE_BOUNDS_MINUTES[0] <= minutes <= ZONE_BOUNDS_MINUTES[1]:
            return minutes * MINUTE_MS
    raise WireError(-1130, invalid_data("timeZone"))
