"""Signs of life between the loops of the core, so that one that hangs is noticed by the other."""

from __future__ import annotations

import time
from collections.abc import Callable

# Design, guardian heartbeat: a loop that beats several times a second and was not heard of for
# this long hangs, or the whole process was paused and knows an old market.
SILENCE_LIMIT_MS = 3_000


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Pulse:
    """The beats of one loop; read from any thread. A loop that never began is not silent."""

    def __init__(self, name: str, now_ms: Callable[[], int] = monotonic_ms) -> None:
        self.name = name
        self._now_ms = now_ms
        self._beaten_at_ms: int | None = None

    def beat(self) -> None:
        self._beaten_at_ms = self._now_ms()

    @property
    def silent_ms(self) -> int:
        """Real time since the last beat; 0 before the first."""
        beaten_at_ms = self._beaten_at_ms
        return 0 if beaten_at_ms is None else self._now_ms() - beaten_at_ms

    @property
    def is_silent(self) -> bool:
        return self.silent_ms > SILENCE_LIMIT_MS
