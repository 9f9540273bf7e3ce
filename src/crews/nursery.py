"""The process that loads CrewAI once for all crew workers: ``python -m crews.nursery``.

Loading takes seconds of processor time; a worker is a copy (fork) of this process, made in a
moment. It holds what workers hold and no exchange key, runs no crew, makes no thread, and tells on
standard output which process works under which number and how it ended. Workers see its end, and
so the end of its own parent, at their standard input.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import selectors
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from pydantic import ValidationError

from crews.nursery_messages import Birth, Signal, message_of
from crews.worker import (
    EXIT_CONFIGURATION,
    EXIT_OK,
    end_at_once,
    refuse_exchange_keys,
    run_and_exit,
)
from crews.worker_config import WorkerConfig
from trading.errors import ConfigurationError

LOADED = "crews.worker_loops"
REAP_EVERY_S = 0.1
READ_AT_MOST = 65_536
STDIN, STDOUT, STDERR = 0, 1, 2


class Nursery:
    """Reads requests from one descriptor, answers on another, and watches over its workers."""

    def __init__(
        self, requests: int, answers: int, work: Callable[[WorkerConfig], NoReturn] = run_and_exit
    ) -> None:
        self._requests = requests
        self._answers = answers
        self._work = work
        self._received = b""
        self._pids: dict[int, int] = {}  # of living workers, by number
        self._lifelines: dict[int, int] = {}  # what each worker reads until we are gone

    def run(self) -> None:
        """Until the parent is gone."""
        while self._read():
            self._reap()

    def _read(self) -> bool:
        """Do what is asked; False at the end of the input."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._requests, selectors.EVENT_READ)
            if not selector.select(REAP_EVERY_S):
                return True
        chunk = os.read(self._requests, READ_AT_MOST)
        *lines, self._received = (self._received + chunk).split(b"\n")
        for line in filter(None, lines):
            message = message_of(line)
            if isinstance(message, Birth):
                self._bear(message)
            elif (pid := self._pids.get(message.number)) is not None:
                self._send(pid, message)
        return bool(chunk)

    def _bear(self, birth: Birth) -> None:
        theirs, ours = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ours)
            self._become_worker(birth, theirs)
        os.close(theirs)
        self._pids[birth.number] = pid
        self._lifelines[birth.number] = ours
        self._say(number=birth.number, pid=pid)

    def _become_worker(self, birth: Birth, lifeline: int) -> NoReturn:
        for other in self._lifelines.values():
            os.close(other)  # a sibling must see our parent's end while we live
        log = os.open(birth.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_WRONLY)
        for here, there in ((lifeline, STDIN), (nothing, STDOUT), (log, STDERR)):
            os.dup2(here, there)
            os.close(here)
        gc.enable()
        self._work(birth.config)

    def _send(self, pid: int, message: Signal) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, message.signal)

    def _reap(self) -> None:
        for number, pid in list(self._pids.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._pids[number]
                os.close(self._lifelines.pop(number))
                self._say(number=number, ended=os.waitstatus_to_exitcode(status))

    def _say(self, **what: int) -> None:
        os.write(self._answers, json.dumps(what).encode() + b"\n")


def main() -> int:
    """Serve one parent; the exit code."""
    try:
        refuse_exchange_keys(os.environ)
        # Ctrl-C is the parent's to handle; SIGTERM ends this process, and by that its workers.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, end_at_once)
        gc.disable()  # nothing of what is loaded is garbage; looking for some takes a sixth longer
        importlib.import_module(LOADED)
        gc.freeze()  # what is loaded is shared with the workers, and stays so
        Nursery(STDIN, STDOUT).run()
    except ValidationError as error:
        sys.stderr.write(f"configuration: the settings do not fit: {error}\n")
        return EXIT_CONFIGURATION
    except ConfigurationError as error:
        sys.stderr.write(f"configuration: {error}\n")
        return EXIT_CONFIGURATION
    return EXIT_OK


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # nothing of what was loaded has anything to tidy up
