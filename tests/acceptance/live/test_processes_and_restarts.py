"""The processes of a live run: what they may know, and what survives when they are killed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from live_instance import LiveInstance, eventually, live_instance

from crews.live import supervisor as supervision
from crews.live.processes import Child
from trading.api.schemas import ClearCommand, TripCommand
from trading.errors import IllegalTransitionError
from trading.model.breaker import Actor, BreakerStatus
from trading.node.instance import RuntimePaths

LLM_LIBRARIES = re.compile(r"\|\s+(crewai|openai|langchain\w*|litellm)\b")


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveInstance]:
    """Every import of the core process goes into its log."""
    start = Child.start

    def with_import_log(child: Child) -> None:
        if child.name == "core":
            child.environment = {**child.environment, "PYTHONPROFILEIMPORTTIME": "1"}
        start(child)

    monkeypatch.setattr(Child, "start", with_import_log)
    monkeypatch.setenv("BINANCE_API_KEY", "a-key-that-no-worker-may-see")
    with live_instance(tmp_path) as running:
        yield running


def environment_of(pid: int) -> dict[str, str]:
    return psutil.Process(pid).environ()


def worker_is_seen(instance: LiveInstance, name: str) -> bool:
    components = {c.name: c for c in instance.operator.status().components}
    return name in components and components[name].ok


@pytest.mark.timeout(300)
def test_the_core_knows_no_llm_library_and_the_workers_no_exchange_key(
    instance: LiveInstance, tmp_path: Path
) -> None:
    supervisor = instance.supervisor
    eventually(lambda: worker_is_seen(instance, "spike-worker"), 120, "the spike worker reports")

    imports = (tmp_path / "run" / "logs" / "core.log").read_text()
    assert "trading.node.process" in imports, "the log does hold the core's imports"
    assert LLM_LIBRARIES.search(imports) is None
    assert LLM_LIBRARIES.search("import time:       1 |          1 |   crewai.agent") is not None

    core = environment_of(supervisor.process_id("core"))
    assert core["BINANCE_SIM_API_KEY"]
    for name in ("guardian worker", "spike worker"):
        worker = environment_of(supervisor.process_id(name))
        assert [key for key in worker if key.startswith("BINANCE_")] == []

    # A worker that dies is started again, and the core has gone on meanwhile.
    first = supervisor.process_id("spike worker")
    os.kill(first, signal.SIGKILL)
    eventually(
        lambda: supervisor.check() or supervisor.process_id("spike worker") not in (0, first),
        60,
        "the supervisor starts the worker again",
    )
    eventually(lambda: is_safe(instance), 30, "the breaker is SAFE")

    # The workers' socket makes everybody a model: it may trip, and never ease.
    tripped = instance.worker.trip(TripCommand(reason="a hunch", actor=Actor.OPERATOR))
    assert tripped.snapshot.actor is Actor.LLM
    with pytest.raises(IllegalTransitionError):
        instance.worker.clear(
            ClearCommand(reason="let me", actor=Actor.OPERATOR, epoch=1, force=True)
        )
    assert instance.worker.breaker_snapshot().status is BreakerStatus.TRIGGERED

    # A core that is gone reads as a halt, whatever its last word was.
    instance.operator.clear(ClearCommand(reason="test", epoch=1, force=True))
    eventually(lambda: is_safe(instance), 30, "cleared")
    os.kill(supervisor.process_id("core"), signal.SIGKILL)
    eventually(
        lambda: instance.worker.breaker_snapshot().status is BreakerStatus.TRIGGERED,
        30,
        "a stale record reads as TRIGGERED",
    )


def is_safe(instance: LiveInstance) -> bool:
    """As a worker reads it, to which a heartbeat a second late is a halt."""
    return instance.worker.breaker_snapshot().status is BreakerStatus.SAFE


@pytest.mark.timeout(300)
def test_a_core_in_place_of_a_hung_one_begins_with_the_trip_that_was_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "CORE_HUNG_AFTER_MS", 2_000)
    monkeypatch.setattr(supervision, "HUNG_CONFIRMED_AFTER_S", 0.5)
    with live_instance(tmp_path, with_workers=False) as instance:
        supervisor = instance.supervisor
        first = supervisor.process_id("core")
        eventually(lambda: is_safe(instance), 60, "the breaker is SAFE")
        os.kill(first, signal.SIGSTOP)
        eventually(
            lambda: supervisor.check() or supervisor.process_id("core") not in (first, None),
            120,
            "the supervisor replaces the core",
        )
        tripped = eventually(
            lambda: snapshot if (snapshot := instance.worker.breaker_snapshot()).epoch else None,
            120,
            "the new core trips",
        )
    assert tripped.status is BreakerStatus.TRIGGERED
    assert "the core hung" in tripped.reason


class CommandLine:
    """`python -m crews.run …` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "config").mkdir()
        (folder / "config" / "crewai_config.yaml").write_text(
            "storage:\n  path: store.sqlite3\napi:\n  runtime_directory: run\n"
            "market_generator:\n  scenario: calm\n"
        )

    def leave_out_the_crews(self) -> None:
        """From the next start on; they take longest to come up."""
        with (self.folder / "config" / "crewai_config.yaml").open("a") as file:
            file.write("crews:\n  enabled: false\n")

    def start_live(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "crews.run", "live", "--plain"],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        # Until somebody listens, every question would only cost a process.
        eventually(self._listens, 120, "the instance listens")
        eventually(lambda: self.status(running=True), 120, "the instance runs")
        return process

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as caller:
            return not caller.connect_ex(str(RuntimePaths(self.folder / "run").operator_socket))

    def run(self, *arguments: str) -> tuple[int, dict[str, Any], float]:
        """Exit code, JSON answer, seconds."""
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "crews.run", *arguments, "--json"],
            cwd=self.folder,
            capture_output=True,
            timeout=120,
            check=False,
        )
        answer = json.loads(done.stdout) if done.stdout.strip() else {}
        return done.returncode, answer, time.monotonic() - begun

    def status(self, *, running: bool) -> dict[str, Any] | None:
        """The breaker, when it is (or is not) of a running instance."""
        code, answer, _ = self.run("breaker", "status")
        return answer if code == 0 and answer["running"] is running else None


