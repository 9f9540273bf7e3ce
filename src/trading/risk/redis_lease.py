"""The permission to send entries, good until a moment on a clock that nobody can set."""

from __future__ import annotations

import time
from dataclasses import dataclass

MS = 1_000_000  # nanoseconds

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady_ns() -> int:
    """Nanoseconds on a clock that no step of the wall clock moves and that runs on while the
    process is stopped and, where the system has such a clock, while the machine sleeps."""
    return time.clock_gettime_ns(_CLOCK)


@dataclass(frozen=True, slots=True)
class Lease:
    """Entries may leave until ``until_ns`` of ``steady_ns``, unless there is an ``objection``."""

    until_ns: int
    objection: str | None = None

    def refusal(self, now_ns: int) -> str | None:
        """Why no entry may leave now; None when it may."""
        if self.objection is not None:
            return self.objection
        if now_ns >= self.until_ns:
            return "the lease from Redis has run out"
        return None


def no_lease(objection: str) -> Lease:
    """No entry may leave."""
    return Lease(0, objection)
