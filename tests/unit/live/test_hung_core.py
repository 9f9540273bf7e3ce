"""A core that is alive and does not beat is ended, so that another one guards."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_instance import eventually, isolated_config
from pydantic import BaseModel

from crews.live import supervisor as supervision
from crews.live.options import LiveOptions
from crews.live.processes import Child
from crews.live.supervisor import Supervisor
from crews.live.worker_watch import Watched
from trading.risk.shared_record import SharedRecordWriter


class Nothing(BaseModel):
    pass


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """It watches a core that does nothing at all."""
    monkeypatch.setattr(supervision, "CORE_HUNG_AFTER_MS", 200)
    monkeypatch.setattr(supervision, "HUNG_CONFIRMED_AFTER_S", 0.2)
    (tmp_path / "idle.py").write_text("import sys\nsys.stdin.read()\n")
    supervisor = Supervisor(isolated_config(tmp_path), LiveOptions())
    core = Child(
        name="core",
        module="idle",
        settings=Nothing(),
        environment={**os.environ, "PYTHONPATH": str(tmp_path)},
        log_path=tmp_path / "core.log",
    )
    core.start()
    supervisor._core = Watched(core)
    yield supervisor
    supervisor.stop()


def look(supervisor: Supervisor) -> bool:
    """Whether the core is alive after one more look."""
    supervisor._end_a_hung_core()
    assert supervisor._core is not None
    return supervisor._core.child.is_alive


def test_a_core_whose_heart_stops_is_killed_once_that_is_certain(supervisor: Supervisor) -> None:
    record = SharedRecordWriter(supervisor.paths.breaker_record)
    for _ in range(5):
        record.beat(0)
        assert look(supervisor)
        time.sleep(0.05)
    time.sleep(0.3)
    assert look(supervisor), "the first look may follow a pause of the whole machine"
    eventually(lambda: not look(supervisor), 5, "the core is killed")
    assert "hung" in supervisor.take_notes()[0]


def test_a_core_that_is_still_starting_is_left_alone(supervisor: Supervisor) -> None:
    SharedRecordWriter(supervisor.paths.breaker_record)
    for _ in range(4):
        assert look(supervisor)
        time.sleep(0.15)


def test_the_last_beat_of_the_core_before_is_not_taken_for_its_own(supervisor: Supervisor) -> None:
    record = SharedRecordWriter(supervisor.paths.breaker_record)
    record.beat(0)
    assert supervisor._core is not None
    supervisor._core.child.stop(5)
    time.sleep(0.3)
    supervisor._core.child.start()
    for _ in range(4):
        assert look(supervisor)
        time.sleep(0.15)