@pytest.mark.timeout(400)
def test_a_trip_from_another_terminal_survives_kill_nine_and_a_restart(tmp_path: Path) -> None:
    terminal = CommandLine(tmp_path)
    live = terminal.start_live()
    try:
        code, tripped, _ = terminal.run("breaker", "trip", "--reason", "test")
        assert code == 0
        assert tripped["snapshot"]["status"] == "TRIGGERED"
        _, status, _ = terminal.run("status")
        assert status["breaker"]["snapshot"]["status"] == "TRIGGERED"
        children = psutil.Process(live.pid).children(recursive=True)
    finally:
        live.kill()
        live.wait()
    _, left = psutil.wait_procs(children, timeout=120)  # a worker may still be importing
    assert not left, "no process outlives its supervisor"

    stored = eventually(lambda: terminal.status(running=False), 60, "the stored state is read")
    assert (stored["snapshot"]["status"], stored["snapshot"]["epoch"]) == ("TRIGGERED", 1)

    terminal.leave_out_the_crews()
    live = terminal.start_live()
    try:
        again = terminal.status(running=True)
        assert again is not None
        assert (again["snapshot"]["status"], again["snapshot"]["epoch"]) == ("TRIGGERED", 1)
        assert again["snapshot"]["latch"] == "MANUAL"
        code, _, _ = terminal.run("live", "--duration", "1", "--plain")
        assert code == 4, "a second core on the same store is refused"
    finally:
        live.send_signal(signal.SIGINT)
        output = live.communicate(timeout=120)[0].decode()
    assert live.returncode == 0, output
    assert "saving state" in output
