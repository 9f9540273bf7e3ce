"""Rows that explain what happened, written off the feed's loop and in order.

Orders and breaker transitions are not here: they are durable before they take effect. These rows
are for people and for analysis; one thread writes them one after another on a connection of its
own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from trading.errors import SpikeguardError
from trading.storage.audit_log import AuditLog
from trading.storage.breaker_event_repository import BreakerEventRepository
from trading.storage.config import StorageConfig
from trading.storage.database import open_database
from trading.storage.decision_repository import DecisionRepository
from trading.storage.desk_note_repository import DeskNoteRepository
from trading.storage.desk_queue import DeskQueue
from trading.storage.equity_point_repository import EquityPointRepository
from trading.storage.model_call_repository import ModelCallRepository
from trading.storage.news_repository import NewsRepository
from trading.storage.review_repository import ReviewRepository
from trading.storage.spike_repository import SpikeRepository
from trading.storage.tool_execution_repository import ToolExecutionRepository
from trading.storage.untraded_repository import UntradedRepository

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RecordTables:
    """The repositories that share the records' connection."""

    spikes: SpikeRepository
    decisions: DecisionRepository
    tools: ToolExecutionRepository
    audit: AuditLog
    models: ModelCallRepository
    events: BreakerEventRepository
    news: NewsRepository
    equity: EquityPointRepository
    reviews: ReviewRepository
    desk: DeskQueue
    notes: DeskNoteRepository
    untraded: UntradedRepository


class Records:
    """``inline`` writes on the caller's thread: for a replay, where the order must be the same."""

    def __init__(self, storage: StorageConfig, *, inline: bool = False) -> None:
        self._connection = open_database(storage, durable=False, check=False)
        self._tables = RecordTables(
            spikes=SpikeRepository(self._connection),
            decisions=DecisionRepository(self._connection),
            tools=ToolExecutionRepository(self._connection),
            audit=AuditLog(self._connection),
            models=ModelCallRepository(self._connection),
            events=BreakerEventRepository(self._connection),
            news=NewsRepository(self._connection),
            equity=EquityPointRepository(self._connection),
            reviews=ReviewRepository(self._connection),
            desk=DeskQueue(self._connection),
            notes=DeskNoteRepository(self._connection),
            untraded=UntradedRepository(self._connection),
        )
        self._executor = (
            None if inline else ThreadPoolExecutor(max_workers=1, thread_name_prefix="records")
        )

    async def call(self, job: Callable[[RecordTables], T]) -> T:
        """Run ``job`` in turn and wait for what it returns."""
        if self._executor is None:
            return job(self._tables)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, job, self._tables)

    def write(self, job: Callable[[RecordTables], object]) -> None:
        """Run ``job`` in turn without waiting. A failure is logged: these rows halt nothing."""
        if self._executor is None:
            job(self._tables)
            return
        self._executor.submit(job, self._tables).add_done_callback(_log_failure)

    def close(self) -> None:
        """Write what still waits, then close."""
        if self._executor is not None:
            self._executor.shutdown(wait=True)
        self._connection.close()


def _log_failure(future: Future[object]) -> None:
    error = future.exception()
    if isinstance(error, SpikeguardError):
        log.error("a record was not written: %s", error)
    elif error is not None:
        log.error("a record was not written", exc_info=error)
