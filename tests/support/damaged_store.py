"""A core's breaker over a store that somebody damages, step by step, in a process of its own."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trading.clock import SystemClock
from trading.errors import StoreError
from trading.model.breaker import Actor, BreakerSnapshot
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.shared_record import SharedRecordWriter
from trading.storage.config import StorageConfig
from trading.storage.file_watch import FileWatch

NOBODY = 65_534


class Steps:
    """What a test can ask of the breaker; one word each."""

    def __init__(self, breaker: CircuitBreaker, folder: Path) -> None:
        self._breaker = breaker
        self._folder = folder

    def trip(self) -> None:
        assert self._breaker.trigger("fall").epoch == self._breaker.snapshot.epoch

    def clear(self) -> None:
        epoch = self._breaker.snapshot.epoch
        self._breaker.clear(actor=Actor.OPERATOR, reason="go", epoch=epoch, force=True)

    def wait(self) -> None:
        """Until the test has done what it does to the files."""
        while not (self._folder / "go").exists():
            time.sleep(0.002)

    def look(self) -> None:
        """What a core does ten times a second."""
        self._breaker.refresh()

    def warn(self) -> None:
        """A step that must be stored; what the store says to it shows in the state."""
        if self._breaker.snapshot.status == "SAFE":
            try:
                self._breaker.set_warning("early sign", actor=Actor.RULE)
            except StoreError:
                assert not isinstance(self._breaker, IgnoresErrors)

    def fill(self) -> None:
        """From now on no file grows: a full disk for this process alone."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


class IgnoresErrors(CircuitBreaker):
    """A mutant: what the store could not take is logged by somebody, somewhere."""

    def _trip_for_store(self, error: StoreError) -> None:
        pass

    def set_warning(self, *args: Any, **kwargs: Any) -> BreakerSnapshot:
        try:
            return super().set_warning(*args, **kwargs)
        except StoreError:
            return self.snapshot


def main(task: dict[str, Any], say: Callable[..., None]) -> None:
    """``task``: folder, whether to be nobody, steps, and the mutant to be, if any."""
    folder = Path(task["folder"])
    if task["as_nobody"] and os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    kind = CircuitBreaker
    if task["mutant"] == "blind":
        FileWatch.require_whole = lambda self: None  # type: ignore[method-assign]
        SharedRecordWriter.take_over = lambda self, store: None  # type: ignore[method-assign]
    elif task["mutant"] == "deaf":
        kind = IgnoresErrors
    storage = StorageConfig(path=folder / "store" / "store.sqlite3", busy_timeout_ms=100)
    record = SharedRecordWriter(folder / "record")
    breaker = kind.open(CircuitBreakerConfig(), SystemClock(), storage, record=record)
    steps = Steps(breaker, folder)
    for step in ("open", *task["steps"]):
        if step != "open":
            getattr(steps, step)()
        snapshot = breaker.snapshot
        say(
            after=step,
            status=snapshot.status,
            latch=snapshot.latch,
            epoch=snapshot.epoch,
            reason=" ".join((*snapshot.causes, snapshot.reason))[:1_000],
            blocked=breaker.entries_blocked,
        )
    time.sleep(600)
