"""What the matching engine works on: orders, executions, rejections and the events it emits."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

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
    """Why an order event was emitted; Binance's ``x``."""

    NEW = "NEW"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    TRADE_PREVENTION = "TRADE_PREVENTION"


class ExpiryReason(StrEnum):
    IOC_REMAINDER = "UNFILLED_IOC_QUANTITY_EXPIRED"
    FOK_UNFILLED = "UNFILLED_FOK_ORDER_EXPIRED"
    NO_LIQUIDITY = "INSUFFICIENT_LIQUIDITY"
    SELF_TRADE = "SELF_TRADE_PREVENTION"  # shown on the wire as EXPIRED_IN_MATCH


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order as an account asks for it. ``quote_quantity`` is for MARKET orders only."""

    symbol: str
    side: Side
    type: OrderType
    client_order_id: str | None = None
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    time_in_force: TimeInForce | None = None

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

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled_quantity

    @property
    def waits_for_trigger(self) -> bool:
        return self.type.has_trigger and self.working_ms is None

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
    cancel_client_order_id: str | None = None  # the cancel request's own id


@dataclass(frozen=True, slots=True)
class BalanceEvent:
    """The balances of an account that a change touched, as they are now."""

    account_id: str
    time_ms: int
    balances: tuple[Balance, ...]


UserEvent = OrderEvent | BalanceEvent
