"""Delivers notifications: per channel a thread, a bounded queue, deduplication and a rate limit.

``notify`` never waits: it puts the message into every channel's queue and returns. A channel that
is slow or dead holds up itself and nothing else.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trading.node.notify_config import ChannelConfig, NotificationLevel, NotificationsConfig

logger = logging.getLogger(__name__)

MINUTE_S = 60.0
DRAIN_S = 3.0

Send = Callable[[str, str, NotificationLevel], bool]
"""Title, text and level to one channel; False or an exception when it did not get there."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One message. Messages with the same ``key`` say the same."""

    level: NotificationLevel
    title: str
    text: str = ""
    key: str = ""

    @property
    def same_as(self) -> str:
        return self.key or self.title


@dataclass(frozen=True, slots=True)
class ChannelHealth:
    name: str
    ok: bool
    detail: str


class Channel:
    """One channel's thread and queue."""

    def __init__(
        self,
        config: ChannelConfig,
        settings: NotificationsConfig,
        send: Send,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self._settings = settings
        self._send = send
        self._clock_s = clock_s
        self._changed = threading.Condition()
        self._waiting: deque[Notification] = deque()
        self._busy = False
        self._ending = threading.Event()
        self._last_sent_s: dict[str, float] = {}
        self._sent_at_s: deque[float] = deque()
        self._held_back: dict[str, int] = {}
        self.sent = 0
        self.dropped = 0
        self.problem = ""
        self._thread = threading.Thread(
            target=self._work, name=f"notify {config.name}", daemon=True
        )
        self._thread.start()

    def put(self, notification: Notification) -> None:
        """Queue one message; waits for nothing."""
        if notification.level.rank < self.config.min_level.rank:
            return
        with self._changed:
            if len(self._waiting) >= self._settings.queue_size:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(notification)
            self._changed.notify()

    @property
    def health(self) -> ChannelHealth:
        return ChannelHealth(self.config.name, not self.problem, self.problem)

    def close(self, within_s: float) -> None:
        """Send what waits, as far as it goes ``within_s``; then give up the rest."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._busy, within_s)
            self._ending.set()
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._ending.is_set())
                if self._ending.is_set():
                    return
                notification = self._waiting.popleft()
                self._busy = True
            self._deliver(notification)

    def _deliver(self, notification: Notification) -> None:
        key, now_s = notification.same_as, self._clock_s()
        last_s = self._last_sent_s.get(key)
        if last_s is not None and now_s - last_s < self._settings.repeat_after_s:
            self._held_back[key] = self._held_back.get(key, 0) + 1
            return
        is_limited = notification.level.rank < NotificationLevel.HIGH.rank
        if is_limited and self._is_over_rate(now_s):
            self._held_back[""] = self._held_back.get("", 0) + 1
            return
        text = notification.text + self._counted(key)
        if self._try(notification, text):
            self._last_sent_s[key] = now_s
            if is_limited:
                self._sent_at_s.append(now_s)
            self._held_back.pop(key, None)
            self._held_back.pop("", None)
            self._forget_old(now_s)

    def _is_over_rate(self, now_s: float) -> bool:
        while self._sent_at_s and now_s - self._sent_at_s[0] >= MINUTE_S:
            self._sent_at_s.popleft()
        return len(self._sent_at_s) >= self._settings.max_per_minute

    def _counted(self, key: str) -> str:
        """What was held back since the last message."""
        notes = ""
        if same := self._held_back.get(key):
            notes += f"\n(the same {same} times more since the last message)"
        if others := self._held_back.get(""):
            notes += f"\n({others} other messages were held back: too many in a minute)"
        return notes

    def _try(self, notification: Notification, text: str) -> bool:
        pause_s = self._settings.retry_pause_s
        for attempt in range(1, self._settings.attempts + 1):
            try:
                delivered = self._send(notification.title, text, notification.level)
                problem = "" if delivered else "not delivered"
            except Exception as error:  # whatever a channel's library raises, the next one goes on
                problem = f"not delivered: {type(error).__name__}"  # its text may hold the address
            if problem != self.problem:
                logger.warning("notifications to %s: %s", self.config.name, problem or "delivered")
            self.problem = problem
            if not problem:
                self.sent += 1
                return True
            if attempt == self._settings.attempts or self._ending.wait(pause_s):
                break
            pause_s *= 2
        self.dropped += 1
        return False

    def _forget_old(self, now_s: float) -> None:
        old = [
            key
            for key, sent_s in self._last_sent_s.items()
            if now_s - sent_s >= self._settings.repeat_after_s
        ]
        for key in old:
            del self._last_sent_s[key]


class Notifier:
    """All channels."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels = tuple(channels)

    def notify(self, notification: Notification) -> None:
        """To every channel that wants its level. From any thread; waits for nothing."""
        for channel in self._channels:
            channel.put(notification)

    @property
    def health(self) -> tuple[ChannelHealth, ...]:
        return tuple(channel.health for channel in self._channels)

    def close(self) -> None:
        """Send what waits, within a few seconds for all channels together."""
        ends_s = time.monotonic() + DRAIN_S
        for channel in self._channels:
            channel.close(max(ends_s - time.monotonic(), 0.0))
