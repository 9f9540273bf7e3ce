"""Time, as the rest of the core sees it.

Market time and wall time are the same on a real venue. The embedded exchange may run faster than
the wall (``ScaledClock``) and a replay moves by itself (``VirtualClock``), so nothing in the core
reads ``time.time()``: it asks the clock it was given.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Protocol

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000


class Clock(Protocol):
    """Source of market time, in UTC milliseconds since the epoch."""

    def now_ms(self) -> int: ...


class SystemClock:
    """Wall time."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class ScaledClock:
    """Market time that starts at ``start_ms`` and runs ``speed`` times as fast as the wall.

    Speed 0 is a pause. ``anchor_monotonic_ns`` lets several processes of one machine share the same
    market time, as long as none of them changes the speed.
    """

    def __init__(self, start_ms: int, speed: float, anchor_monotonic_ns: int | None = None) -> None:
        anchor_ns = time.monotonic_ns() if anchor_monotonic_ns is None else anchor_monotonic_ns
        self._course = (start_ms, _not_negative(speed), anchor_ns)

    @property
    def speed(self) -> float:
        return self._course[1]

    def now_ms(self) -> int:
        start_ms, speed, anchor_ns = self._course
        return start_ms + int((time.monotonic_ns() - anchor_ns) * speed) // 1_000_000

    def change_speed(self, speed: float) -> None:
        """Go on from now at another speed. Raises ValueError for a negative one."""
        now_ms = self.now_ms()
        self._course = (now_ms, _not_negative(speed), time.monotonic_ns())


def _not_negative(speed: float) -> float:
    if not 0 <= speed < float("inf"):
        raise ValueError(f"speed must be 0 (paused) or positive, not {speed}")
    return speed


class VirtualClock:
    """Time that moves only when told to, and never backwards."""

    def __init__(self, start_ms: int) -> None:
        self._now_ms = start_ms
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        return self._now_ms

    def advance_to(self, now_ms: int) -> None:
        """Move forward to ``now_ms``; an earlier time is ignored."""
        with self._lock:
            self._now_ms = max(self._now_ms, now_ms)


def utc(time_ms: int) -> datetime:
    """``time_ms`` (UTC milliseconds) as an aware datetime."""
    return datetime.fromtimestamp(time_ms / 1000, tz=UTC)


def from_iso(text: str) -> int:
    """UTC milliseconds of an ISO 8601 time; one without a zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)


def iso(time_ms: int) -> str:
    """``time_ms`` as ISO 8601 with milliseconds and a Z, the form used in the store and in JSON."""
    return utc(time_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def duration_text(duration_ms: int) -> str:
    """``duration_ms`` for people, in two units at the most: 87 ms, 2.4 s, 3 min 44 s, 2 d 5 h."""
    if duration_ms < 1_000:
        return f"{duration_ms} ms"
    if duration_ms < 59_950:  # from there on it would be rounded to 60.0 s
        return f"{duration_ms / 1000:.1f} s"
    seconds = round(duration_ms / 1000)
    if seconds < 3_600:
        return f"{seconds // 60} min {seconds % 60} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(minutes / 60)
    return f"{hours // 24} d {hours % 24} h"
