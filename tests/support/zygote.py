"""Processes to be killed, forked from one that has imported everything and opened nothing.

A child that starts from nothing imports for a second; a forked one works after some milliseconds,
so that a thousand can be killed. The zygote itself has one thread and no open store.

The module that is forked has a function ``main(task, say)``: ``say`` writes one line of JSON to the
test, in one piece, before it returns. What was said before the kill is heard after it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Line = dict[str, Any]
Say = Callable[..., None]


class Child:
    """One forked process: the zygote's only one until it has been reaped."""

    def __init__(self, zygote: Zygote, pid: int) -> None:
        self._zygote = zygote
        self.pid = pid
        self.heard: list[Line] = []

    def hear(self) -> Line:
        """Wait for the next line."""
        line = self._zygote.read()
        self.heard.append(line)
        assert "failed" not in line, line["failed"]
        return line

    def hear_until(self, key: str) -> Line:
        """Wait for a line that has ``key``."""
        while True:
            line = self.hear()
            if key in line:
                return line

    def kill(self) -> list[Line]:
        """SIGKILL, wait for its end, and return all that it ever said."""
        os.kill(self.pid, signal.SIGKILL)
        return self.reap()

    def reap(self) -> list[Line]:
        """Wait for its end; all that it ever said."""
        self._zygote.ask("reap")
        while "reaped" not in (line := self._zygote.read()):
            self.heard.append(line)
            assert "failed" not in line, line["failed"]
        return self.heard


class Zygote:
    """The test's end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def fork(self, **task: Any) -> Child:
        self.ask("fork " + json.dumps(task))
        return Child(self, int(self.read()["pid"]))  # its own first word

    def ask(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def read(self) -> Line:
        assert self._process.stdout is not None
        text = self._process.stdout.readline()
        assert text, "the zygote has ended"
        line: Line = json.loads(text)
        return line


@contextmanager
def zygote(module: str) -> Iterator[Zygote]:
    """A zygote for ``module``, warm."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, __file__, module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield Zygote(process)
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def stop_here(say: Say, point: str) -> None:
    """Tell the test that ``point`` is reached and wait there to be killed."""
    say(at=point)
    time.sleep(600)


def _say(**line: Any) -> None:
    data = json.dumps(line).encode() + b"\n"
    assert len(data) <= 4096, "longer lines are not written in one piece"
    os.write(1, data)


def _serve(module_name: str) -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    module = importlib.import_module(module_name)
    assert threading.active_count() == 1, "a fork copies one thread only"
    gc.collect()
    gc.freeze()
    child = 0
    for line in sys.stdin:
        order, _, rest = line.strip().partition(" ")
        if order == "reap":
            _, status = os.waitpid(child, 0)
            child = 0
            _say(reaped=status)
        elif order == "fork":
            child = os.fork()
            if child == 0:
                _be_the_child(module.main, json.loads(rest))
    if child:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _be_the_child(main: Callable[[dict[str, Any], Say], None], task: dict[str, Any]) -> None:
    try:
        os.close(0)
        logging.disable()
        _say(pid=os.getpid())
        main(task, _say)
    except BaseException:
        _say(failed=traceback.format_exc()[-3000:])
    finally:
        os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1])
