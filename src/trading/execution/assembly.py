"""Puts the order path together over an open store."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from trading.clock import Clock
from trading.errors import StoreError
from trading.events import EventBus
from trading.exchange.protocols import ExchangeClient
from trading.execution.account import AccountBook
from trading.execution.books import Books
from trading.execution.compliance import ComplianceDesk
from trading.execution.config import ExecutionConfig
from trading.execution.controls import OperatingControls
from trading.execution.corrections import Corrections
from trading.execution.desk import OrderDesk
from trading.execution.entry_sizing import EntrySizer
from trading.execution.equity_marks import EquityMarks
from trading.execution.equity_meter import EquityMeter
from trading.execution.exit_orders import ExitOrders
from trading.execution.exit_rules import ExitRules
from trading.execution.gate import Gate
from trading.execution.gateway import OrderGateway
from trading.execution.halt import HaltResponse
from trading.execution.jobs import Jobs
from trading.execution.journal import Journal
from trading.execution.liquidation import Liquidator
from trading.execution.position_watch import PositionWatch
from trading.execution.positions import PositionBook
from trading.execution.protector import Protector
from trading.execution.quiescence import Quiescence
from trading.execution.reconcile import Reconciler
from trading.execution.shared_halt import Clearance, SharedHalt
from trading.execution.sweep import Sweep
from trading.execution.trust import BookTrust
from trading.execution.watch import Watch
from trading.model.breaker import Actor, BreakerStatus, Latch
from trading.model.futures import FundingPayment
from trading.model.market import Instrument
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.compliance_config import ComplianceConfig
from trading.risk.entry_facts import ReadConditions
from trading.risk.limits import RiskLimits
from trading.risk.reservations import ReservationBook
from trading.risk.risk_config import RiskConfig
from trading.risk.sizing import percent
from trading.storage.config import StorageConfig
from trading.storage.risk_event_repository import RiskEventRepository


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the order path is given."""

    client: ExchangeClient
    breaker: CircuitBreaker
    breaker_config: CircuitBreakerConfig
    clock: Clock
    wait_clock: Clock
    bus: EventBus
    risk: RiskConfig
    execution: ExecutionConfig
    compliance: ComplianceConfig
    storage: StorageConfig
    price: Callable[[str], float | None]
    entry_price: Callable[[str], float | None]
    instruments: Mapping[str, Instrument]
    data_fresh: Callable[[], bool]
    conditions: ReadConditions
    clearance: Clearance
    quote_asset: str


@dataclass(frozen=True, slots=True)
class Parts:
    """The order path, assembled."""

    jobs: Jobs
    journal: Journal
    risk_events: RiskEventRepository
    gate: Gate
    books: Books
    desk: OrderDesk
    sizer: EntrySizer
    gateway: OrderGateway
    protector: Protector
    sweep: Sweep
    halt: HaltResponse
    quiescence: Quiescence
    trust: BookTrust
    watch: Watch
    limits: RiskLimits
    controls: OperatingControls
    compliance: ComplianceDesk
    liquidator: Liquidator
    equity_meter: EquityMeter

    @property
    def counters(self) -> dict[str, int]:
        """What was counted since the start, by name."""
        return {
            "entries sent": self.gateway.sent,
            "entries refused": self.gateway.refused,
            "entries cancelled": self.sweep.entries_cancelled,
            "entries fenced": self.gate.fenced,
            "stops placed": self.protector.stops_placed,
            "trades closed": self.books.trades_closed,
        }


