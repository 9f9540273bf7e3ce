"""Waits as long as the venue asks: who calls on after a 429 is banned, and bans grow."""

from __future__ import annotations

import time
from collections.abc import Callable

from trading.errors import RateLimitedError

# Too many new orders: nothing else is refused, and the wait may be as long as a day.
ORDER_COUNT = -1015


class Patience:
    """Remembers the last refusal for too many calls and refuses in the venue's stead until then."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._until_s = 0.0
        self._reason = ""

    def require(self) -> None:
        """Raises RateLimitedError while the venue wants no calls; nothing may be sent then."""
        left_s = self._until_s - self._now_s()
        if left_s > 0:
            text = f"waiting {left_s:.0f} s, as the venue asked: {self._reason}"
            raise RateLimitedError(text, retry_after_s=left_s)

    def heed(self, error: BaseException) -> None:
        """``error`` came from the venue."""
        if isinstance(error, RateLimitedError) and error.code != ORDER_COUNT:
            until_s = self._now_s() + error.retry_after_s
            if until_s > self._until_s:
                self._until_s, self._reason = until_s, str(error)
