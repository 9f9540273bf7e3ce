"""``TradingClient`` inside the core's own process, for ``replay`` and tests.

The core's coroutines run on a loop in another thread; each call waits for its answer, so a crew
that runs on the caller's thread sees exactly what it would see over the socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from trading.api.schemas import (
    ActivityEntry,
    BreakerStatistics,
    BreakerView,
    ClearCommand,
    CommandResult,
    CoreStatus,
    Portfolio,
    RecoverCommand,
    RecoveryConditions,
    SpikeClaim,
    TripCommand,
    WarnCommand,
)
from trading.api.service import CoreService
from trading.errors import CoreTimeoutError
from trading.model.breaker import Actor, BreakerSnapshot
from trading.model.decision import (
    AgentDecision,
    ProposalResult,
    RiskPreview,
    SpikeRunReport,
    ToolExecution,
    TradeProposal,
)
from trading.model.derivatives import FuturesView, LiquidationsView
from trading.model.desk import DeskNote, DeskQuery, DeskSubject
from trading.model.history import PastSpikes, SpikePattern
from trading.model.market import Bar, Book
from trading.model.metrics import MarketSnapshot, PumpView, SymbolStats
from trading.model.model_call import ModelCall, ModelUsage
from trading.model.news import NewsBatch, NewsKind, NewsView, TransfersView
from trading.model.operations import Controls
from trading.model.order import OrderReport
from trading.model.review import TradeReview, TradeToReview

T = TypeVar("T")


class InProcessTradingClient:
    """Calls ``service`` on ``loop``. As on the workers' socket, commands count as a model's."""

    def __init__(
        self, service: CoreService, loop: asyncio.AbstractEventLoop, *, timeout_s: float = 30.0
    ) -> None:
        self._service = service
        self._loop = loop
        self._timeout_s = timeout_s

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(self._timeout_s)
        except TimeoutError as error:
            future.cancel()
            raise CoreTimeoutError(f"no answer within {self._timeout_s:g} s") from error

    def breaker_snapshot(self) -> BreakerSnapshot:
        return self._service.breaker_snapshot()

    def now_ms(self) -> int:
        return self._service.now_ms()

    def status(self) -> CoreStatus:
        return self._run(self._service.status())

    def controls(self) -> Controls:
        return self._run(self._service.controls())

    def breaker(self) -> BreakerView:
        return self._run(self._service.breaker())

    def trip(self, command: TripCommand) -> CommandResult:
        return self._run(self._service.trip(command.model_copy(update={"actor": Actor.LLM})))

    def warn(self, command: WarnCommand) -> CommandResult:
        return self._run(self._service.warn(command.model_copy(update={"actor": Actor.LLM})))

    def recover(self, command: RecoverCommand) -> CommandResult:
        return self._run(self._service.recover(command.model_copy(update={"actor": Actor.LLM})))

    def clear(self, command: ClearCommand) -> CommandResult:
        return self._run(self._service.clear(command.model_copy(update={"actor": Actor.LLM})))

    def breaker_statistics(self) -> BreakerStatistics:
        return self._run(self._service.breaker_statistics())

    def recovery_conditions(self) -> RecoveryConditions:
        return self._run(self._service.recovery_conditions())

    def market(self) -> MarketSnapshot:
        return self._run(self._service.market())

    def symbol_stats(self, symbol: str) -> SymbolStats:
        return self._run(self._service.symbol_stats(symbol))

    def bars(self, symbol: str, limit: int) -> tuple[Bar, ...]:
        return self._run(self._service.bars(symbol, limit))

    def history(self, symbols: tuple[str, ...], limit: int) -> dict[str, tuple[Bar, ...]]:
        return self._run(self._service.history(symbols, limit))

    def futures(self, symbol: str) -> FuturesView:
        return self._run(self._service.futures(symbol))

    def liquidations(self) -> LiquidationsView:
        return self._run(self._service.liquidations())

    def pump(self, symbol: str) -> PumpView:
        return self._run(self._service.pump(symbol))

    def past_spikes(self, pattern: SpikePattern) -> PastSpikes:
        return self._run(self._service.past_spikes(pattern))

    def news(self, symbol: str, kind: NewsKind, hours: float, limit: int) -> NewsView:
        return self._run(self._service.news(symbol, kind, hours, limit))

    def transfers(self, asset: str, hours: float) -> TransfersView:
        return self._run(self._service.transfers(asset, hours))

    def record_news(self, batch: NewsBatch) -> int:
        return self._run(self._service.record_news(batch))

    def order_book(self, symbol: str, depth: int) -> Book:
        return self._run(self._service.order_book(symbol, depth))

    def portfolio(self) -> Portfolio:
        return self._run(self._service.portfolio())

    def preview_trade(self, proposal: TradeProposal) -> RiskPreview:
        return self._run(self._service.preview_trade(proposal))

    def propose_trade(self, proposal: TradeProposal) -> ProposalResult:
        return self._run(self._service.propose_trade(proposal))

    def cancel_order(self, client_order_id: str, reason: str) -> OrderReport:
        return self._run(self._service.cancel_order(client_order_id, reason))

    def close_position(self, symbol: str, reason: str) -> ProposalResult:
        return self._run(self._service.close_position(symbol, reason))

    def claim_spike(self, worker: str, timeout_s: float) -> SpikeClaim | None:
        return self._run(self._service.claim_spike(worker, timeout_s))

    def finish_spike_run(self, report: SpikeRunReport) -> None:
        self._run(self._service.finish_spike_run(report))

    def record_decision(self, decision: AgentDecision) -> int:
        return self._run(self._service.record_decision(decision))

    def record_tool_execution(self, execution: ToolExecution) -> None:
        self._run(self._service.record_tool_execution(execution))

    def trade_to_review(self) -> TradeToReview | None:
        return self._run(self._service.trade_to_review())

    def finish_review(self, review: TradeReview) -> None:
        self._run(self._service.finish_review(review))

    def desk_subject(self, query: DeskQuery) -> DeskSubject | None:
        return self._run(self._service.desk_subject(query))

    def record_desk_note(self, note: DeskNote) -> int:
        return self._run(self._service.record_desk_note(note))

    def model_usage(self) -> ModelUsage:
        return self._run(self._service.model_usage())

    def record_model_call(self, call: ModelCall) -> ModelUsage:
        return self._run(self._service.record_model_call(call))

    def record_activity(self, entry: ActivityEntry) -> None:
        self._run(self._service.record_activity(entry))

    def worker_heartbeat(self, worker: str, detail: str) -> None:
        self._run(self._service.worker_heartbeat(worker, detail))
