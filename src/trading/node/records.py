"""Rows that explain what happened, written off the feed's loop and in order.

Orders and breaker transitions are not here: they are durable before they take effect. These rows
are for people and for analysis; one thread writes them one after another on a connection of its
own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from sqlite3 import IntegrityError
from typing import TypeVar

from trading.errors import SpikeguardError, StoreError
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

WRITES_AGAIN_AFTER_S = 60.0  # without a failure; the guardian writes every half minute


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
        self._trouble = _Trouble()

    @property
    def problem(self) -> str:
        """Why records are not written at present; empty while they are. From any thread."""
        return self._trouble.problem

    def tell(self, listener: Callable[[str], None]) -> None:
        """Have ``listener`` called when writing begins to fail, with the problem, and once more
        with "" when it works again. On the records' thread."""
        self._trouble.listener = listener

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
        self._executor.submit(job, self._tables).add_done_callback(self._trouble.judge)

    def close(self) -> None:
        """Write what still waits, then close."""
        if self._executor is not None:
            self._executor.shutdown(wait=True)
        self._connection.close()


class _Trouble:
    """Whether rows are written. One that refers to a row which was lost says nothing of that.

    It is over when rows have been written for a while: on a full disk a small one may still fit.
    """

    def __init__(self) -> None:
        self.problem = ""
        self.listener: Callable[[str], None] = lambda _: None
        self._failed_at_s = 0.0

    def judge(self, future: Future[object]) -> None:
        """Log and remember how a write ended. On the records' thread."""
        error = future.exception()
        if isinstance(error, SpikeguardError):
            log.error("a record was not written: %s", error)
        elif error is not None:
            log.error("a record was not written", exc_info=error)
        if isinstance(error, StoreError) and not isinstance(error.__cause__, IntegrityError):
            self._failed_at_s = time.monotonic()
            self._set(str(error))
        elif error is None and time.monotonic() - self._failed_at_s >= WRITES_AGAIN_AFTER_S:
            self._set("")

    def _set(self, problem: str) -> None:
        if bool(problem) != bool(self.problem):
            self.listener(problem)
        self.problem = problem
