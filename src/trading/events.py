"""Immutable events inside the core, and the bus that carries them.

The bus is synchronous: ``publish`` calls every subscriber of the event's type in the order they
subscribed, on the caller's thread. A subscriber that must not hold up the publisher hands the
event to its own queue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from trading.model.breaker import BreakerSnapshot
from trading.model.metrics import MarketSnapshot
from trading.model.operations import Approval, LiquidationReport
from trading.model.order import Fill, OrderReport, Position
from trading.model.portfolio import EquityPoint
from trading.model.spike import Spike


@dataclass(frozen=True, slots=True)
class SpikeDetected:
    spike: Spike


@dataclass(frozen=True, slots=True)
class CrashDetected:
    """A hard limit is reached. ``rule`` is the metric's name.

    The market's snapshot is only taken when ``market`` is called, so that a halt need not wait for
    it; every call returns the one of the moment at which the limit was reached.
    """

    rule: str
    reason: str
    time_ms: int
    market: Callable[[], MarketSnapshot]


@dataclass(frozen=True, slots=True)
class BreakerChanged:
    previous: BreakerSnapshot
    current: BreakerSnapshot


@dataclass(frozen=True, slots=True)
class OrderUpdated:
    report: OrderReport
    purpose: str


@dataclass(frozen=True, slots=True)
class FillReceived:
    fill: Fill
    purpose: str


@dataclass(frozen=True, slots=True)
class PositionChanged:
    """``pnl`` is what the trade of a closed one earned, as it is stored: with funding that is known
    by now, and with what it left over."""

    position: Position
    closed: bool
    pnl: Decimal | None = None


@dataclass(frozen=True, slots=True)
class FundingCameLate:
    """Funding was told after the position had closed; ``pnl`` is the trade's with it."""

    symbol: str
    amount: Decimal
    pnl: Decimal


@dataclass(frozen=True, slots=True)
class EntryRefused:
    """An entry did not leave. ``rule`` names what refused it."""

    symbol: str
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class ApprovalRequested:
    """An entry has passed every check and waits for a person."""

    approval: Approval


@dataclass(frozen=True, slots=True)
class ApprovalEnded:
    """It was approved, and has its result; or refused; or nobody decided in time."""

    approval: Approval


@dataclass(frozen=True, slots=True)
class LiquidationEnded:
    """An operator's liquidation is over, one way or the other."""

    report: LiquidationReport


@dataclass(frozen=True, slots=True)
class EquityMeasured:
    """What the account is worth, once a minute of market time. ``benchmark_price`` is not set."""

    point: EquityPoint


Event = (
    SpikeDetected
    | CrashDetected
    | BreakerChanged
    | OrderUpdated
    | FillReceived
    | PositionChanged
    | FundingCameLate
    | EntryRefused
    | ApprovalRequested
    | ApprovalEnded
    | LiquidationEnded
    | EquityMeasured
)
EventT = TypeVar("EventT")


class EventBus:
    """Typed publish and subscribe within one process."""

    def __init__(self) -> None:
        self._subscribers: defaultdict[type, list[Callable[[Any], None]]] = defaultdict(list)

    def subscribe(self, kind: type[EventT], subscriber: Callable[[EventT], None]) -> None:
        self._subscribers[kind].append(subscriber)

    def publish(self, event: Event) -> None:
        for subscriber in self._subscribers[type(event)]:
            subscriber(event)
