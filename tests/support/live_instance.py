"""A live run in a folder of its own: embedded exchange and core as processes, no screen."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from crews.config_loader import LoadedConfig, load_config
from crews.live.options import LiveOptions
from crews.live.preflight import check_before_start
from crews.live.processes import Child
from crews.live.supervisor import Supervisor
from trading.api.http_client import HttpTradingClient
from trading.api.operator_client import OperatorClient
from trading.simulator.server.config import ExchangeServerConfig

T = TypeVar("T")
SUPPORT = Path(__file__).parent


class ControlledSupervisor(Supervisor):
    """Its exchange takes price shocks and tells which orders arrived."""

    with_workers = True

    def _start_workers(self) -> None:
        if self.with_workers:
            super()._start_workers()

    def exchange_settings(self) -> ExchangeServerConfig:
        return super().exchange_settings().model_copy(update={"control": True})

    def process_id(self, name: str) -> int:
        """Of "exchange", "core", "guardian worker" or "spike worker"; 0: it has not begun yet."""
        children = [self._exchange, self._core and self._core.child]
        children += [worker.child for worker in self._workers]
        pids = (c.pid for c in children if c is not None and c.name == name)
        return next(pids) or 0


@dataclass
class LiveInstance:
    """A running instance and the two ways to talk to it, beside its exchange's control."""

    supervisor: ControlledSupervisor
    operator: OperatorClient
    worker: HttpTradingClient
    control: httpx.Client
    loaded: LoadedConfig

    def shock(self, symbol: str, pct: float, duration_s: float, volume_factor: float = 8) -> None:
        body = {"symbol": symbol, "pct": pct, "duration_s": duration_s}
        body["volume_factor"] = volume_factor
        self.control.post("/control/shock", json=body).raise_for_status()

    def received_orders(self) -> list[dict[str, Any]]:
        """Order posts as they arrived at the exchange, oldest first."""
        orders: list[dict[str, Any]] = self.control.get("/control/received").json()
        return orders


@contextmanager
def live_instance(
    folder: Path,
    *,
    speed: float = 1.0,
    scenario: str = "calm",
    with_workers: bool = True,
    **settings: Any,
) -> Iterator[LiveInstance]:
    """Start, yield, stop. ``settings`` are dotted keys with ``__`` for the dot.

    Without workers the core expects crews all the same: the test stands in for them.
    """
    loaded = isolated_config(folder, **settings)
    check_before_start(loaded)
    supervisor = ControlledSupervisor(loaded, LiveOptions(speed=speed, scenario=scenario))
    supervisor.with_workers = with_workers
    supervisor.start()
    try:
        paths = supervisor.paths
        with (
            OperatorClient(paths.operator_socket) as operator,
            HttpTradingClient(paths.worker_socket, paths.breaker_record) as worker,
            httpx.Client(base_url=supervisor.exchange_url) as control,
        ):
            yield LiveInstance(supervisor, operator, worker, control, loaded)
    finally:
        supervisor.stop()


def start_hanging_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on an instance's core is a ``hanging_core`` that looks into the instance's folder
    for what to do."""
    start = Child.start

    def start_hanging(child: Child) -> None:
        if child.name == "core":
            path = os.pathsep.join([str(SUPPORT), *filter(None, sys.path)])
            added = {"PYTHONPATH": path, "HANGING_CORE": str(child.log_path.parents[2])}
            child.module = "hanging_core"
            child.environment = {**child.environment, **added}
        start(child)

    monkeypatch.setattr(Child, "start", start_hanging)


def isolated_config(folder: Path, **settings: Any) -> LoadedConfig:
    """The shipped configuration with its files in ``folder``."""
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    dotted |= {
        "storage.path": str(folder / "store.sqlite3"),
        "api.runtime_directory": str(folder / "run"),
        "agents.llm.provider": "rule",
    }
    return load_config(None, {key: ("test", value) for key, value in dotted.items()})


def eventually(probe: Callable[[], T | None], timeout_s: float, what: str) -> T:
    """The first truthy answer of ``probe``; fails the test after ``timeout_s`` seconds."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if answer := probe():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"did not happen within {timeout_s:g} s: {what}")
