"""Puts the core together, for the live process and for a replay alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trading.clock import Clock, iso
from trading.events import (
    ApprovalRequested,
    BreakerChanged,
    EntryRefused,
    EventBus,
    FillReceived,
    FundingCameLate,
    LiquidationEnded,
    OrderUpdated,
    PositionChanged,
)
from trading.exchange.protocols import ExchangeClient
from trading.exchange.recovery import RecoveryLog
from trading.execution.service import ExecutionService
from trading.execution.shared_halt import Clearance, always_clear
from trading.market.engine import MarketEngine
from trading.market.futures_board import FuturesBoard
from trading.model.breaker import BreakerSnapshot, BreakerStatus
from trading.model.market import Instrument
from trading.model.operations import LiquidationStatus
from trading.node.audit import CoreAudit
from trading.node.board import Board
from trading.node.conditions import EntryConditions
from trading.node.config import NodeConfig
from trading.node.core import TradingCore
from trading.node.equity import EquityRecorder
from trading.node.guard import Guard
from trading.node.hindsight import Hindsight
from trading.node.news_desk import NewsDesk
from trading.node.notices import closing_pnl
from trading.node.notifier import Notifier
from trading.node.order_thread import OrderLoop
from trading.node.parts import CoreParts
from trading.node.performance import PerformanceRollUp
from trading.node.records import Records
from trading.node.spikes import SpikeDesk
from trading.risk.circuit_breaker import CircuitBreaker, install_circuit_breaker
from trading.risk.shared_record import SharedRecordWriter

if TYPE_CHECKING:
    from trading.risk.redis_fleet import FleetHalt

# A core that has just started gets this long for its first tick before silence is a trip.
START_GRACE_MS = 30_000

_LEVELS = {
    BreakerStatus.SAFE: "notice",
    BreakerStatus.WARNING: "warning",
    BreakerStatus.TRIGGERED: "critical",
    BreakerStatus.RECOVERING: "notice",
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What differs between a live core and a replayed one."""

    clock: Clock
    wait_clock: Clock  # measures waits for the venue
    bus: EventBus
    client: ExchangeClient
    instruments: Mapping[str, Instrument]
    orders: OrderLoop
    tick_gap_ms: int
    inline_records: bool
    record: SharedRecordWriter | None
    redis_password: str | None = None
    recovery: RecoveryLog | None = None  # failures of the venue; None: it cannot fail
    notifier: Notifier = field(default_factory=lambda: Notifier(()))


def assemble(config: NodeConfig, around: Surroundings) -> TradingCore:
    """Build everything over the existing store; nothing is started and no network is used.

    Raises:
        StoreError: the store cannot be opened for records.
    """
    clock, bus = around.clock, around.bus
    breaker = CircuitBreaker.open(
        config.circuit_breaker, clock, config.storage, record=around.record
    )
    install_circuit_breaker(breaker)
    fleet = _fleet(config, around, breaker)
    market = MarketEngine(
        config.market,
        config.spike_detection,
        config.crash_detection,
        clock,
        bus,
        tick_gap_ms=around.tick_gap_ms,
        hold=breaker.entry_hold,
    )
    futures = FuturesBoard(
        config.market.symbols,
        config.crash_detection,
        clock,
        spot=market.entry_price,
        total_1h_usd=market.liquidations_1h_usd,
    )
    board = Board(clock)
    records = Records(config.storage, inline=around.inline_records)
    guard: Guard

    execution = ExecutionService(
        client=around.client,
        breaker=breaker,
        breaker_config=config.circuit_breaker,
        clock=clock,
        wait_clock=around.wait_clock,
        bus=bus,
        risk=config.risk,
        execution=config.execution,
        compliance=config.compliance,
        storage=config.storage,
        price=market.last_price,
        entry_price=market.entry_price,
        instruments=around.instruments,
        data_fresh=lambda: guard.data_is_fresh(),
        conditions=EntryConditions(market, around.orders, config.risk.correlation_minutes),
        clearance=_clearance(fleet, around.recovery),
        quote_asset=config.market.quote_asset,
    )
    guard = Guard(
        market,
        breaker,
        bus,
        unknown_orders=lambda: execution.unknown_orders,
        reconciled=lambda: execution.reconciled,
        quiet=lambda: execution.quiet,
        halted_elsewhere=fleet.halted_elsewhere if fleet else always_clear,
        start_grace_ms=START_GRACE_MS,
    )
    spikes = SpikeDesk(
        config.spike_queue,
        clock,
        bus,
        breaker,
        records,
        board,
        check_breaker=config.spike_detection.check_circuit_breaker,
        crews_expected=config.crews_expected,
    )
    _tell(board, bus, breaker, spikes)
    records.tell(lambda problem: _tell_of_records(board, problem))
    EquityRecorder(
        records,
        bus,
        around.client.venue,
        lambda: market.last_price(config.market.btc_symbol),
    )
    performance = PerformanceRollUp(records, clock, bus)
    return TradingCore(
        CoreParts(
            config=config,
            clock=clock,
            market=market,
            futures=futures,
            breaker=breaker,
            fleet=fleet,
            guard=guard,
            execution=execution,
            client=around.client,
            orders=around.orders,
            records=records,
            spikes=spikes,
            board=board,
            performance=performance,
            hindsight=Hindsight(
                records,
                market.bars,
                config.risk,
                max_holding_minutes=config.execution.exits.max_holding_minutes,
                on_judged=performance.looked_back,
            ),
            recovery=around.recovery,
            audit=CoreAudit(records, config.storage.path, breaker, board),
            notifier=around.notifier,
            news=NewsDesk(
                clock,
                records,
                say=board.say,
                on_headline=market.on_headline,
                price=market.last_price,
                quote_asset=config.market.quote_asset,
                min_headline_relevance=config.min_headline_relevance,
            ),
        )
    )