def assemble(around: Surroundings, connection: sqlite3.Connection) -> Parts:
    """Build every part; nothing is restored, sent or subscribed yet."""
    clock, wait_clock, config, breaker = (
        around.clock,
        around.wait_clock,
        around.execution,
        around.breaker,
    )
    jobs = Jobs()

    def store_failed(error: StoreError) -> None:
        snapshot = breaker.snapshot
        if snapshot.status is BreakerStatus.TRIGGERED and snapshot.latch is Latch.MANUAL:
            return  # halted until an operator has looked; every retry would raise the epoch
        breaker.trigger(
            f"the order journal failed: {error}", actor=Actor.SYSTEM, rule="store", latch=True
        )

    journal = Journal(
        connection, around.client.venue, on_failure=store_failed, obey_breaker=breaker.enforcing
    )
    risk_events = RiskEventRepository(connection)
    reservations = ReservationBook()
    limits = RiskLimits(around.risk, reservations)
    positions = PositionBook(around.instruments)
    account = AccountBook(
        quote_asset=around.quote_asset,
        instruments=around.instruments,
        positions=positions,
        reservations=reservations,
        price=around.price,
        marks=EquityMarks(journal),
    )
    fee_rate = percent(config.fee_estimate_pct)
    books = Books(
        journal=journal,
        instruments=around.instruments,
        positions=positions,
        reservations=reservations,
        account=account,
        clock=clock,
        fee_rate=fee_rate,
    )
    controls = OperatingControls(connection)
    trust: BookTrust
    gate = Gate(
        entries_blocked=lambda: breaker.entries_blocked,
        epoch=lambda: breaker.snapshot.epoch,
        now_ms=clock.now_ms,
        data_fresh=around.data_fresh,
        positions_trusted=lambda symbol: trust.is_trusted(symbol),
        entries_halted=lambda: controls.entries_halted,
        elsewhere=SharedHalt(journal, breaker.send_fence, around.clearance),
    )

    desk = OrderDesk(
        client=around.client,
        journal=journal,
        gate=gate,
        books=books,
        bus=around.bus,
        clock=clock,
        wait_clock=wait_clock,
        config=config,
        on_store_failure=store_failed,
        approvals=limits.approvals,
    )
    exit_rules = ExitRules(
        config.exits,
        positions,
        resolved_share=around.risk.max_resolved_share,
        find_spike=journal.spike,
    )
    protector = Protector(
        desk=desk,
        books=books,
        journal=journal,
        orders=ExitOrders(
            journal=journal,
            instruments=around.instruments,
            config=config,
            clock=clock,
            epoch=lambda: breaker.snapshot.epoch,
            price=account.price_of,
        ),
        rules=exit_rules,
        config=config,
        max_slippage_pct=around.risk.max_slippage_pct,
        wait_clock=wait_clock,
        data_fresh=around.data_fresh,
    )
    sweep = Sweep(
        desk=desk,
        positions=positions,
        protector=protector,
        halt=around.breaker_config,
        config=config,
        wait_clock=wait_clock,
        breaker=breaker,
    )
    quiescence = Quiescence(
        desk=desk,
        sweep=sweep,
        breaker=breaker,
        clock=clock,
        wait_clock=wait_clock,
        apart_ms=config.reconcile_retry_ms,
    )

    def take_funding(payments: Iterable[FundingPayment]) -> None:
        for late in books.take_funding(payments):
            around.bus.publish(late)

    trust = BookTrust(
        reconciler=Reconciler(
            client=around.client,
            desk=desk,
            positions=positions,
            account=account,
            take_funding=take_funding,
            instruments=around.instruments,
            dust_value=config.reconciliation.dust_value,
        ),
        corrections=Corrections(
            books=books, desk=desk, journal=journal, clock=clock, config=config.reconciliation
        ),
        journal=journal,
        books=books,
        desk=desk,
        quiescence=quiescence,
        breaker=breaker,
        risk_events=risk_events,
        jobs=jobs,
        clock=clock,
        wait_clock=wait_clock,
        config=config,
    )
    compliance = ComplianceDesk(
        config=around.compliance,
        risk=around.risk,
        journal=journal,
        controls=controls,
        account=account,
        risk_events=risk_events,
        clock=clock,
        bus=around.bus,
    )
    sizer = EntrySizer(
        journal=journal,
        account=account,
        reservations=reservations,
        clock=clock,
        config=around.risk,
        instruments=around.instruments,
        price=around.entry_price,
        data_fresh=around.data_fresh,
        conditions=around.conditions,
        order_book=around.client.order_book,
        snapshot=lambda: breaker.snapshot,
        entries_blocked=lambda: breaker.entries_blocked,
        clearance=around.clearance,
    )
    watch = Watch(
        desk=desk,
        position_watch=PositionWatch(
            positions=positions,
            protector=protector,
            rules=exit_rules,
            account=account,
            jobs=jobs,
            wait_clock=wait_clock,
            data_fresh=around.data_fresh,
            retry_ms=config.stop_retry_ms,
        ),
        account=account,
        breaker=breaker,
        jobs=jobs,
        clock=clock,
        wait_clock=wait_clock,
        config=config,
        risk=around.risk,
    )
    halt = HaltResponse(
        breaker=breaker,
        sweep=sweep,
        jobs=jobs,
        account=account,
        positions=positions,
        desk=desk,
        clock=clock,
        entry_time_to_live_ms=config.entry_time_to_live_ms,
        fee_rate=fee_rate,
        trust=trust,
        watch=watch,
    )
    return Parts(
        jobs=jobs,
        journal=journal,
        risk_events=risk_events,
        gate=gate,
        books=books,
        desk=desk,
        gateway=OrderGateway(
            journal=journal,
            desk=desk,
            account=account,
            limits=limits,
            reservations=reservations,
            sizer=sizer,
            risk_events=risk_events,
            bus=around.bus,
            clock=clock,
            snapshot=lambda: breaker.snapshot,
            compliance=compliance,
        ),
        sizer=sizer,
        protector=protector,
        sweep=sweep,
        halt=halt,
        equity_meter=EquityMeter(account, halt, around.bus),
        quiescence=quiescence,
        trust=trust,
        watch=watch,
        limits=limits,
        controls=controls,
        compliance=compliance,
        liquidator=Liquidator(
            client=around.client,
            desk=desk,
            journal=journal,
            positions=positions,
            protector=protector,
            trust=trust,
            clock=clock,
            config=config.liquidation,
        ),
    )
