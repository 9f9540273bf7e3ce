"""``TradingClient``: all that tools, crews, the command line and screens can ask of the core."""

from __future__ import annotations

from typing import Protocol

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
from trading.model.breaker import BreakerSnapshot
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


class RecordClient(Protocol):
    """What a crew's run needs beside its tools: the state to watch, budgets, and records.

    ``breaker_snapshot`` is the cheap read every tool starts with (shared memory or an attribute;
    a stale record reads as TRIGGERED).
    """

    def breaker_snapshot(self) -> BreakerSnapshot: ...

    def now_ms(self) -> int:
        """Market time of the core."""
        ...

    def record_decision(self, decision: AgentDecision) -> int: ...

    def model_usage(self) -> ModelUsage:
        """What all models used in the last hour and day."""
        ...

    def record_model_call(self, call: ModelCall) -> ModelUsage:
        """Store ``call``; the sums with it."""
        ...

    def record_desk_note(self, note: DeskNote) -> int:
        """Store a note for people; its id."""
        ...


class TradingClient(RecordClient, Protocol):
    """Synchronous: tools run in CrewAI's own threads. Safe to call from several at once.

    All but the breaker's state may take a round trip to the core and raise
    ``CoreNotRunningError`` or ``CoreTimeoutError``.
    """

    def status(self) -> CoreStatus: ...

    def controls(self) -> Controls:
        """What operators have stopped."""
        ...

    def breaker(self) -> BreakerView: ...

    def trip(self, command: TripCommand) -> CommandResult: ...

    def warn(self, command: WarnCommand) -> CommandResult: ...

    def recover(self, command: RecoverCommand) -> CommandResult: ...

    def clear(self, command: ClearCommand) -> CommandResult: ...

    def breaker_statistics(self) -> BreakerStatistics: ...

    def recovery_conditions(self) -> RecoveryConditions: ...

    def market(self) -> MarketSnapshot: ...

    def symbol_stats(self, symbol: str) -> SymbolStats: ...

    def bars(self, symbol: str, limit: int) -> tuple[Bar, ...]:
        """The newest ``limit`` 1-minute bars, oldest first."""
        ...

    def history(self, symbols: tuple[str, ...], limit: int) -> dict[str, tuple[Bar, ...]]:
        """``bars`` of several pairs at one moment."""
        ...

    def futures(self, symbol: str) -> FuturesView: ...

    def liquidations(self) -> LiquidationsView: ...

    def pump(self, symbol: str) -> PumpView: ...

    def past_spikes(self, pattern: SpikePattern) -> PastSpikes: ...

    def news(self, symbol: str, kind: NewsKind, hours: float, limit: int) -> NewsView:
        """Articles or posts about a pair of the last ``hours``, at most ``limit``."""
        ...

    def transfers(self, asset: str, hours: float) -> TransfersView: ...

    def record_news(self, batch: NewsBatch) -> int:
        """Hand over what the news process found; returns how many articles are new."""
        ...

    def order_book(self, symbol: str, depth: int) -> Book: ...

    def portfolio(self) -> Portfolio: ...

    def preview_trade(self, proposal: TradeProposal) -> RiskPreview: ...

    def propose_trade(self, proposal: TradeProposal) -> ProposalResult: ...

    def cancel_order(self, client_order_id: str, reason: str) -> OrderReport: ...

    def close_position(self, symbol: str, reason: str) -> ProposalResult: ...

    def claim_spike(self, worker: str, timeout_s: float) -> SpikeClaim | None:
        """The best waiting spike, or None after ``timeout_s``."""
        ...

    def finish_spike_run(self, report: SpikeRunReport) -> None: ...

    def record_tool_execution(self, execution: ToolExecution) -> None: ...

    def trade_to_review(self) -> TradeToReview | None:
        """The oldest closed trade that nobody has looked back at; None when there is none."""
        ...

    def finish_review(self, review: TradeReview) -> None: ...

    def desk_subject(self, query: DeskQuery) -> DeskSubject | None:
        """What waits for a note, of the kinds asked for; None when nothing does."""
        ...

    def record_activity(self, entry: ActivityEntry) -> None: ...

    def worker_heartbeat(self, worker: str, detail: str) -> None: ...
