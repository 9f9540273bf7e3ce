"""What the crews put on record, and what they are asked to look back at."""

from __future__ import annotations

import time

from trading.clock import DAY_MS, Clock
from trading.exchange.recovery import RecoveryLog
from trading.model.decision import AgentDecision, ToolExecution
from trading.model.desk import DeskNote, DeskQuery, DeskSubject
from trading.model.model_call import ModelCall, ModelUsage
from trading.model.review import TradeReview, TradeToReview
from trading.node.board import Board
from trading.node.performance import PerformanceRollUp
from trading.node.records import Records, RecordTables

REVIEW_WITHIN_MS = DAY_MS  # older trades were closed while nobody looked: history by now


class CrewRecords:
    """The crews' half of ``CoreService`` that only touches the store."""

    def __init__(
        self,
        records: Records,
        board: Board,
        performance: PerformanceRollUp,
        clock: Clock,
        recovery: RecoveryLog | None,
    ) -> None:
        self._records = records
        self._board = board
        self._performance = performance
        self._clock = clock
        self._recovery = recovery

    async def record_decision(self, decision: AgentDecision) -> int:
        now_ms = self._clock.now_ms()
        self._board.count("decisions")
        self._performance.decided()
        return await self._records.call(lambda tables: tables.decisions.record(decision, now_ms))

    async def record_tool_execution(self, execution: ToolExecution) -> None:
        now_ms = self._clock.now_ms()
        self._board.count("tool calls")
        self._records.write(lambda tables: tables.tools.record(execution, now_ms))

    async def model_usage(self) -> ModelUsage:
        return await self._records.call(lambda tables: tables.models.usage(_wall_ms()))

    async def record_model_call(self, call: ModelCall) -> ModelUsage:
        self._board.count("model calls")

        def write(tables: RecordTables) -> ModelUsage:
            tables.models.record(call, _wall_ms())
            return tables.models.usage(_wall_ms())

        return await self._records.call(write)

    async def trade_to_review(self) -> TradeToReview | None:
        since_ms = self._clock.now_ms() - REVIEW_WITHIN_MS
        return await self._records.call(lambda tables: tables.reviews.next(since_ms))

    async def finish_review(self, review: TradeReview) -> None:
        now_ms = self._clock.now_ms()
        await self._records.call(lambda tables: tables.reviews.finish(review, now_ms))
        self._performance.roll_up(now_ms)

    async def desk_subject(self, query: DeskQuery) -> DeskSubject | None:
        now_ms = self._clock.now_ms()
        recovery = self._recovery.status() if self._recovery is not None else None
        return await self._records.call(lambda tables: tables.desk.next(query, now_ms, recovery))

    async def record_desk_note(self, note: DeskNote) -> int:
        now_ms = self._clock.now_ms()
        self._board.count("notes")
        return await self._records.call(lambda tables: tables.notes.record(note, now_ms))


def _wall_ms() -> int:
    """Models are paid by the wall's clock, whatever the market's is."""
    return time.time_ns() // 1_000_000
