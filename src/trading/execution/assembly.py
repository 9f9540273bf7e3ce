"""Puts the order path together over an open store."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from trading.errors import StoreError
from trading.execution.books import Books
from trading.execution.compliance import ComplianceDesk
from trading.execution.controls import OperatingControls
from trading.execution.corrections import Corrections
from trading.execution.desk import OrderDesk
from trading.execution.entry_sizing import EntrySizer
from trading.execution.equity_meter import EquityMeter
from trading.execution.exit_orders import ExitOrders
from trading.execution.exit_rules import ExitRules
from trading.execution.foundation import Foundation, Surroundings, build_foundation
from trading.execution.gate import Gate
from trading.execution.gateway import OrderGateway
from trading.execution.halt import HaltResponse
from trading.execution.jobs import Jobs
from trading.execution.journal import Journal
from trading.execution.liquidation import Liquidator
from trading.execution.position_watch import PositionWatch
from trading.execution.protector import Protector
from trading.execution.quiescence import Quiescence
from trading.execution.reconcile import Reconciler
from trading.execution.shared_halt import SharedHalt
from trading.execution.sweep import Sweep
from trading.execution.trust import BookTrust
from trading.execution.watch import Watch
from trading.model.breaker import Actor, BreakerStatus, Latch
from trading.model.futures import FundingPayment
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.limits import RiskLimits
from trading.storage.risk_event_repository import RiskEventRepository


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
    on_store_failure = partial(_trip_for_the_store, around.breaker)
    base = build_foundation(around, connection, on_store_failure)
    trust: BookTrust  # the gate asks it, and it needs the desk behind the gate
    gate = _gate(around, base, lambda symbol: trust.is_trusted(symbol))
    desk = _desk(around, base, gate, on_store_failure)
    exit_rules = ExitRules(
        around.execution.exits,
        base.positions,
        resolved_share=around.risk.max_resolved_share,
        find_spike=base.journal.spike,
    )
    protector = _protector(around, base, desk, exit_rules)
    sweep = Sweep(
        desk=desk,
        positions=base.positions,
        protector=protector,
        halt=around.breaker_config,
        config=around.execution,
        wait_clock=around.wait_clock,
        breaker=around.breaker,
    )
    quiescence = Quiescence(
        desk=desk,
        sweep=sweep,
        breaker=around.breaker,
        clock=around.clock,
        wait_clock=around.wait_clock,
        apart_ms=around.execution.reconcile_retry_ms,
    )
    trust = _trust(around, base, desk, quiescence)
    watch = _watch(around, base, desk, protector, exit_rules)
    halt = _halt(around, base, desk, sweep, trust, watch)
    sizer = _sizer(around, base)
    compliance = _compliance(around, base)
    return Parts(
        jobs=base.jobs,
        journal=base.journal,
        risk_events=base.risk_events,
        gate=gate,
        books=base.books,
        desk=desk,
        gateway=_gateway(around, base, desk, sizer, compliance),
        sizer=sizer,
        protector=protector,
        sweep=sweep,
        halt=halt,
        equity_meter=EquityMeter(base.account, halt, around.bus),
        quiescence=quiescence,
        trust=trust,
        watch=watch,
        limits=base.limits,
        controls=base.controls,
        compliance=compliance,
        liquidator=_liquidator(around, base, desk, protector, trust),
    )


def _trip_for_the_store(breaker: CircuitBreaker, error: StoreError) -> None:
    snapshot = breaker.snapshot
    if snapshot.status is BreakerStatus.TRIGGERED and snapshot.latch is Latch.MANUAL:
        return  # halted until an operator has looked; every retry would raise the epoch
    breaker.trigger(
        f"the order journal failed: {error}", actor=Actor.SYSTEM, rule="store", latch=True
    )


def _gate(around: Surroundings, base: Foundation, positions_trusted: Callable[[str], bool]) -> Gate:
    breaker = around.breaker
    return Gate(
        entries_blocked=lambda: breaker.entries_blocked,
        epoch=lambda: breaker.snapshot.epoch,
        now_ms=around.clock.now_ms,
        data_fresh=around.data_fresh,
        positions_trusted=positions_trusted,
        entries_halted=lambda: base.controls.entries_halted,
        elsewhere=SharedHalt(base.journal, breaker.send_fence, around.clearance),
    )


def _desk(
    around: Surroundings,
    base: Foundation,
    gate: Gate,
    on_store_failure: Callable[[StoreError], None],
) -> OrderDesk:
    return OrderDesk(
        client=around.client,
        journal=base.journal,
        gate=gate,
        books=base.books,
        bus=around.bus,
        clock=around.clock,
        wait_clock=around.wait_clock,
        config=around.execution,
        on_store_failure=on_store_failure,
        approvals=base.limits.approvals,
    )


def _protector(
    around: Surroundings, base: Foundation, desk: OrderDesk, rules: ExitRules
) -> Protector:
    return Protector(
        desk=desk,
        books=base.books,
        journal=base.journal,
        orders=ExitOrders(
            journal=base.journal,
            instruments=around.instruments,
            config=around.execution,
            clock=around.clock,
            epoch=lambda: around.breaker.snapshot.epoch,
            price=base.account.price_of,
        ),
        rules=rules,
        config=around.execution,
        max_slippage_pct=around.risk.max_slippage_pct,
        wait_clock=around.wait_clock,
        data_fresh=around.data_fresh,
    )


def _trust(
    around: Surroundings, base: Foundation, desk: OrderDesk, quiescence: Quiescence
) -> BookTrust:
    comparison = around.execution.reconciliation

    def take_funding(payments: Iterable[FundingPayment]) -> None:
        for late in base.books.take_funding(payments):
            around.bus.publish(late)

    return BookTrust(
        reconciler=Reconciler(
            client=around.client,
            desk=desk,
            positions=base.positions,
            account=base.account,
            take_funding=take_funding,
            instruments=around.instruments,
            dust_value=comparison.dust_value,
        ),
        corrections=Corrections(
            books=base.books,
            desk=desk,
            journal=base.journal,
            clock=around.clock,
            config=comparison,
        ),
        journal=base.journal,
        books=base.books,
        desk=desk,
        quiescence=quiescence,
        breaker=around.breaker,
        risk_events=base.risk_events,
        jobs=base.jobs,
        clock=around.clock,
        wait_clock=around.wait_clock,
        config=around.execution,
    )


def _watch(
    around: Surroundings,
    base: Foundation,
    desk: OrderDesk,
    protector: Protector,
    rules: ExitRules,
) -> Watch:
    return Watch(
        desk=desk,
        position_watch=PositionWatch(
            positions=base.positions,
            protector=protector,
            rules=rules,
            account=base.account,
            jobs=base.jobs,
            wait_clock=around.wait_clock,
            data_fresh=around.data_fresh,
            retry_ms=around.execution.stop_retry_ms,
        ),
        account=base.account,
        breaker=around.breaker,
        jobs=base.jobs,
        clock=around.clock,
        wait_clock=around.wait_clock,
        config=around.execution,
        risk=around.risk,
    )


def _halt(
    around: Surroundings,
    base: Foundation,
    desk: OrderDesk,
    sweep: Sweep,
    trust: BookTrust,
    watch: Watch,
) -> HaltResponse:
    return HaltResponse(
        breaker=around.breaker,
        sweep=sweep,
        jobs=base.jobs,
        account=base.account,
        positions=base.positions,
        desk=desk,
        clock=around.clock,
        entry_time_to_live_ms=around.execution.entry_time_to_live_ms,
        fee_rate=base.fee_rate,
        trust=trust,
        watch=watch,
    )


def _sizer(around: Surroundings, base: Foundation) -> EntrySizer:
    breaker = around.breaker
    return EntrySizer(
        journal=base.journal,
        account=base.account,
        reservations=base.reservations,
        clock=around.clock,
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


def _compliance(around: Surroundings, base: Foundation) -> ComplianceDesk:
    return ComplianceDesk(
        config=around.compliance,
        risk=around.risk,
        journal=base.journal,
        controls=base.controls,
        account=base.account,
        risk_events=base.risk_events,
        clock=around.clock,
        bus=around.bus,
    )


def _gateway(
    around: Surroundings,
    base: Foundation,
    desk: OrderDesk,
    sizer: EntrySizer,
    compliance: ComplianceDesk,
) -> OrderGateway:
    return OrderGateway(
        journal=base.journal,
        desk=desk,
        account=base.account,
        limits=base.limits,
        reservations=base.reservations,
        sizer=sizer,
        risk_events=base.risk_events,
        bus=around.bus,
        clock=around.clock,
        snapshot=lambda: around.breaker.snapshot,
        compliance=compliance,
    )


def _liquidator(
    around: Surroundings,
    base: Foundation,
    desk: OrderDesk,
    protector: Protector,
    trust: BookTrust,
) -> Liquidator:
    return Liquidator(
        client=around.client,
        desk=desk,
        journal=base.journal,
        positions=base.positions,
        protector=protector,
        trust=trust,
        clock=around.clock,
        config=around.execution.liquidation,
    )
