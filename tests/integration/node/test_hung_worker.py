"""A worker that lives and gives no sign of life is ended, so that another one works."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from core_in_process import core_in_process
from live_instance import eventually, isolated_config
from pydantic import BaseModel

from crews.live import worker_watch
from crews.live.options import LiveOptions
from crews.live.processes import Child
from crews.live.supervisor import Supervisor
from crews.live.worker_watch import Watched

PRICES = {"BTCUSDT": 50_000.0, "ETHUSDT": 2_000.0}
NAME = "spike-worker"  # as it calls itself


class Nothing(BaseModel):
    pass


def an_idle_child(folder: Path) -> Child:
    (folder / "idle.py").write_text("import sys\nsys.stdin.read()\n")
    return Child(
        name="spike worker",
        module="idle",
        settings=Nothing(),
        environment={**os.environ, "PYTHONPATH": str(folder)},
        log_path=folder / "spike-worker.log",
    )


def test_a_worker_that_the_core_has_not_heard_for_long_is_killed_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_watch, "WORKER_HUNG_AFTER_MS", 2_000)
    monkeypatch.setattr(worker_watch, "LOOK_AT_WORKERS_EVERY_S", 0.0)
    child = an_idle_child(tmp_path)
    with core_in_process(tmp_path, PRICES) as core:
        supervisor = Supervisor(isolated_config(tmp_path), LiveOptions())
        supervisor._workers.append(Watched(child))
        try:
            core.worker.worker_heartbeat(NAME, "of one before it")
            child.start()
            first = child.pid
            for _ in range(5):
                supervisor.check()
                time.sleep(0.05)
                core.worker.worker_heartbeat(NAME, "working")
            assert child.pid == first
            eventually(lambda: supervisor.check() or child.pid != first, 30, "it is replaced")
            assert child.is_alive
            assert "was silent for" in supervisor.take_notes()[0]
        finally:
            supervisor.stop()


def test_a_worker_that_is_never_heard_is_killed_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_watch, "WORKER_MUTE_AFTER_S", 1.0)
    monkeypatch.setattr(worker_watch, "LOOK_AT_WORKERS_EVERY_S", 0.0)
    child = an_idle_child(tmp_path)
    with core_in_process(tmp_path, PRICES):
        supervisor = Supervisor(isolated_config(tmp_path), LiveOptions())
        supervisor._workers.append(Watched(child))
        try:
            child.start()
            first = child.pid
            supervisor.check()
            assert child.pid == first, "it has some time to begin"
            eventually(lambda: supervisor.check() or child.pid != first, 30, "it is replaced")
            assert "was silent for" in supervisor.take_notes()[0]
        finally:
            supervisor.stop()
