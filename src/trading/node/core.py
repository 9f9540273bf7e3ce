"""``TradingCore``: the deterministic half as one object, behind ``CoreService``."""

from __future__ import annotations

import asyncio
import os
import time

from trading.api.schemas import (
    NOT_ENFORCED,
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
    WorkerFailure,
)
from trading.errors import CoreTimeoutError, MarketDataError
from trading.model.breaker import Actor, BreakerSnapshot
from trading.model.decision import (
    AgentDecision,
    ProposalOutcome,
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
from trading.model.recovery import RecoveryStatus
from trading.model.review import TradeReview, TradeToReview
from trading.node.crew_records import CrewRecords
from trading.node.health import components_of
from trading.node.level import service_level
from trading.node.operations import Operations
from trading.node.parts import CoreParts
from trading.node.past_spikes import COMPARED, nearest

LOOK_FOR_RESUMED_AGENTS_S = 0.1

_COUNTED_AS = {
    ProposalOutcome.REFUSED: "refusals",
    ProposalOutcome.AWAITING_APPROVAL: "approvals asked",
}


HALTED_NOT_STORED = (
    "halted; the store does not take it yet (`breaker status` says why), and until it does the "
    "runtime directory keeps it for the next core"
)


class TradingCore:
    """Implements ``CoreService``. Its coroutines run on the main loop of the core."""

    def __init__(self, parts: CoreParts) -> None:
        self._parts = parts
        self._breaker = parts.breaker
        self._board = parts.board
        self._started_at_ms = parts.clock.now_ms()
        self._shown_event_id: int | None = None
        self._crew_records = CrewRecords(
            parts.records, parts.board, parts.performance, parts.clock, parts.recovery
        )
        self._operations = Operations(
            execution=parts.execution,
            orders=parts.orders,
            audit=parts.audit,
            board=parts.board,
            clock=parts.clock,
        )

    @property
    def parts(self) -> CoreParts:
        return self._parts

    @property
    def operations(self) -> Operations:
        return self._operations

    async def controls(self) -> Controls:
        return self._parts.execution.operations.controls()

    def breaker_snapshot(self) -> BreakerSnapshot:
        return self._breaker.snapshot

    def now_ms(self) -> int:
        return self._parts.clock.now_ms()

    # Breaker -------------------------------------------------------------------------------

    async def breaker(self) -> BreakerView:
        snapshot, quiet = self._breaker.snapshot, self._parts.execution.quiet
        return BreakerView(
            snapshot=snapshot,
            market=self._parts.guard.snapshot,
            blockers=self._breaker.blockers(),
            quiescent_at_ms=quiet.at_ms if quiet.epoch == snapshot.epoch else None,
        )

    async def trip(self, command: TripCommand) -> CommandResult:
        receipt = self._breaker.trigger(
            command.reason,
            command.details,
            self._parts.guard.snapshot,
            actor=command.actor,
            rule=command.rule,
        )
        self._note(command.actor, "breaker trip", reason=command.reason, epoch=receipt.epoch)
        if not self._breaker.enforcing:
            return self._result(NOT_ENFORCED, applied=False)
        return self._result(
            "halted" if self._breaker.is_stored else HALTED_NOT_STORED,
            applied=True,
            in_flight=receipt.in_flight,
        )

    async def warn(self, command: WarnCommand) -> CommandResult:
        self._note(command.actor, "breaker warn", reason=command.reason)
        before = self._breaker.snapshot
        self._breaker.set_warning(
            command.reason,
            command.details,
            actor=command.actor,
            market_snapshot=self._parts.guard.snapshot,
        )
        applied = self._breaker.snapshot.status is not before.status
        return self._result("WARNING set" if applied else "a warning stands already", applied)

    async def recover(self, command: RecoverCommand) -> CommandResult:
        self._note(command.actor, "breaker recover", reason=command.reason, epoch=command.epoch)
        self._breaker.start_recovery(
            actor=command.actor, reason=command.reason, epoch=command.epoch
        )
        return self._result("recovery started at stage 0", applied=True)

    async def clear(self, command: ClearCommand) -> CommandResult:
        self._note(
            command.actor,
            "breaker clear",
            reason=command.reason,
            epoch=command.epoch,
            force=command.force,
            false_alarm=command.false_alarm,
        )
        # Positions and prices of the order path belong to its own loop.
        saved = await self._parts.orders.call(self._parts.execution.capital_saved())
        self._breaker.clear(
            saved,
            actor=command.actor,
            reason=command.reason,
            epoch=command.epoch,
            force=command.force,
            false_alarm=command.false_alarm,
        )
        return self._result("cleared" if command.force else "latch released", applied=True)

    def _note(self, actor: Actor, command: str, **details: object) -> None:
        """An operator's command goes on record whatever comes of it."""
        if actor is Actor.OPERATOR:
            self._parts.audit.operator(command, details, self.now_ms())

    def _result(
        self, message: str, applied: bool, in_flight: tuple[str, ...] = ()
    ) -> CommandResult:
        return CommandResult(
            applied=applied,
            message=message,
            snapshot=self._breaker.snapshot,
            in_flight=in_flight,
        )

    async def breaker_statistics(self) -> BreakerStatistics:
        return self._breaker.get_stats()

    async def recovery_conditions(self) -> RecoveryConditions:
        return self._breaker.recovery_conditions()

    # Market --------------------------------------------------------------------------------

    async def market(self) -> MarketSnapshot:
        snapshot = self._parts.guard.snapshot
        if snapshot is None:
            raise MarketDataError("no market data yet: the feed has only just started")
        return snapshot

    async def symbol_stats(self, symbol: str) -> SymbolStats:
        return self._parts.market.symbol_stats(symbol)

    async def bars(self, symbol: str, limit: int) -> tuple[Bar, ...]:
        return self._parts.market.bars(symbol, limit)

    async def history(self, symbols: tuple[str, ...], limit: int) -> dict[str, tuple[Bar, ...]]:
        return {symbol: self._parts.market.bars(symbol, limit) for symbol in symbols}

    async def futures(self, symbol: str) -> FuturesView:
        self._require_watched(symbol)
        return self._parts.futures.futures(symbol)

    async def liquidations(self) -> LiquidationsView:
        return self._parts.futures.liquidations()

    async def pump(self, symbol: str) -> PumpView:
        return self._parts.market.pump_now(symbol)

    async def past_spikes(self, pattern: SpikePattern) -> PastSpikes:
        rows = await self._parts.records.call(
            lambda tables: tables.spikes.of_kind(
                pattern.type.value, pattern.direction.value, pattern.before_ms, COMPARED
            )
        )
        return nearest(rows, pattern)

    async def news(self, symbol: str, kind: NewsKind, hours: float, limit: int) -> NewsView:
        self._require_watched(symbol)
        return self._parts.news.news(symbol, kind, hours, limit)

    async def transfers(self, asset: str, hours: float) -> TransfersView:
        self._require_watched(asset + self._parts.config.market.quote_asset)
        return self._parts.news.transfers(asset, hours)

    async def record_news(self, batch: NewsBatch) -> int:
        await self._parts.news.restore()
        new = self._parts.news.take(batch)
        if new:
            self._board.count("articles", new)
        return new

    def _require_watched(self, symbol: str) -> None:
        """Nobody gets the venue asked about pairs that are not ours to trade."""
        if symbol not in self._parts.market.symbols:
            raise MarketDataError(f"{symbol} is not watched; market.symbols names the pairs")

    async def order_book(self, symbol: str, depth: int) -> Book:
        self._require_watched(symbol)
        return await self._parts.orders.call(self._parts.client.order_book(symbol, depth))

    # Trading -------------------------------------------------------------------------------

    async def portfolio(self) -> Portfolio:
        return await self._parts.orders.call(self._parts.execution.portfolio())

    async def preview_trade(self, proposal: TradeProposal) -> RiskPreview:
        return await self._parts.orders.call(self._parts.execution.preview(proposal))

    async def propose_trade(self, proposal: TradeProposal) -> ProposalResult:
        result = await self._parts.orders.call(self._parts.execution.propose(proposal))
        self._board.count(_COUNTED_AS.get(result.outcome, "entries"))
        return result

    async def cancel_order(self, client_order_id: str, reason: str) -> OrderReport:
        return await self._parts.orders.call(self._parts.execution.cancel(client_order_id, reason))

    async def close_position(self, symbol: str, reason: str) -> ProposalResult:
        return await self._parts.orders.call(self._parts.execution.close_position(symbol, reason))

    # Crews ---------------------------------------------------------------------------------

    async def claim_spike(self, worker: str, timeout_s: float) -> SpikeClaim | None:
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + timeout_s
        while (await self.controls()).paused_link is not None:
            if loop.time() >= ends_s:
                return None
            await asyncio.sleep(LOOK_FOR_RESUMED_AGENTS_S)
        spike = await self._parts.spikes.claim(max(ends_s - loop.time(), 0.0))
        if spike is None:
            return None
        now_ms = self.now_ms()
        self._board.count("crew runs")
        self._board.say(
            "spike_crew", f"{worker} looks at {spike.symbol} {spike.magnitude_pct:+.1f} %"
        )
        return SpikeClaim(
            spike=spike,
            deadline_ms=spike.detected_at_ms + self._parts.config.spike_queue.run_deadline_ms,
            epoch=self._breaker.snapshot.epoch,
            now_ms=now_ms,
        )

    async def finish_spike_run(self, report: SpikeRunReport) -> None:
        await self._parts.spikes.finish(report)

    async def record_decision(self, decision: AgentDecision) -> int:
        return await self._crew_records.record_decision(decision)

    async def record_tool_execution(self, execution: ToolExecution) -> None:
        await self._crew_records.record_tool_execution(execution)

    async def model_usage(self) -> ModelUsage:
        return await self._crew_records.model_usage()

    async def record_model_call(self, call: ModelCall) -> ModelUsage:
        return await self._crew_records.record_model_call(call)

    async def trade_to_review(self) -> TradeToReview | None:
        return await self._crew_records.trade_to_review()

    async def finish_review(self, review: TradeReview) -> None:
        await self._crew_records.finish_review(review)

    async def desk_subject(self, query: DeskQuery) -> DeskSubject | None:
        return await self._crew_records.desk_subject(query)

    async def record_desk_note(self, note: DeskNote) -> int:
        return await self._crew_records.record_desk_note(note)

    async def record_activity(self, entry: ActivityEntry) -> None:
        self._board.add(entry)

    async def worker_heartbeat(self, worker: str, detail: str) -> None:
        self._board.worker_seen(worker, detail, _monotonic_ms())

    async def worker_given_up(self, failure: WorkerFailure) -> None:
        self._board.worker_given_up(failure.worker, failure.reason, _monotonic_ms())

    # Screens -------------------------------------------------------------------------------

    def halt_shown(self) -> None:
        """An operator sees the breaker: the halt's row says from now on that they know."""
        event_id = self._breaker.snapshot.event_id
        if event_id is None or event_id == self._shown_event_id:
            return
        self._shown_event_id = event_id
        self._parts.records.write(
            lambda _: self._breaker.update_event(event_id, user_notified=True)
        )

    async def status(self) -> CoreStatus:
        exchange = self._parts.config.exchange
        level, reason = service_level(self._parts)
        return CoreStatus(
            time_ms=self.now_ms(),
            venue=exchange.venue,
            dry_run=exchange.dry_run,
            account=self._parts.client.venue,
            process_id=os.getpid(),
            started_at_ms=self._started_at_ms,
            breaker=await self.breaker(),
            portfolio=await self._portfolio_or_none(),
            spikes=self._board.spikes,
            activity=self._board.activity,
            components=components_of(self._parts, _monotonic_ms()),
            counters={**self._parts.execution.counters, **self._board.counters},
            level=level,
            level_reason=reason,
            recovery=self._parts.recovery.status() if self._parts.recovery else RecoveryStatus(),
            approvals=self._parts.execution.operations.waiting_approvals(),
        )

    async def _portfolio_or_none(self) -> Portfolio | None:
        """The screens go on while the order path is busy or its venue is out of reach."""
        try:
            return await self.portfolio()
        except (MarketDataError, CoreTimeoutError):
            return None


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000
