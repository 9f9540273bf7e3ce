"""Workers made by a nursery: real processes, with a few lines for the crews."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import crews
from crews.live.forked import ForkedChild, Nursery
from crews.live.processes import Child
from crews.worker_config import WorkerConfig, WorkerRole

WAIT_S = 60.0
A_NURSERY = """
import gc, os, sys
from crews.nursery import Nursery

gc.disable()

def work(config):
    print(config.role, "at work", gc.isenabled(), file=sys.stderr, flush=True)
    if config.role == "guardian":
        sys.stdin.read()
        print("the parent is gone", file=sys.stderr, flush=True)
    sys.stdin.read()
    os._exit(0)

Nursery(0, 1, work).run()
"""


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    (tmp_path / "a_nursery.py").write_text(A_NURSERY)
    path = f"{tmp_path}{os.pathsep}{Path(crews.__file__).parents[1]}"
    made = Nursery(
        Child("nursery", "a_nursery", None, {**os.environ, "PYTHONPATH": path}, tmp_path / "n.log")
    )
    made.start()
    yield made
    made.stop(5)


def child_of(nursery: Nursery, folder: Path, role: WorkerRole) -> ForkedChild:
    config = WorkerConfig(role=role, socket_path=folder / "socket", record_path=folder / "record")
    return ForkedChild(f"{role} worker", nursery, config, folder / f"{role}.log")


def wait_until(holds: Callable[[], object], what: str) -> None:
    ends_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < ends_s, what
        time.sleep(0.02)


def at_work(child: ForkedChild) -> int:
    """Its process, once it has said so."""
    log = child.log_path
    wait_until(lambda: log.exists() and "at work" in log.read_text(), "it begins")
    wait_until(lambda: child.pid, "its number is told")
    assert child.pid is not None
    return child.pid


def test_a_worker_collects_garbage_though_its_nursery_does_not(
    nursery: Nursery, tmp_path: Path
) -> None:
    worker = child_of(nursery, tmp_path, WorkerRole.SPIKE)
    worker.start()
    at_work(worker)
    assert "at work True" in worker.log_path.read_text()


def test_a_worker_that_is_killed_is_noticed_named_and_made_anew_by_the_same_nursery(
    nursery: Nursery, tmp_path: Path
) -> None:
    worker = child_of(nursery, tmp_path, WorkerRole.GUARDIAN)
    worker.start()
    first = at_work(worker)
    parent = psutil.Process(first).ppid()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not worker.is_alive, "its end is told")
    assert worker.last_words().startswith("by SIGKILL (log: ")
    worker.start()
    wait_until(lambda: worker.pid not in (None, first), "there is another one")
    assert worker.pid is not None
    assert psutil.Process(worker.pid).ppid() == parent
    assert worker.is_alive


def test_a_worker_ends_on_request_and_a_second_one_goes_on(
    nursery: Nursery, tmp_path: Path
) -> None:
    spike, guardian = (
        child_of(nursery, tmp_path, role) for role in (WorkerRole.SPIKE, WorkerRole.GUARDIAN)
    )
    for worker in (spike, guardian):
        worker.start()
        at_work(worker)
    spike.stop(WAIT_S)
    assert not spike.is_alive
    assert guardian.is_alive
    guardian.kill()
    assert not guardian.is_alive


def test_workers_end_with_their_nursery_and_begin_with_the_next_one(
    nursery: Nursery, tmp_path: Path
) -> None:
    workers = [child_of(nursery, tmp_path, role) for role in WorkerRole]
    for worker in workers:
        worker.start()
    processes = [psutil.Process(at_work(worker)) for worker in workers]
    processes[0].parent().kill()
    _, left = psutil.wait_procs(processes, timeout=WAIT_S)
    assert left == [], "each has seen its parent's end, and none holds another one up"
    assert "the parent is gone" in (tmp_path / "guardian.log").read_text()
    wait_until(lambda: not any(worker.is_alive for worker in workers), "it is noticed")
    for worker in workers:  # the second one's is asked for when there is another nursery already
        assert worker.last_words().startswith("with the nursery, which ended by SIGKILL")
        assert worker.exit_code == -signal.SIGKILL
        worker.start()
    wait_until(lambda: all(worker.pid for worker in workers), "there is another nursery")
    assert len({psutil.Process(worker.pid).ppid() for worker in workers}) == 1


def test_a_worker_that_has_not_begun_is_ended_with_its_nursery(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(600)\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    nursery = Nursery(Child("nursery", "slow", None, environment, tmp_path / "n.log"))
    worker = child_of(nursery, tmp_path, WorkerRole.SPIKE)
    worker.start()
    assert worker.is_alive
    assert worker.pid is None
    worker.kill()
    assert not worker.is_alive
    assert not nursery.is_alive
