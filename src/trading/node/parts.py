"""The parts that a core is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trading.clock import Clock
from trading.exchange.protocols import ExchangeClient
from trading.exchange.recovery import RecoveryLog
from trading.execution.service import ExecutionService
from trading.market.engine import MarketEngine
from trading.market.futures_board import FuturesBoard
from trading.node.audit import CoreAudit
from trading.node.board import Board
from trading.node.config import NodeConfig
from trading.node.guard import Guard
from trading.node.hindsight import Hindsight
from trading.node.news_desk import NewsDesk
from trading.node.notifier import Notifier
from trading.node.order_thread import OrderLoop
from trading.node.performance import PerformanceRollUp
from trading.node.records import Records
from trading.node.spikes import SpikeDesk
from trading.risk.circuit_breaker import CircuitBreaker

if TYPE_CHECKING:
    from trading.risk.redis_fleet import FleetHalt  # a replay need not import redis


@dataclass(frozen=True, slots=True)
class CoreParts:
    """What ``trading.node.assembly`` puts together."""

    config: NodeConfig
    clock: Clock
    market: MarketEngine
    futures: FuturesBoard
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
    hindsight: Hindsight
    recovery: RecoveryLog | None  # failures of the venue; None: it cannot fail
    audit: CoreAudit
    notifier: Notifier
    news: NewsDesk
