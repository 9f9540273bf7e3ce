"""What the matching engine works on: orders, executions, rejections and the events it emits."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Self

from trading.errors import ExchangeError
from trading.model.order import (
    ZERO,
    Balance,
    Fill,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)


class ExchangeRejection(ExchangeError):  # noqa: N818 - the venue's word for it
    """The engine refuses a request, with Binance's own code and message."""

    code: int

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message, code=code)
        self.code = code
        self.message = message


class ExecutionKind(StrEnum):
    """Why an order event was emitted."""

    NEW = "NEW"
    REPLACED = "REPLACED"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    TRADE_PREVENTION = "TRADE_PREVENTION"


class ExpiryReason(StrEnum):
    IOC_REMAINDER = "UNFILLED_IOC_QUANTITY_EXPIRED"
    FOK_UNFILLED = "UNFILLED_FOK_ORDER_EXPIRED"
    NO_LIQUIDITY = "INSUFFICIENT_LIQUIDITY"
    SELF_TRADE = "SELF_TRADE_PREVENTION"
    SIBLING_ACTED = "OCO_TRIGGER"
    WORKING_ORDER_GONE = "OTO_PHASE_ONE_EXPIRED"
    REFUSED_LATER = "REJECTED"  # a pending order that could not be placed when its turn came
    # Futures only
    NOTHING_TO_CLOSE = "REDUCE_ONLY"  # the position that a closing order was for is gone
    LIQUIDATION = "LIQUIDATION"
    DATE_REACHED = "GOOD_TILL_DATE"


