"""The worker as a process of its own: real socket, real shared record, no exchange key."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from memory_client import START_MS, MemoryTradingClient, make_claim, make_snapshot

from crews.worker import refuse_exchange_keys
from crews.worker_config import WorkerConfig, WorkerRole
from trading.api.app import Role, create_app
from trading.api.config import ApiConfig
from trading.errors import ConfigurationError
from trading.risk.shared_record import SharedRecordWriter


class AsyncService:
    """The memory client behind the control API's asynchronous face."""

    def __init__(self, client: MemoryTradingClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._client, name)
        if name in ("breaker_snapshot", "now_ms"):
            return method

        async def answer(*arguments: Any) -> Any:
            if name == "claim_spike" and not self._client.claims:
                await asyncio.sleep(0.05)
            return method(*arguments)

        return answer


class Core:
    """What a worker needs of a core: the workers' socket and a beating record."""

    def __init__(self, folder: Path) -> None:
        self.client = MemoryTradingClient()
        self.socket, self.record = folder / "worker.sock", folder / "breaker.shm"
        self._writer = SharedRecordWriter(self.record)
        self._stop = threading.Event()
        app = create_app(AsyncService(self.client), Role.WORKER, ApiConfig())  # type: ignore[arg-type]
        self._server = uvicorn.Server(
            uvicorn.Config(app, uds=str(self.socket), log_config=None, lifespan="off")
        )
        self._threads = [
            threading.Thread(target=self._server.run, daemon=True),
            threading.Thread(target=self._beat, daemon=True),
        ]

    def start(self) -> None:
        self.show(make_snapshot())
        for thread in self._threads:
            thread.start()
        wait_for(lambda: self._server.started)

    def show(self, snapshot: Any) -> None:
        self.client.snapshot = snapshot
        self._writer.write(snapshot)

    def stop(self) -> None:
        self._stop.set()
        self._server.should_exit = True
        for thread in self._threads:
            thread.join(30)

    def _beat(self) -> None:
        while not self._stop.wait(0.05):
            self._writer.beat(START_MS)


def wait_for(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    core = Core(tmp_path)
    core.start()
    yield core
    core.stop()


def start_worker(
    core: Core, role: WorkerRole, *, crews: dict[str, Any] | None = None, **environment: str
) -> subprocess.Popen[str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BINANCE_", "OPENAI_", "CREWAI_"))
    }
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "crews.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**kept, **environment},
    )
    config = WorkerConfig.model_validate(
        {
            "role": role,
            "socket_path": core.socket,
            "record_path": core.record,
            "crews": crews or {"worker": {"heartbeat_interval_s": 0.1}},
        }
    )
    assert process.stdin is not None
    process.stdin.write(config.model_dump_json() + "\n")
    process.stdin.flush()
    return process


def test_an_environment_with_an_exchange_key_is_refused_by_name_and_without_its_value() -> None:
    with pytest.raises(ConfigurationError, match="BINANCE_API_SECRET") as raised:
        refuse_exchange_keys({"PATH": "/bin", "BINANCE_API_SECRET": "hush"})
    assert "hush" not in str(raised.value)
    refuse_exchange_keys({"PATH": "/bin", "OPENAI_API_KEY": "sk"})


def test_a_spike_worker_runs_claimed_spikes_and_ends_with_its_parent(core: Core) -> None:
    core.client.claims = [make_claim(), make_claim()]
    process = start_worker(core, WorkerRole.SPIKE)
    try:
        wait_for(lambda: len(core.client.reports) == 2)
        assert {report.status.value for report in core.client.reports} == {"traded"}
        assert len(core.client.decisions) == 10
        assert "worker_heartbeat" in core.client.names()
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0
        assert process.stdout is not None
        assert '"ready": true' in process.stdout.readline()
    finally:
        process.kill()


def test_a_guardian_worker_looks_at_once_when_the_breaker_changes_and_obeys_sigterm(
    core: Core,
) -> None:
    process = start_worker(core, WorkerRole.GUARDIAN)
    try:
        wait_for(lambda: len(core.client.decisions) == 1)
        core.show(make_snapshot("TRIGGERED", 1, causes=("btc_drawdown_1h",)))
        wait_for(lambda: len(core.client.decisions) == 4)
        kinds = [decision.decision_type for decision in core.client.decisions]
        assert kinds == [
            "guardian_assessment",
            "guardian_assessment",
            "recovery_assessment",
            "incident_report",
        ]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()


def test_a_worker_with_a_key_in_sight_does_not_start(core: Core) -> None:
    process = start_worker(core, WorkerRole.SPIKE, BINANCE_API_KEY="a-key-value")
    try:
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 4
    assert "BINANCE_API_KEY" in errors
    assert "a-key-value" not in errors


def test_a_worker_whose_core_is_gone_ends_itself(core: Core) -> None:
    crews = {"worker": {"heartbeat_interval_s": 0.1, "core_lost_after_s": 1.0}}
    process = start_worker(core, WorkerRole.GUARDIAN, crews=crews)
    try:
        wait_for(lambda: "worker_heartbeat" in core.client.names())
        core.stop()
        assert process.wait(30) == 3
    finally:
        process.kill()


def test_a_worker_that_is_ended_while_it_imports_leaves_no_folder_behind(
    core: Core, tmp_path: Path
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    process = start_worker(core, WorkerRole.GUARDIAN, TMPDIR=str(folder))
    try:
        wait_for(lambda: any(folder.glob("spikeguard-crewai-*")))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
    assert list(folder.iterdir()) == []
