"""Crew workers as the supervisor sees them: made, signalled and buried by their nursery."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

from crews.live.processes import Child, last_words
from crews.nursery_messages import Answer, Birth, Signal
from crews.worker_config import WorkerConfig

_LOOK_EVERY_S = 0.02
_KILL_TIMEOUT_S = 5.0


class Nursery:
    """The process that workers are made from. It is started again with the first of them."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._received = b""
        self._latest = 0
        self._pids: dict[int, int] = {}
        self._ended: dict[int, int | None] = {}  # None: with the nursery, nobody knows how
        self._last_end: tuple[int | None, str] = (None, "")  # of the one before: code, last words

    def start(self) -> None:
        """Have it load what workers need. Those of an earlier nursery have ended with it."""
        self._child.stop(0)
        if self._child.process is not None:
            self._last_end = (self._child.exit_code, self._child.last_words())
        self._received = b""
        self._child.start()

    @property
    def is_alive(self) -> bool:
        return self._child.is_alive

    def make(self, log_path: Path, config: WorkerConfig) -> int:
        """Ask for a worker; its number. It begins once all is loaded."""
        if not self.is_alive:
            self.start()
        self._latest += 1
        self._child.tell(Birth(number=self._latest, log_path=log_path, config=config))
        return self._latest

    def tell(self, message: BaseModel) -> None:
        self._child.tell(message)

    def look(self) -> None:
        """Take note of what it says. Call often."""
        *lines, self._received = (self._received + self._child.heard()).split(b"\n")
        for line in filter(None, lines):
            answer = Answer.model_validate_json(line)
            if answer.pid is not None:
                self._pids[answer.number] = answer.pid
            else:
                self._ended[answer.number] = answer.ended
        if not self.is_alive:
            for number in range(1, self._latest + 1):
                self._ended.setdefault(number, None)

    def pid_of(self, number: int) -> int | None:
        return self._pids.get(number)

    def has_ended(self, number: int) -> bool:
        return number in self._ended

    def exit_code_of(self, number: int) -> int | None:
        """None while it lives, and of one that ended with the nursery."""
        return self._ended.get(number)

    @property
    def end(self) -> tuple[int | None, str]:
        """Exit code and last words of the latest one that ended, for what ended with it."""
        if self.is_alive:
            return self._last_end
        return self._child.exit_code, self._child.last_words()

    def stop(self, timeout_s: float) -> None:
        """Workers that still live end with it."""
        self._child.stop(timeout_s)

    def signal_end(self) -> None:
        self._child.signal_end()

    def kill(self) -> None:
        self._child.kill()


@dataclass(slots=True)
class ForkedChild:
    """One worker, of the same use as a ``Child``. ``start`` may be called again after its end."""

    name: str
    nursery: Nursery
    config: WorkerConfig
    log_path: Path
    started_at: float = field(default=0.0, init=False)  # monotonic seconds, of the latest start
    _number: int = field(default=0, init=False)
    _log_from: int = field(default=0, init=False)

    def start(self) -> None:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._log_from = self.log_path.stat().st_size if self.log_path.exists() else 0
        self.started_at = time.monotonic()
        self._number = self.nursery.make(self.log_path, self.config)

    @property
    def is_alive(self) -> bool:
        self.nursery.look()
        return self._number > 0 and not self.nursery.has_ended(self._number)

    @property
    def pid(self) -> int | None:
        """None until it has begun."""
        self.nursery.look()
        return self.nursery.pid_of(self._number)

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it lives. Of one that ended with the nursery: how that did."""
        if self.is_alive:
            return None
        code = self.nursery.exit_code_of(self._number)
        return self.nursery.end[0] if code is None else code

    def last_words(self) -> str:
        """The signal that ended it, or the end of its log since its start, for a message."""
        code = self.nursery.exit_code_of(self._number)
        if code is None and self.nursery.has_ended(self._number):
            return f"with the nursery, which ended {self.nursery.end[1]}"
        return last_words(code, self.log_path, self._log_from)

    def signal_end(self) -> None:
        """Ask it to end, without waiting. One that has not begun ends with its nursery."""
        if not self.is_alive:
            return
        if self.pid is None:
            self.nursery.signal_end()
        else:
            self.nursery.tell(Signal(number=self._number, signal=signal.SIGTERM))

    def stop(self, timeout_s: float) -> None:
        """SIGTERM, then wait, then SIGKILL."""
        self.signal_end()
        if not self._has_ended_within(timeout_s):
            self.kill()

    def kill(self) -> None:
        """At once; one that has not begun yet with its nursery, which then hangs or still loads."""
        if not self.is_alive:
            return
        if self.pid is None:
            self.nursery.kill()
        else:
            self.nursery.tell(Signal(number=self._number, signal=signal.SIGKILL))
            if not self._has_ended_within(_KILL_TIMEOUT_S):
                self.nursery.kill()

    def _has_ended_within(self, timeout_s: float) -> bool:
        ends_s = time.monotonic() + timeout_s
        while self.is_alive:
            if time.monotonic() >= ends_s:
                return False
            time.sleep(_LOOK_EVERY_S)
        return True
