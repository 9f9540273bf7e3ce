"""What the order path is given, and what all of it stands on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from trading.clock import Clock
from trading.errors import StoreError
from trading.events import EventBus
from trading.exchange.protocols import ExchangeClient
from trading.execution.account import AccountBook
from trading.execution.books import Books
from trading.execution.config import ExecutionConfig
from trading.execution.controls import OperatingControls
from trading.execution.equity_marks import EquityMarks
from trading.execution.jobs import Jobs
from trading.execution.journal import Journal
from trading.execution.positions import PositionBook
from trading.execution.shared_halt import Clearance
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
class Foundation:
    """Journal, limits, positions and money: what every other part of the order path stands on."""

    jobs: Jobs
    journal: Journal
    risk_events: RiskEventRepository
    controls: OperatingControls
    reservations: ReservationBook
    limits: RiskLimits
    positions: PositionBook
    account: AccountBook
    books: Books
    fee_rate: Decimal


def build_foundation(
    around: Surroundings,
    connection: sqlite3.Connection,
    on_store_failure: Callable[[StoreError], None],
) -> Foundation:
    """Over an open store; ``on_store_failure`` is told when the journal cannot be written."""
    journal = Journal(
        connection,
        around.client.venue,
        on_failure=on_store_failure,
        obey_breaker=around.breaker.enforcing,
    )
    reservations = ReservationBook()
    positions = PositionBook(around.instruments)
    account = AccountBook(
        quote_asset=around.quote_asset,
        instruments=around.instruments,
        positions=positions,
        reservations=reservations,
        price=around.price,
        marks=EquityMarks(journal),
    )
    fee_rate = percent(around.execution.fee_estimate_pct)
    return Foundation(
        jobs=Jobs(),
        journal=journal,
        risk_events=RiskEventRepository(connection),
        controls=OperatingControls(connection),
        reservations=reservations,
        limits=RiskLimits(around.risk, reservations),
        positions=positions,
        account=account,
        books=Books(
            journal=journal,
            instruments=around.instruments,
            positions=positions,
            reservations=reservations,
            account=account,
            clock=around.clock,
            fee_rate=fee_rate,
        ),
        fee_rate=fee_rate,
    )