def _clearance(fleet: FleetHalt | None, recovery: RecoveryLog | None) -> Clearance:
    """Why no entry may leave just now: another machine's halt, or a venue that does not answer."""
    objections = [
        source
        for source in (
            fleet.clearance if fleet is not None else None,
            recovery.objection if recovery is not None else None,
        )
        if source is not None
    ]

    def clearance() -> str | None:
        return next((text for ask in objections if (text := ask()) is not None), None)

    return clearance if objections else always_clear


def _fleet(config: NodeConfig, around: Surroundings, breaker: CircuitBreaker) -> FleetHalt | None:
    """Our part in the halt shared through Redis. A breaker that is switched off takes none."""
    if not config.redis.enabled or not breaker.enforcing:
        return None
    from trading.risk.redis_fleet import FleetHalt  # a replay need not import redis

    return FleetHalt(
        config.redis,
        breaker,
        config.storage,
        around.clock,
        wire_ms=config.circuit_breaker.foreign_fence_timeout_ms,
        password=around.redis_password,
    )


def _tell_of_records(board: Board, problem: str) -> None:
    if problem:
        board.say("store", f"records are not written: {problem}", "critical")
    else:
        board.say("store", "records are written again; those meanwhile are missing", "warning")


def _tell(board: Board, bus: EventBus, breaker: CircuitBreaker, spikes: SpikeDesk) -> None:
    """Put what happens on the board, and breaker changes on the bus."""

    def breaker_changed(previous: BreakerSnapshot, current: BreakerSnapshot) -> None:
        change = BreakerChanged(previous, current)
        spikes.on_breaker_change(change)
        if (previous.status, previous.epoch, previous.stage) != (
            current.status,
            current.epoch,
            current.stage,
        ):
            stage = f" stage {current.stage}" if current.status is BreakerStatus.RECOVERING else ""
            board.say(
                "breaker",
                f"{previous.status} → {current.status}{stage} (epoch {current.epoch}), "
                f"{current.actor}: {current.reason}",
                _LEVELS[current.status],
            )
        bus.publish(change)

    def order_updated(event: OrderUpdated) -> None:
        report = event.report
        price = report.average_price or report.limit_price or report.trigger_price
        at = f" at {price:.6g}" if price is not None else ""
        board.say(
            "orders",
            f"{event.purpose.lower()} {report.side} {report.quantity.normalize():f} "
            f"{report.symbol}{at}: {report.status}",
        )

    def position_changed(event: PositionChanged) -> None:
        position = event.position
        if event.closed:
            board.say(
                "positions",
                f"{position.symbol} closed, P&L {closing_pnl(event):+.2f}",
                "notice",
            )

    def funding_came_late(event: FundingCameLate) -> None:
        board.say(
            "positions",
            f"{event.symbol}: funding of {event.amount:+.2f} told after it closed, P&L "
            f"{event.pnl:+.2f}",
            "notice",
        )

    def fill_received(event: FillReceived) -> None:
        board.count("fills")

    def entry_refused(event: EntryRefused) -> None:
        reason = event.reason.removeprefix(f"{event.rule}: ")  # a limit's text begins with it
        board.say("risk", f"{event.symbol} refused by {event.rule}: {reason}", "notice")

    def approval_requested(event: ApprovalRequested) -> None:
        approval = event.approval
        board.say(
            "approvals",
            f"{approval.id} waits for you until {iso(approval.expires_at_ms)}: buy "
            f"{approval.quantity.normalize():f} {approval.symbol} at most at "
            f"{approval.limit_price:.6g}",
            "warning",
        )

    def liquidation_ended(event: LiquidationEnded) -> None:
        report = event.report
        board.say(
            "liquidation",
            f"{report.status}, slippage {report.slippage_cost:.2f}"
            + "".join(f"; {problem}" for problem in report.problems),
            "warning" if report.status is LiquidationStatus.FLAT else "critical",
        )

    breaker.subscribe(breaker_changed)
    bus.subscribe(ApprovalRequested, approval_requested)
    bus.subscribe(LiquidationEnded, liquidation_ended)
    bus.subscribe(OrderUpdated, order_updated)
    bus.subscribe(PositionChanged, position_changed)
    bus.subscribe(FundingCameLate, funding_came_late)
    bus.subscribe(FillReceived, fill_received)
    bus.subscribe(EntryRefused, entry_refused)
