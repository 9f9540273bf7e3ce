"""Why there is no core just now: how the last one ended, and what the next one waits for."""

from __future__ import annotations

from crews.live.processes import Child, waiting_word
from crews.live.worker_watch import Note
from trading.node.notify_config import NotificationLevel
from trading.node.words import CoreWord


class CoreAbsence:
    """``look`` at the core's process often; ``reason`` is empty while it is ready."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._ended_of: float | None = None  # the start whose end has been read already
        self.reason = ""

    def look(self, core: Child) -> None:
        """Take note of its end, and of what one that was started again says."""
        if not core.is_alive:
            if self._ended_of != core.started_at:
                self._ended_of = core.started_at
                self.reason = f"it ended {core.last_words()}; it is being started again"
            return
        for line in core.lines():
            word = waiting_word(line)
            if word is None:
                self.reason = ""
            else:
                self.reason = waiting_text(word)
                self._note(f"core: {self.reason}", NotificationLevel.WARNING)


def waiting_text(word: CoreWord) -> str:
    """For people."""
    return f"it waits {word.for_s:.0f} s before it goes on to start: {word.waiting}"
