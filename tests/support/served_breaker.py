"""A control API as a running core serves it, over a real breaker, for tests of the command line."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from trading.api.config import ApiConfig
from trading.api.schemas import (
    BreakerView,
    ClearCommand,
    CommandResult,
    CoreStatus,
    RecoverCommand,
    TripCommand,
    WarnCommand,
)
from trading.api.service import CoreService
from trading.clock import SystemClock
from trading.node.instance import InstanceInfo, InstanceLock, RuntimePaths, write_info
from trading.node.servers import control_api
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.config import StorageConfig


class BreakerService:
    """The part of ``CoreService`` that the breaker commands and `status` use."""

    def __init__(self, breaker: CircuitBreaker) -> None:
        self.real = breaker
        self.answers = threading.Event()  # cleared: the core hangs
        self.answers.set()

    async def breaker(self) -> BreakerView:
        await self._wait()
        return BreakerView(snapshot=self.real.snapshot, blockers=self.real.blockers())

    async def trip(self, command: TripCommand) -> CommandResult:
        await self._wait()
        self.real.trigger(command.reason, command.details, actor=command.actor)
        return self._result("halted")

    async def warn(self, command: WarnCommand) -> CommandResult:
        self.real.set_warning(command.reason, actor=command.actor)
        return self._result("WARNING set")

    async def recover(self, command: RecoverCommand) -> CommandResult:
        self.real.start_recovery(actor=command.actor, reason=command.reason, epoch=command.epoch)
        return self._result("recovery started")

    async def clear(self, command: ClearCommand) -> CommandResult:
        self.real.clear(
            actor=command.actor, reason=command.reason, epoch=command.epoch, force=command.force
        )
        return self._result("cleared")

    def halt_shown(self) -> None:
        pass

    async def status(self) -> CoreStatus:
        return CoreStatus(
            time_ms=SystemClock().now_ms(),
            venue="sim",
            dry_run=False,
            account="test",
            process_id=1,
            started_at_ms=0,
            breaker=await self.breaker(),
            portfolio=None,
            spikes=(),
            activity=(),
            components=(),
            counters={"orders": 3},
        )

    async def _wait(self) -> None:
        await asyncio.to_thread(self.answers.wait)

    def _result(self, message: str) -> CommandResult:
        return CommandResult(applied=True, message=message, snapshot=self.real.snapshot)


@contextmanager
def serving_breaker(storage: StorageConfig, runtime_directory: Path) -> Iterator[BreakerService]:
    """Serve the breaker of ``storage`` on a thread, with lock and card as a core has them."""
    breaker = CircuitBreaker.open(CircuitBreakerConfig(), SystemClock(), storage)
    service = BreakerService(breaker)
    paths = RuntimePaths(runtime_directory)
    lock = InstanceLock(paths)
    lock.acquire()
    ready, ended = threading.Event(), threading.Event()

    async def serve() -> None:
        async with control_api(
            cast(CoreService, service), ApiConfig(runtime_directory=str(runtime_directory)), paths
        ):
            ready.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    write_info(
        paths,
        InstanceInfo(
            pid=1,
            venue="sim",
            account="test",
            dry_run=False,
            store=str(storage.path),
            operator_socket=str(paths.operator_socket),
            worker_socket=str(paths.worker_socket),
            breaker_record=str(paths.breaker_record),
            started_at_ms=0,
        ),
    )
    try:
        yield service
    finally:
        service.answers.set()
        ended.set()
        thread.join(10)
        lock.release()
        breaker.close()
