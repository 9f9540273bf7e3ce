"""Why there is no core just now: how the last one ended, and what the next one waits for."""

from __future__ import annotations

import time

from crews.live.processes import Child, core_word
from crews.live.worker_watch import Note
from trading.node.notify_config import NotificationLevel
from trading.node.words import CoreWord


class CoreAbsence:
    """``look`` at the core's process often; ``reason`` is empty while it is ready."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._ended_of: float | None = None  # the start whose end has been read already
        self._refused_until_s = 0.0
        self.reason = ""

    @property
    def is_refused(self) -> bool:
        """Whether the venue takes no calls: another start would only make it refuse for longer."""
        return time.monotonic() < self._refused_until_s

    def look(self, core: Child) -> None:
        """Take note of its end, and of what one that was started again says."""
        is_alive = core.is_alive
        for line in core.lines():
            word = core_word(line)
            if word is None:
                continue
            if word.ready:
                self.reason = ""
            elif word.waiting:
                self.reason = waiting_text(word)
                self._note(f"core: {self.reason}", NotificationLevel.WARNING)
            else:
                self._refused_until_s = time.monotonic() + word.refused_for_s
        if not is_alive and self._ended_of != core.started_at:
            self._ended_of = core.started_at
            again = "again when the venue takes calls" if self.is_refused else "again"
            self.reason = f"it ended {core.last_words()}; it is being started {again}"


def waiting_text(word: CoreWord) -> str:
    """For people."""
    return f"it waits {word.for_s:.0f} s before it goes on to start: {word.waiting}"
