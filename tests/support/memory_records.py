"""The part of a ``TradingClient`` without a core that takes records, and a list of every call."""

from __future__ import annotations

import threading
from typing import Any

from trading.api.schemas import ActivityEntry
from trading.model.decision import AgentDecision, ToolExecution
from trading.model.desk import DeskNote, DeskQuery, DeskSubject
from trading.model.model_call import ModelCall, ModelUsage
from trading.model.review import TradeReview, TradeToReview

CHANGING = frozenset(
    {"trip", "warn", "recover", "clear", "propose_trade", "cancel_order", "close_position"}
)


class MemoryRecords:
    """``calls`` holds (method, argument) in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.decisions: list[AgentDecision] = []
        self.executions: list[ToolExecution] = []
        self.activity: list[ActivityEntry] = []
        self.model_calls: list[ModelCall] = []
        self.trades_to_review: list[TradeToReview] = []
        self.reviews: list[TradeReview] = []
        self.subjects: list[DeskSubject] = []
        self.queries: list[DeskQuery] = []
        self.notes: list[DeskNote] = []
        self.usage = ModelUsage()
        self.on_call: Any = None
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def changes(self) -> list[str]:
        return [name for name in self.names() if name in CHANGING]

    def _note(self, name: str, argument: Any = None) -> None:
        with self._lock:
            self.calls.append((name, argument))
        if self.on_call is not None:
            self.on_call(name)

    def record_decision(self, decision: AgentDecision) -> int:
        self._note("record_decision", decision)
        with self._lock:
            self.decisions.append(decision)
            return len(self.decisions)

    def record_tool_execution(self, execution: ToolExecution) -> None:
        self._note("record_tool_execution", execution)
        with self._lock:
            self.executions.append(execution)

    def trade_to_review(self) -> TradeToReview | None:
        self._note("trade_to_review")
        return self.trades_to_review[0] if self.trades_to_review else None

    def finish_review(self, review: TradeReview) -> None:
        self._note("finish_review", review)
        self.trades_to_review.pop(0)
        self.reviews.append(review)

    def desk_subject(self, query: DeskQuery) -> DeskSubject | None:
        self._note("desk_subject", query)
        self.queries.append(query)
        wanted = [one for one in self.subjects if one.kind in query.kinds]
        return wanted[0] if wanted else None

    def record_desk_note(self, note: DeskNote) -> int:
        self._note("record_desk_note", note)
        self.subjects = [one for one in self.subjects if one.id != note.subject_id]
        self.notes.append(note)
        return len(self.notes)

    def model_usage(self) -> ModelUsage:
        self._note("model_usage")
        return self.usage

    def record_model_call(self, call: ModelCall) -> ModelUsage:
        self._note("record_model_call", call)
        with self._lock:
            self.model_calls.append(call)
            tokens = call.input_tokens + call.output_tokens
            self.usage = ModelUsage(
                hour_tokens=self.usage.hour_tokens + tokens,
                hour_micro_usd=self.usage.hour_micro_usd + call.cost_micro_usd,
                day_tokens=self.usage.day_tokens + tokens,
                day_micro_usd=self.usage.day_micro_usd + call.cost_micro_usd,
            )
            return self.usage

    def record_activity(self, entry: ActivityEntry) -> None:
        self._note("record_activity", entry)
        self.activity.append(entry)

    def worker_heartbeat(self, worker: str, detail: str) -> None:
        self._note("worker_heartbeat", worker)
