"""``TradingCore``: the deterministic half as one object, behind ``CoreService``."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trading.api.schemas import (
    NOT_ENFORCED,
    ActivityEntry,
    BreakerStatistics,
    BreakerView,
    ClearCommand,
    CommandResult,
    ComponentHealth,
    CoreStatus,
    Portfolio,
    RecoverCommand,
    RecoveryConditions,
    SpikeClaim,
    TripCommand,
    WarnCommand,
)
from trading.clock import Clock
from trading.errors import CoreTimeoutError, MarketDataError
from trading.exchange.protocols import ExchangeClient
from trading.execution.service import ExecutionService
from trading.market.engine import MarketEngine
from trading.model.breaker import BreakerSnapshot
from trading.model.decision import (
    AgentDecision,
    ProposalOutcome,
    ProposalResult,
    RiskPreview,
    SpikeRunReport,
    ToolExecution,
    TradeProposal,
)
from trading.model.market import Bar, Book
from trading.model.metrics import MarketSnapshot, SymbolStats
from trading.model.order import OrderReport
from trading.node.board import Board
from trading.node.config import NodeConfig
from trading.node.guard import Guard
from trading.node.order_thread import OrderLoop
from trading.node.performance import PerformanceRollUp
from trading.node.records import Records
from trading.node.spikes import SpikeDesk
from trading.risk.circuit_breaker import CircuitBreaker

if TYPE_CHECKING:
    from trading.risk.redis_fleet import FleetHalt

WORKER_LOST_AFTER_MS = 5_000


@dataclass(frozen=True, slots=True)
class CoreParts:
    """What ``trading.node.assembly`` puts together."""

    config: NodeConfig
    clock: Clock
    market: MarketEngine
    breaker: CircuitBreaker
    fleet: FleetHalt | None  # with gateways on other machines, through Redis
    guard: Guard
    execution: ExecutionService
    client: ExchangeClient
    orders: OrderLoop
    records: Records
    spikes: SpikeDesk
    board: Board
    performance: PerformanceRollUp


class TradingCore:
    """Implements ``CoreService``. Its coroutines run on the main loop of the core."""

    def __init__(self, parts: CoreParts) -> None:
        self._parts = parts
        self._breaker = parts.breaker
        self._board = parts.board
        self._started_at_ms = parts.clock.now_ms()
        self._shown_event_id: int | None = None

    @property
    def parts(self) -> CoreParts:
        return self._parts

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
        if not self._breaker.enforcing:
            return self._result(NOT_ENFORCED, applied=False)
        return self._result("halted", applied=True, in_flight=receipt.in_flight)

    async def warn(self, command: WarnCommand) -> CommandResult:
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
        self._breaker.start_recovery(
            actor=command.actor, reason=command.reason, epoch=command.epoch
        )
        return self._result("recovery started at stage 0", applied=True)

    async def clear(self, command: ClearCommand) -> CommandResult:
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

    async def order_book(self, symbol: str, depth: int) -> Book:
        return await self._parts.orders.call(self._parts.client.order_book(symbol, depth))

    # Trading -------------------------------------------------------------------------------

    async def portfolio(self) -> Portfolio:
        return await self._parts.orders.call(self._parts.execution.portfolio())

    async def preview_trade(self, proposal: TradeProposal) -> RiskPreview:
        return await self._parts.orders.call(self._parts.execution.preview(proposal))

    async def propose_trade(self, proposal: TradeProposal) -> ProposalResult:
        result = await self._parts.orders.call(self._parts.execution.propose(proposal))
        self._board.count("refusals" if result.outcome is ProposalOutcome.REFUSED else "entries")
        return result

    async def cancel_order(self, client_order_id: str, reason: str) -> OrderReport:
        return await self._parts.orders.call(self._parts.execution.cancel(client_order_id, reason))

    async def close_position(self, symbol: str, reason: str) -> ProposalResult:
        return await self._parts.orders.call(self._parts.execution.close_position(symbol, reason))

    # Crews ---------------------------------------------------------------------------------

    async def claim_spike(self, worker: str, timeout_s: float) -> SpikeClaim | None:
        spike = await self._parts.spikes.claim(timeout_s)
        if spike is None:
            return None
        now_ms = self.now_ms()
        self._board.count("crew runs")
        self._board.say(
            "spike_crew", f"{worker} looks at {spike.symbol} {spike.magnitude_pct:+.1f} %"
        )
        return SpikeClaim(
            spike=spike,
            deadline_ms=now_ms + self._parts.config.spike_queue.run_deadline_ms,
            epoch=self._breaker.snapshot.epoch,
            now_ms=now_ms,
        )

    async def finish_spike_run(self, report: SpikeRunReport) -> None:
        await self._parts.spikes.finish(report)

    async def record_decision(self, decision: AgentDecision) -> int:
        now_ms = self.now_ms()
        self._board.count("decisions")
        self._parts.performance.decided()
        return await self._parts.records.call(
            lambda tables: tables.decisions.record(decision, now_ms)
        )

    async def record_tool_execution(self, execution: ToolExecution) -> None:
        now_ms = self.now_ms()
        self._board.count("tool calls")
        self._parts.records.write(lambda tables: tables.tools.record(execution, now_ms))

    async def record_activity(self, entry: ActivityEntry) -> None:
        self._board.add(entry)

    async def worker_heartbeat(self, worker: str, detail: str) -> None:
        self._board.worker_seen(worker, detail, _monotonic_ms())

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
            components=self._components(),
            counters={**self._parts.execution.counters, **self._board.counters},
        )

    async def _portfolio_or_none(self) -> Portfolio | None:
        """The screens go on while the order path is busy or its venue is out of reach."""
        try:
            return await self.portfolio()
        except (MarketDataError, CoreTimeoutError):
            return None

    def _components(self) -> tuple[ComponentHealth, ...]:
        age_ms = self._parts.market.feed_age_ms
        snapshot = self._parts.guard.snapshot
        execution = self._parts.execution
        unknown = execution.unknown_orders
        core: tuple[ComponentHealth, ...] = (
            ComponentHealth(
                name="feed",
                ok=snapshot is not None and snapshot.healthy,
                detail=snapshot.problem if snapshot else "starting",
                age_ms=age_ms,
            ),
            ComponentHealth(
                name="orders",
                ok=unknown == 0,
                detail=f"{unknown} of unknown outcome" if unknown else "",
            ),
            ComponentHealth(name="books", ok=execution.reconciled),
        )
        if self._parts.fleet is not None:
            objection = self._parts.fleet.clearance()
            fleet = ComponentHealth(name="fleet", ok=objection is None, detail=objection or "")
            core = (*core, fleet)
        if not self._parts.config.circuit_breaker.enabled:
            off = ComponentHealth(name="breaker", ok=False, detail="OFF: nothing halts trading")
            core = (off, *core)
        workers = self._board.workers(_monotonic_ms(), WORKER_LOST_AFTER_MS)
        if self._parts.config.crews_expected and not workers:
            workers = (ComponentHealth(name="crews", ok=False, detail="no worker seen yet"),)
        return core + workers


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000