class SelfTradeMode(StrEnum):
    """What happens instead of a trade between two orders of one account; the taker decides."""

    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"
    DECREMENT = "DECREMENT"  # both lose what would have traded
    TRANSFER = "TRANSFER"  # within one account the same as DECREMENT


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order as an account asks for it. ``quote_quantity`` is for MARKET orders only.

    ``trailing_delta`` (basis points) makes a trigger follow the price, from ``trigger_price`` on
    where there is one. ``iceberg_quantity`` is how much of a resting order the book shows.
    ``is_routed`` asks for smart order routing, which finds one book here: the pair's own.
    """

    symbol: str
    side: Side
    type: OrderType
    client_order_id: str | None = None
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    trailing_delta: int | None = None
    iceberg_quantity: Decimal | None = None
    self_trade_mode: SelfTradeMode = SelfTradeMode.EXPIRE_MAKER
    strategy_id: int | None = None
    strategy_type: int | None = None
    is_routed: bool = False

    @classmethod
    def from_request(cls, request: OrderRequest) -> NewOrder:
        return cls(
            symbol=request.symbol,
            side=request.side,
            type=request.type,
            client_order_id=request.client_order_id,
            quantity=request.quantity,
            limit_price=request.limit_price,
            trigger_price=request.trigger_price,
            time_in_force=request.time_in_force,
        )


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill of one order. ``fee`` is in ``fee_asset``."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    is_maker: bool
    time_ms: int


@dataclass(frozen=True, slots=True)
class PreventedMatch:
    """A trade of an account with itself that did not happen.

    ``quantity`` would have traded at ``price``; the other two are what each order lost by it
    (None for an order that kept its quantity).
    """

    match_id: int
    account_id: str
    symbol: str
    taker_order_id: int
    maker_order_id: int
    mode: SelfTradeMode
    price: Decimal
    quantity: Decimal
    taker_prevented: Decimal | None
    maker_prevented: Decimal | None
    time_ms: int


@dataclass(frozen=True, slots=True)
class Amendment:
    """A resting order was made smaller and kept its place."""

    execution_id: int
    order_id: int
    old_client_order_id: str
    new_client_order_id: str
    old_quantity: Decimal
    new_quantity: Decimal
    time_ms: int


@dataclass(slots=True)
class SimOrder:
    """An accepted order and all that has happened to it. Changed by the engine only."""

    order_id: int
    account_id: str
    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    limit_price: Decimal | None
    trigger_price: Decimal | None
    time_in_force: TimeInForce
    created_ms: int
    updated_ms: int
    quote_quantity: Decimal | None = None
    status: OrderStatus = OrderStatus.NEW
    working_ms: int | None = None  # None while a trigger order waits
    filled_quantity: Decimal = ZERO
    filled_notional: Decimal = ZERO
    locked: Decimal = ZERO  # of the quote asset for a BUY, of the base asset for a SELL
    queue_ahead: Decimal = ZERO  # quantity that must trade at our price before we do
    expiry_reason: ExpiryReason | None = None
    executions: list[Execution] = field(default_factory=list)
    self_trade_mode: SelfTradeMode = SelfTradeMode.EXPIRE_MAKER
    prevented_quantity: Decimal = ZERO
    prevented_matches: list[PreventedMatch] = field(default_factory=list)
    iceberg_quantity: Decimal | None = None
    shown_quantity: Decimal = ZERO  # of an iceberg: what is left of the part that shows
    trailing_delta: int | None = None
    trailing_since_ms: int | None = None
    trailing_extreme: Decimal | None = None  # highest price since for a SELL, lowest for a BUY
    reference_price: Decimal | None = None  # last price at arrival
    list_id: int | None = None
    is_pending: bool = False  # waits for its list's working order to fill
    strategy_id: int | None = None
    strategy_type: int | None = None
    is_routed: bool = False
    amendments: list[Amendment] = field(default_factory=list)
    cancel_client_order_id: str | None = None  # of the cancel that ended it

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled_quantity - self.prevented_quantity

    @property
    def visible_quantity(self) -> Decimal:
        """What a resting order shows in the book."""
        return self.remaining if self.iceberg_quantity is None else self.shown_quantity

    @property
    def waits_for_trigger(self) -> bool:
        return self.type.has_trigger and self.working_ms is None

    def snapshot(self) -> Self:
        """The order as it is now."""
        kind = type(self)
        seen = object.__new__(kind)  # more than twice as fast as copy.copy
        for name in kind.__dataclass_fields__:
            setattr(seen, name, getattr(self, name))
        seen.executions = list(self.executions)
        return seen

    def fills(self) -> tuple[Fill, ...]:
        """All executions so far, as the domain's fills."""
        return tuple(self._fill(execution) for execution in self.executions)

    def _fill(self, execution: Execution) -> Fill:
        return Fill(
            trade_id=str(execution.trade_id),
            client_order_id=self.client_order_id,
            symbol=self.symbol,
            side=self.side,
            price=execution.price,
            quantity=execution.quantity,
            fee=execution.fee,
            fee_asset=execution.fee_asset,
            is_maker=execution.is_maker,
            time_ms=execution.time_ms,
        )

    def to_report(self) -> OrderReport:
        """The order's present state, with every fill so far."""
        return OrderReport(
            client_order_id=self.client_order_id,
            venue_order_id=str(self.order_id),
            symbol=self.symbol,
            side=self.side,
            type=self.type,
            status=self.status,
            quantity=self.quantity,
            filled_quantity=self.filled_quantity,
            filled_notional=self.filled_notional,
            limit_price=self.limit_price,
            trigger_price=self.trigger_price,
            time_ms=self.updated_ms,
            fills=self.fills(),
            reason=None if self.expiry_reason is None else self.expiry_reason.value,
        )


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """Something happened to ``order`` (a copy as it was right after)."""

    account_id: str
    kind: ExecutionKind
    order: SimOrder
    time_ms: int
    execution: Execution | None = None
    request_client_order_id: str | None = None  # of the cancel or amendment; the order's own before
    prevented: PreventedMatch | None = None


@dataclass(frozen=True, slots=True)
class BalanceEvent:
    """The balances of an account that a change touched, as they are now."""

    account_id: str
    time_ms: int
    balances: tuple[Balance, ...]


class Contingency(StrEnum):
    OCO = "OCO"  # one cancels the other
    OTO = "OTO"  # one triggers the other (or a pair of which one cancels the other)


class ListProgress(StrEnum):
    STARTED = "EXEC_STARTED"
    UPDATED = "UPDATED"
    DONE = "ALL_DONE"


@dataclass(frozen=True, slots=True)
class ListEvent:
    """An order list began, was changed, or ended. ``orders``: order id and client order id."""

    account_id: str
    symbol: str
    list_id: int
    client_order_id: str
    contingency: Contingency
    progress: ListProgress
    orders: tuple[tuple[int, str], ...]
    time_ms: int


UserEvent = OrderEvent | BalanceEvent | ListEvent
