"""Waiting for the venue's limits while a core starts: one that ends instead guards nothing."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from trading.clock import SystemClock, utc
from trading.errors import RateLimitedError

log = logging.getLogger(__name__)

T = TypeVar("T")

# The venue counts in minutes, so what a start needs is free again within one. A ban lasts longer:
# who waits for its end had better be told of it.
MOST_S = 75.0
_MARGIN_S = 0.1  # the venue's minute must have begun, not only ours

Tell = Callable[[str, float], None]


class StartPatience:
    """Repeats reads that were refused for too many calls, once the time that was named is over.

    All waits of a start together take ``most_s`` at most; ``tell`` hears why and for how many
    seconds, before each. After ``end`` nothing waits any more, and what waits gives up at once.
    Thread-safe; for reads on any loop.
    """

    def __init__(self, tell: Tell, most_s: float = MOST_S) -> None:
        self._tell = tell
        self._left_s = most_s
        self._ended = threading.Event()

    def end(self) -> None:
        """The start is over, or is given up."""
        self._ended.set()

    async def through(self, call: Callable[[], Awaitable[T]]) -> T:
        """``call``, as often as it takes.

        Raises RateLimitedError when it would have to wait for longer than is left, naming the time
        of day until which the venue takes no calls.
        """
        while True:
            try:
                return await call()
            except RateLimitedError as error:
                if self._ended.is_set():
                    raise
                wait_s = error.retry_after_s + _MARGIN_S
                if wait_s > self._left_s:
                    raise _not_before(error) from error
                self._left_s -= wait_s
                log.warning("waiting %.0f s with the start: %s", wait_s, error)
                self._tell(str(error), wait_s)
                if await self._ended_within(wait_s):
                    raise

    async def _ended_within(self, wait_s: float) -> bool:
        ends_s = time.monotonic() + wait_s
        while (left_s := ends_s - time.monotonic()) > 0:
            # On a thread, for `end` may be called from any loop; in pieces, so that a cancelled
            # wait does not hold its thread for a minute.
            if await asyncio.to_thread(self._ended.wait, min(left_s, 1.0)):
                return True
        return self._ended.is_set()


def _not_before(error: RateLimitedError) -> RateLimitedError:
    until = utc(SystemClock().now_ms() + round(error.retry_after_s * 1000))
    return RateLimitedError(
        f"the venue takes no calls before {until:%Y-%m-%d %H:%M:%S} UTC, {error.retry_after_s:.0f} "
        f"s from now; a start does not wait so long: {error}",
        retry_after_s=error.retry_after_s,
        code=error.code,
    )
