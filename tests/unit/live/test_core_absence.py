"""Who watches a run is told once why there is no core, with the reason, and what starts is not
called failed."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_instance import eventually, isolated_config
from rich.console import Console

from crews.live.core_absence import CoreAbsence
from crews.live.options import LiveOptions
from crews.live.processes import Child
from crews.live.session import LiveSession
from crews.live.supervisor import Supervisor
from crews.live.worker_watch import Watched
from crews.node_settings import node_config
from trading.node.config import CoreLaunch
from trading.node.words import CoreWord

WAITS = CoreWord(pid=1, waiting="4361 of 6000 used", for_s=6.0).model_dump_json()
READY = CoreWord(pid=1, ready=True).model_dump_json()
# It says each line that it is told, and ends with an error at one that says so.
CORE = """
import sys
for line in sys.stdin:
    if line.startswith("end"):
        sys.exit("the store is damaged")
    print(line.strip(), flush=True)
"""


class Watcher:
    def __init__(self, core: Child) -> None:
        self.core = core
        self.notes: list[str] = []
        self.absence = CoreAbsence(lambda what, _level: self.notes.append(what))

    def tell(self, line: str) -> None:
        assert self.core.process is not None
        assert self.core.process.stdin is not None
        self.core.process.stdin.write(f"{line}\n".encode())
        self.core.process.stdin.flush()

    def until(self, text: str) -> None:
        def seen() -> bool:
            self.absence.look(self.core)
            return text in self.absence.reason if text else not self.absence.reason

        eventually(seen, 30, f"{text!r} is the reason, not {self.absence.reason!r}")


@pytest.fixture
def watcher(tmp_path: Path) -> Iterator[Watcher]:
    (tmp_path / "a_core.py").write_text(CORE)
    path = {**os.environ, "PYTHONPATH": str(tmp_path)}
    core = Child("core", "a_core", None, path, tmp_path / "core.log")
    core.start()
    yield Watcher(core)
    core.stop(5)


def test_a_core_that_ended_is_missed_with_its_last_words_until_the_next_is_ready(
    watcher: Watcher,
) -> None:
    watcher.tell("end")
    watcher.until("it ended the store is damaged")
    watcher.core.stop(0)
    watcher.core.start()
    watcher.until("it ended the store is damaged")
    watcher.tell(READY)
    watcher.until("")


def test_a_core_that_waits_is_missed_with_what_it_waits_for_and_people_are_told_once(
    watcher: Watcher,
) -> None:
    watcher.tell(WAITS)
    watcher.until("it waits 6 s before it goes on to start: 4361 of 6000 used")
    for _ in range(5):
        watcher.absence.look(watcher.core)
        time.sleep(0.01)
    watcher.tell(READY)
    watcher.until("")
    assert len(watcher.notes) == 1


def test_a_core_that_the_venue_refused_is_not_started_again_before_its_time(
    watcher: Watcher,
) -> None:
    watcher.tell(CoreWord(pid=1, refused_for_s=0.0).model_dump_json())
    watcher.tell(CoreWord(pid=1, refused_for_s=3.0).model_dump_json())
    watcher.tell("end")
    watcher.until("again when the venue takes calls")
    assert watcher.absence.is_refused
    eventually(lambda: not watcher.absence.is_refused, 30, "its time is over")


def test_the_supervisor_starts_a_refused_core_only_when_its_time_has_come(tmp_path: Path) -> None:
    refused = CoreWord(pid=1, refused_for_s=4.0).model_dump_json()
    (tmp_path / "refused.py").write_text(f"print({refused!r}, flush=True)\n")
    supervisor = Supervisor(isolated_config(tmp_path), LiveOptions())
    core = Child(
        name="core",
        module="refused",
        settings=CoreLaunch(config=node_config(isolated_config(tmp_path).config)),
        environment={**os.environ, "PYTHONPATH": str(tmp_path)},
        log_path=tmp_path / "core.log",
    )
    core.start()
    supervisor._core = Watched(core)
    begun_s = first = core.started_at

    def is_started_again() -> bool:
        supervisor.check()
        return core.started_at != first

    try:
        eventually(is_started_again, 30, "it is started again")
        assert core.started_at - begun_s > 4.0
    finally:
        supervisor.stop()


def test_the_same_reason_is_printed_once(tmp_path: Path) -> None:
    session = LiveSession(isolated_config(tmp_path), LiveOptions(plain=True))
    printed = io.StringIO()
    session._console = Console(file=printed, width=200)
    for reason in ("it ended by SIGKILL", "it ended by SIGKILL", "it waits 6 s", "it waits 6 s"):
        session._print_status(None, reason)
    assert printed.getvalue().splitlines() == [
        "waiting for the core: it ended by SIGKILL",
        "waiting for the core: it waits 6 s",
    ]
