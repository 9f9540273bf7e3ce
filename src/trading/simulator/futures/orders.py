"""Futures orders: what an account asks for, what the engine works on, what it tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from trading.model.order import ZERO, OrderType, Side, TimeInForce
from trading.simulator.orders import Execution, SelfTradeMode, SimOrder


class PositionSide(StrEnum):
    """BOTH in one-way mode; an account in hedge mode holds a LONG and a SHORT apart."""

    BOTH = "BOTH"
    LONG = "LONG"
    SHORT = "SHORT"


class FuturesTimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"  # post-only
    GTD = "GTD"  # good till a date

    @property
    def in_matching(self) -> TimeInForce:
        """What the engine makes of it; GTX and GTD rest like GTC."""
        return TimeInForce(self.value) if self.value in TimeInForce.__members__ else TimeInForce.GTC


class WorkingPrice(StrEnum):
    """Which price pulls a trigger."""

    CONTRACT_PRICE = "CONTRACT_PRICE"
    MARK_PRICE = "MARK_PRICE"


class ConditionalType(StrEnum):
    """Orders that wait for a price, and live apart from the others until it comes."""

    STOP = "STOP"
    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"

    @property
    def has_limit_price(self) -> bool:
        return self in (ConditionalType.STOP, ConditionalType.TAKE_PROFIT)


class PriceMatch(StrEnum):
    """A limit price taken from the book: the Nth best of the other side, or of the own queue."""

    NONE = "NONE"
    OPPONENT = "OPPONENT"
    OPPONENT_5 = "OPPONENT_5"
    OPPONENT_10 = "OPPONENT_10"
    OPPONENT_20 = "OPPONENT_20"
    QUEUE = "QUEUE"
    QUEUE_5 = "QUEUE_5"
    QUEUE_10 = "QUEUE_10"
    QUEUE_20 = "QUEUE_20"

    @property
    def level(self) -> int:
        """1 is the best."""
        _kind, _separator, number = self.value.partition("_")
        return int(number or 1)


@dataclass(frozen=True, slots=True)
class NewFuturesOrder:
    """An order as an account asks for it. Without a quantity it closes the whole position."""

    symbol: str
    side: Side
    type: OrderType  # LIMIT or MARKET
    position_side: PositionSide = PositionSide.BOTH
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    time_in_force: FuturesTimeInForce = FuturesTimeInForce.GTC
    reduce_only: bool = False
    close_position: bool = False
    client_order_id: str | None = None
    price_match: PriceMatch = PriceMatch.NONE
    self_trade_mode: SelfTradeMode = SelfTradeMode.EXPIRE_MAKER
    good_till_ms: int = 0
    original_type: str = ""
    trigger_price: Decimal | None = None
    working_price: WorkingPrice = WorkingPrice.CONTRACT_PRICE
    price_protect: bool = False


@dataclass(frozen=True, slots=True)
class Modification:
    """A change of price or quantity of a resting order."""

    number: int
    time_ms: int
    modify_id: int | None
    price_before: Decimal | None
    price_after: Decimal | None
    quantity_before: Decimal
    quantity_after: Decimal


@dataclass(slots=True)
class FuturesOrder(SimOrder):
    """An accepted futures order."""

    position_side: PositionSide = PositionSide.BOTH
    wire_time_in_force: FuturesTimeInForce = FuturesTimeInForce.GTC
    reduce_only: bool = False
    close_position: bool = False
    price_match: PriceMatch = PriceMatch.NONE
    good_till_ms: int = 0
    original_type: str = ""
    stop_price: Decimal | None = None  # of the conditional order that it was
    working_price: WorkingPrice = WorkingPrice.CONTRACT_PRICE
    price_protect: bool = False
    is_liquidation: bool = False
    modifications: list[Modification] = field(default_factory=list)

    @property
    def only_closes(self) -> bool:
        """Whether it may trade no more than the position on the other side of it."""
        if self.position_side is PositionSide.BOTH:
            return self.reduce_only or self.close_position
        return (self.side is Side.SELL) is (self.position_side is PositionSide.LONG)

    @property
    def average_price(self) -> Decimal:
        return self.filled_notional / self.filled_quantity if self.filled_quantity else ZERO


def as_futures(order: SimOrder) -> FuturesOrder:
    """The engine's order as what it is here."""
    if not isinstance(order, FuturesOrder):
        raise TypeError(f"order {order.order_id} is no futures order")
    return order


@dataclass(frozen=True, slots=True)
class FuturesExecution(Execution):
    """A fill, with what it earned by closing a position (fee not included)."""

    realized_pnl: Decimal = ZERO


class AlgoStatus(StrEnum):
    NEW = "NEW"
    TRIGGERING = "TRIGGERING"
    TRIGGERED = "TRIGGERED"
    FINISHED = "FINISHED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"

    @property
    def is_open(self) -> bool:
        return self is AlgoStatus.NEW


@dataclass(frozen=True, slots=True)
class NewAlgoOrder:
    """A conditional order as an account asks for it."""

    symbol: str
    side: Side
    type: ConditionalType
    position_side: PositionSide = PositionSide.BOTH
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    time_in_force: FuturesTimeInForce = FuturesTimeInForce.GTC
    working_price: WorkingPrice = WorkingPrice.CONTRACT_PRICE
    price_match: PriceMatch = PriceMatch.NONE
    close_position: bool = False
    price_protect: bool = False
    reduce_only: bool = False
    activate_price: Decimal | None = None
    callback_rate: Decimal | None = None  # per cent
    client_algo_id: str | None = None
    self_trade_mode: SelfTradeMode = SelfTradeMode.EXPIRE_MAKER
    good_till_ms: int = 0


@dataclass(slots=True)
class AlgoOrder:
    """An accepted conditional order and what became of it."""

    algo_id: int
    account_id: str
    client_algo_id: str
    wanted: NewAlgoOrder
    created_ms: int
    updated_ms: int
    status: AlgoStatus = AlgoStatus.NEW
    triggered_ms: int = 0
    order: FuturesOrder | None = None  # the one that its trigger bore
    extreme: Decimal | None = None  # best price since a trailing stop was activated
    reject_reason: str = ""

    @property
    def symbol(self) -> str:
        return self.wanted.symbol
