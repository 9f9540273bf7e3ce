"""Child processes of a live run: started with their settings on standard input, watched, ended.

A child reads one JSON line and then waits on its standard input: the end of file tells it that
its parent is gone, whatever killed it. Nothing secret is ever on a command line.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ValidationError

from trading.errors import SpikeguardError
from trading.node.words import CoreWord

READ_AT_MOST = 65_536
_LAST_BREATH_S = 1.0
_LOOK_EVERY_S = 0.1


class ChildFailedError(SpikeguardError):
    """A child process did not start, or ended when it should not have."""


@dataclass(slots=True)
class Child:
    """One child process. ``start`` may be called again after it has ended."""

    name: str
    module: str
    settings: BaseModel | None  # None: it is told nothing at its start
    environment: Mapping[str, str]
    log_path: Path
    nice: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    started_at: float = field(default=0.0, init=False)  # monotonic seconds, of the latest start
    _log_from: int = field(default=0, init=False)  # where the latest start's part of the log begins
    _unread: bytes = field(default=b"", init=False)  # the beginning of a line

    def start(self) -> None:
        """Start the process and hand it its settings."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self.started_at = time.monotonic()
        self._unread = b""
        with self.log_path.open("ab") as log:
            self._log_from = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(self.environment),
                # Ctrl-C in the terminal is the parent's to handle: it ends children in order.
                start_new_session=True,
            )
        if self.nice:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self.process.pid, self.nice)
        if self.settings is not None:
            self.tell(self.settings)

    def tell(self, message: BaseModel) -> None:
        """Write a JSON line to its standard input; one that has died does not read it."""
        assert self.process is not None
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(message.model_dump_json().encode() + b"\n")
            self.process.stdin.flush()

    def _has_spoken(self, within_s: float) -> bool:
        """Whether there is something to read on its output, or its end."""
        assert self.process is not None
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            return bool(selector.select(within_s))

    def heard(self) -> bytes:
        """What it has written to its standard output since; does not wait."""
        if self.process is None or self.process.stdout is None or self.process.stdout.closed:
            return b""
        descriptor = self.process.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            return os.read(descriptor, READ_AT_MOST) if selector.select(0) else b""

    def lines(self) -> list[bytes]:
        """The whole lines among what it has written since; does not wait."""
        return self._lines_with(self.heard())

    def _lines_with(self, chunk: bytes) -> list[bytes]:
        *lines, self._unread = (self._unread + chunk).split(b"\n")
        return lines

    def wait_ready(
        self,
        timeout_s: float,
        *,
        on_waiting: Callable[[CoreWord], None] = lambda _: None,
        is_ending: Callable[[], bool] = lambda: False,
    ) -> bytes:
        """The first line the process prints, but for those that say that it waits for something:
        it gets so much longer then, and ``on_waiting`` is told.

        Raises:
            ChildFailedError: it ended, or printed nothing in time, or ``is_ending`` says that
                nobody wants it any more.
        """
        deadline = time.monotonic() + timeout_s
        while (remaining := deadline - time.monotonic()) > 0:
            if is_ending():
                raise ChildFailedError(f"the {self.name} process was not ready before the end")
            if not self._has_spoken(min(remaining, _LOOK_EVERY_S)):
                continue
            chunk = self.heard()
            if not chunk:  # the end of its output
                break
            for line in self._lines_with(chunk):
                word = core_word(line)
                if word is None or word.ready:
                    return line
                if word.waiting:
                    deadline += word.for_s
                    on_waiting(word)
        ended = self._end_code()
        self.kill()
        how = f"ended with code {ended}" if ended is not None else f"not ready in {timeout_s:g} s"
        raise ChildFailedError(f"the {self.name} process {how}: {self.last_words()}")

    def _end_code(self) -> int | None:
        """Its exit code, also of a process that has closed its output and is just ending."""
        assert self.process is not None
        try:
            return self.process.wait(_LAST_BREATH_S)
        except subprocess.TimeoutExpired:
            return None

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it lives, negative by a signal."""
        return self.process.poll() if self.process is not None else None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    def last_words(self) -> str:
        """The signal that ended it, or the end of its log since its start, for a message."""
        return last_words(self.exit_code, self.log_path, self._log_from)

    def signal_end(self) -> None:
        """Ask it to end, without waiting."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def stop(self, timeout_s: float) -> None:
        """SIGTERM, then wait, then SIGKILL."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.signal_end()
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill()
        self._close_pipes()

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)
        self._close_pipes()

    def _close_pipes(self) -> None:
        assert self.process is not None
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def core_word(line: bytes) -> CoreWord | None:
    """What a core says of itself; None for a line of another child."""
    try:
        return CoreWord.model_validate_json(line)
    except ValidationError:
        return None


@dataclass(slots=True)
class RestartPolicy:
    """Restarts with a doubling pause, from ``first_s`` to ``most_s``; a long life resets it.

    After ``limit`` short lives in a row there are no more; 0: there always are.
    """

    first_s: float = 0.5
    most_s: float = 30.0
    reset_after_s: float = 60.0
    limit: int = 0
    _short_lives: int = 0
    _pause_s: float = 0.0
    _started_at: float = field(default_factory=time.monotonic)
    _next_at: float | None = None

    def started(self) -> None:
        self._started_at = time.monotonic()
        self._next_at = None

    def is_due(self) -> bool:
        """Whether an ended process may be started again now. Call repeatedly."""
        now = time.monotonic()
        if self._next_at is None:
            lived_s = now - self._started_at
            longer = self._pause_s * 2 or self.first_s
            self._pause_s = self.first_s if lived_s > self.reset_after_s else longer
            self._pause_s = min(self._pause_s, self.most_s)
            self._next_at = now + self._pause_s
            self._short_lives = 0 if lived_s > self.reset_after_s else self._short_lives + 1
        return now >= self._next_at and not self.is_exhausted

    @property
    def is_exhausted(self) -> bool:
        return 0 < self.limit <= self._short_lives


def last_words(code: int | None, log_path: Path, log_from: int) -> str:
    """The signal that ended a process, or the end of its log from ``log_from`` on."""
    if code is not None and code < 0:  # whatever it wrote before, it did not see this coming
        return f"by {signal.Signals(-code).name} (log: {log_path})"
    try:
        with log_path.open("rb") as log:
            log.seek(log_from)
            lines = log.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return "no log"
    said = lines[-1] if lines else "it said nothing"
    return f"{said} (log: {log_path})"
