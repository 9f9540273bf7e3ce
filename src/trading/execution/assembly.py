"""Puts the order path together over an open store."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trading.clock import Clock
from trading.errors import StoreError
from trading.events import EventBus
from trading.exchange.protocols import ExchangeClient
from trading.execution.account import AccountBook
from trading.execution.books import Books
from trading.execution.config import ExecutionConfig
from trading.execution.desk import OrderDesk
from trading.execution.exit_orders import ExitOrders
from trading.execution.gate import Gate
from trading.execution.gateway import OrderGateway
from trading.execution.halt import HaltResponse
from trading.execution.jobs import Jobs
from trading.execution.journal import Journal
from trading.execution.positions import PositionBook
from trading.execution.protector import Protector
from trading.execution.quiescence import Quiescence
from trading.execution.reconcile import Reconciler
from trading.execution.shared_halt import Clearance, SharedHalt
from trading.execution.sweep import Sweep
from trading.execution.trust import BookTrust
from trading.execution.watch import Watch
from trading.model.breaker import Actor, BreakerStatus, Latch
from trading.model.market import Instrument
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.circuit_breaker import CircuitBreaker
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
    storage: StorageConfig
    price: Callable[[str], float | None]
    entry_price: Callable[[str], float | None]
    instruments: Mapping[str, Instrument]
    data_fresh: Callable[[], bool]
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
    gateway: OrderGateway
    protector: Protector
    sweep: Sweep
    halt: HaltResponse
    quiescence: Quiescence
    trust: BookTrust
    watch: Watch
    limits: RiskLimits


def assemble(around: Surroundings, connection: sqlite3.Connection) -> Parts:
    """Build every part; nothing is restored, sent or subscribed yet."""
    clock, wait_clock, config, breaker = (
        around.clock,
        around.wait_clock,
        around.execution,
        around.breaker,
    )
    venue = around.client.venue
    jobs = Jobs()

    def store_failed(error: StoreError) -> None:
        snapshot = breaker.snapshot
        if snapshot.status is BreakerStatus.TRIGGERED and snapshot.latch is Latch.MANUAL:
            return  # halted until an operator has looked; every retry would raise the epoch
        breaker.trigger(
            f"the order journal failed: {error}", actor=Actor.SYSTEM, rule="store", latch=True
        )

    journal = Journal(connection, venue, on_failure=store_failed, obey_breaker=breaker.enforcing)
    risk_events = RiskEventRepository(connection)
    reservations = ReservationBook()
    positions = PositionBook(around.instruments)
    account = AccountBook(
        quote_asset=around.quote_asset,
        instruments=around.instruments,
        positions=positions,
        reservations=reservations,
        price=around.price,
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
    trust: BookTrust
    gate = Gate(
        entries_blocked=lambda: breaker.entries_blocked,
        epoch=lambda: breaker.snapshot.epoch,
        now_ms=clock.now_ms,
        data_fresh=around.data_fresh,
        positions_trusted=lambda symbol: trust.is_trusted(symbol),
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
        ),
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
    trust = BookTrust(
        reconciler=Reconciler(
            client=around.client,
            desk=desk,
            positions=positions,
            account=account,
            instruments=around.instruments,
        ),
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
    limits = RiskLimits(around.risk, reservations)
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
            risk_events=risk_events,
            bus=around.bus,
            clock=clock,
            config=around.risk,
            instruments=around.instruments,
            price=around.entry_price,
            data_fresh=around.data_fresh,
            snapshot=lambda: breaker.snapshot,
            entries_blocked=lambda: breaker.entries_blocked,
            clearance=around.clearance,
        ),
        protector=protector,
        sweep=sweep,
        halt=HaltResponse(
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
        ),
        quiescence=quiescence,
        trust=trust,
        watch=Watch(
            desk=desk,
            positions=positions,
            protector=protector,
            account=account,
            breaker=breaker,
            risk_events=risk_events,
            jobs=jobs,
            clock=clock,
            wait_clock=wait_clock,
            config=config,
            risk=around.risk,
            venue=venue,
        ),
        limits=limits,
    )
