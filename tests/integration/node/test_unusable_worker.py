"""A worker that cannot work as configured is not started again, and everybody is told."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from core_in_process import CoreInProcess, core_in_process
from live_instance import eventually, isolated_config
from pydantic import BaseModel

from crews.live import worker_watch
from crews.live.options import LiveOptions
from crews.live.processes import Child, RestartPolicy
from crews.live.supervisor import Supervisor
from crews.live.worker_watch import Watched
from trading.api.schemas import ComponentHealth
from trading.node.notifier import Notification
from trading.node.notify_config import NotificationLevel

PRICES = {"BTCUSDT": 50_000.0, "ETHUSDT": 2_000.0}
NAME = "spike-worker"  # as it calls itself


class Nothing(BaseModel):
    pass


class Told:
    """Keeps what people were told."""

    def __init__(self) -> None:
        self.messages: list[Notification] = []

    def notify(self, message: Notification) -> None:
        self.messages.append(message)

    def close(self) -> None:
        pass


@contextmanager
def watching(
    folder: Path, child: Child, policy: RestartPolicy
) -> Iterator[tuple[Supervisor, Told]]:
    supervisor, told = Supervisor(isolated_config(folder), LiveOptions()), Told()
    supervisor._notifier = told  # type: ignore[assignment]
    supervisor._workers.append(Watched(child, policy))
    try:
        child.start()
        yield supervisor, told
    finally:
        supervisor.stop()


def make_child(folder: Path, module: str, **environment: str) -> Child:
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    return Child(
        name="spike worker",
        module=module,
        settings=Nothing(),
        environment={**os.environ, "PYTHONPATH": path, **environment},
        log_path=folder / "spike-worker.log",
    )


def in_status(core: CoreInProcess) -> ComponentHealth | None:
    return next((one for one in core.operator.status().components if one.name == NAME), None)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_watch, "LOOK_AT_WORKERS_EVERY_S", 0.0)


def test_a_worker_that_refuses_its_configuration_is_left_alone_and_status_says_why(
    tmp_path: Path,
) -> None:
    child = make_child(tmp_path, "crews.worker", BINANCE_API_KEY="seen")
    policy = RestartPolicy(first_s=0.01, most_s=0.01)
    with (
        core_in_process(tmp_path, PRICES) as core,
        watching(tmp_path, child, policy) as (supervisor, told),
    ):
        first = child.pid
        eventually(lambda: supervisor.check() or told.messages, 60, "people are told")
        for _ in range(10):
            supervisor.check()
            time.sleep(0.02)
        assert (child.pid, child.exit_code) == (first, 4)
        (message,) = told.messages
        assert message.level is NotificationLevel.CRITICAL
        assert "cannot work with its configuration" in message.text
        assert "must not see exchange keys" in message.text
        shown = in_status(core)
        assert shown is not None
        assert not shown.ok
        assert "must not see exchange keys" in shown.detail
        core.worker.worker_heartbeat(NAME, "back")
        shown = in_status(core)
        assert shown is not None
        assert (shown.ok, shown.detail) == (True, "back"), "whoever lives is not given up"


def test_a_worker_that_ends_for_any_other_reason_is_started_again_up_to_the_limit(
    tmp_path: Path,
) -> None:
    (tmp_path / "dying.py").write_text("import sys\nsys.exit('no more memory')\n")
    child = make_child(tmp_path, "dying")
    policy = RestartPolicy(first_s=0.01, most_s=0.01, limit=3)
    with (
        core_in_process(tmp_path, PRICES) as core,
        watching(tmp_path, child, policy) as (supervisor, told),
    ):

        def is_given_up() -> bool:
            supervisor.check()
            return bool(told.messages) and told.messages[-1].level is NotificationLevel.CRITICAL

        eventually(is_given_up, 60, "it is left alone")
        supervisor.check()
        assert [one.level for one in told.messages] == [NotificationLevel.WARNING] * 2 + [
            NotificationLevel.CRITICAL
        ]
        shown = in_status(core)
        assert shown is not None
        assert "died 3 times in a row" in shown.detail
