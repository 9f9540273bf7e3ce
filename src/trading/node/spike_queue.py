"""Spikes on their way to the crews: bounded, newest and strongest first, each spike once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from trading.clock import Clock
from trading.model.spike import Spike


@dataclass(frozen=True, slots=True)
class Discarded:
    """A spike that no crew will see, and why."""

    spike: Spike
    reason: str


class SpikeQueue:
    """Waiting spikes of one core. Used on the core's main loop only.

    ``on_discard`` is called for every spike that leaves without a claim: pushed out by a better
    one, or too old. A spike's rank is its strength, fading linearly to nothing at ``max_age_ms``.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        capacity: int,
        max_age_ms: int,
        on_discard: Callable[[Discarded], None],
    ) -> None:
        self._clock = clock
        self._capacity = capacity
        self._max_age_ms = max_age_ms
        self._on_discard = on_discard
        self._waiting: dict[str, Spike] = {}
        self._seen: dict[str, int] = {}
        self._arrived = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, spike: Spike) -> bool:
        """Queue ``spike``; False when it was offered before."""
        if spike.id in self._seen:
            return False
        self._seen[spike.id] = spike.detected_at_ms
        self._waiting[spike.id] = spike
        self.expire()
        if len(self._waiting) > self._capacity:
            weakest = min(self._waiting.values(), key=self._rank)
            self._drop(weakest, "the queue was full of stronger spikes")
        self._arrived.set()
        return True

    async def claim(self, timeout_s: float) -> Spike | None:
        """Take the best waiting spike, or None after ``timeout_s`` seconds of wall time.

        None at once when the queue is closed.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not self._closed:
            if (spike := self._take()) is not None:
                return spike
            self._arrived.clear()
            remaining = deadline - loop.time()
            if remaining <= 0:
                return None
            try:
                async with asyncio.timeout(remaining):
                    await self._arrived.wait()
            except TimeoutError:
                return None
        return None

    def close(self) -> None:
        """Send every waiting worker away: the core ends."""
        self._closed = True
        self._arrived.set()

    def discard_all(self, reason: str) -> None:
        """Empty the queue; each spike is reported as discarded."""
        for spike in list(self._waiting.values()):
            self._drop(spike, reason)

    def expire(self) -> None:
        """Drop what has become too old to act on."""
        now_ms = self._clock.now_ms()
        for spike in list(self._waiting.values()):
            if now_ms - spike.detected_at_ms > self._max_age_ms:
                self._drop(spike, "too old before a crew was free")
        horizon = now_ms - 10 * self._max_age_ms
        self._seen = {key: at for key, at in self._seen.items() if at >= horizon}

    def _take(self) -> Spike | None:
        self.expire()
        best = max(self._waiting.values(), key=self._rank, default=None)
        if best is not None:
            del self._waiting[best.id]
        return best

    def _rank(self, spike: Spike) -> tuple[float, int, str]:
        age_ms = self._clock.now_ms() - spike.detected_at_ms
        freshness = max(0.0, 1.0 - age_ms / self._max_age_ms)
        return (spike.strength * freshness, spike.detected_at_ms, spike.id)

    def _drop(self, spike: Spike, reason: str) -> None:
        del self._waiting[spike.id]
        self._on_discard(Discarded(spike, reason))
