"""A worker's heartbeat speaks for its loop: one that hangs is not heard, and does not linger."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from memory_client import MemoryTradingClient

from crews.worker import Worker
from crews.worker_config import WorkerConfig, WorkerRole
from crews.worker_loops import GuardianLoop, SpikeLoop

PATIENCE_S = 2.0


def config_of(role: WorkerRole, folder: Path) -> WorkerConfig:
    return WorkerConfig.model_validate(
        {
            "role": role,
            "socket_path": folder / "socket",
            "record_path": folder / "record",
            "crews": {"worker": {"heartbeat_interval_s": 0.1, "claim_timeout_s": 0.1}},
        }
    )


def wait_for(condition: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends_s, "not in time"
        time.sleep(0.02)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Set at the end, so that what hangs here does not hang on."""
    event = threading.Event()
    yield event
    event.set()


def beats(client: MemoryTradingClient) -> int:
    return client.names().count("worker_heartbeat")


def is_heard_for(client: MemoryTradingClient, seconds: float) -> bool:
    before = beats(client)
    time.sleep(seconds)
    return beats(client) > before


@pytest.mark.parametrize("asks_the_loop", [True, False], ids=["worker", "mutant"])
@pytest.mark.parametrize("role", list(WorkerRole))
def test_a_worker_whose_loop_hangs_is_no_longer_heard(
    role: WorkerRole,
    asks_the_loop: bool,
    release: threading.Event,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The mutant's heartbeat says only that there is a process."""
    hang = threading.Event()
    kind = GuardianLoop if role is WorkerRole.GUARDIAN else SpikeLoop
    monkeypatch.setattr(kind, "patience_s", PATIENCE_S)
    monkeypatch.setattr(GuardianLoop, "warm_up", lambda _: None)
    monkeypatch.setattr(GuardianLoop, "_assess", lambda *_: hang.is_set() and release.wait())
    if not asks_the_loop:
        monkeypatch.setattr(Worker, "_loop_hangs", lambda _: False)
    client = MemoryTradingClient()
    claim = client.claim_spike

    def claim_or_hang(*given: Any) -> Any:
        if hang.is_set():
            release.wait()
        time.sleep(0.02)
        return claim(*given)

    monkeypatch.setattr(client, "claim_spike", claim_or_hang)
    worker = Worker(client, config_of(role, tmp_path), {})
    parent = io.StringIO()
    monkeypatch.setattr(worker, "_watch", lambda _: None)
    running = threading.Thread(target=worker.run, args=(parent, io.StringIO()), daemon=True)
    running.start()
    wait_for(lambda: beats(client) > 0)
    wait_for(lambda: is_heard_for(client, 1.0))  # it works, and says so
    hang.set()
    client.time_ms += 3_600_000  # the next assessment is due
    if asks_the_loop:
        wait_for(lambda: not is_heard_for(client, 1.0))
        release.set()
        wait_for(lambda: is_heard_for(client, 0.2))  # and heard again once it goes on
    else:
        time.sleep(2 * PATIENCE_S)
        wait_for(lambda: is_heard_for(client, 1.0))
    worker.stop()
    release.set()
    running.join(60)


def test_a_worker_whose_loop_hangs_ends_with_its_parent(tmp_path: Path) -> None:
    program = (
        "import time\n"
        "from crews import worker, worker_loops\n"
        "worker._LAST_STEP_S = 0.2\n"
        "worker_loops.GuardianLoop.warm_up = lambda self: None\n"
        "worker_loops.GuardianLoop.run = lambda self: time.sleep(600)\n"
        "worker.run_and_exit()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        text=True,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(config_of(WorkerRole.GUARDIAN, tmp_path).model_dump_json() + "\n")
        process.stdin.flush()
        assert '"ready": true' in process.stdout.readline()
        process.stdin.close()
        assert process.wait(60) == 0
    finally:
        process.kill()
