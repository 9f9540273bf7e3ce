"""Orders, fills, positions and balances. All money and quantities are Decimal."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from pydantic import Field, model_validator

from trading.model.base import NonNegativeDecimal, PositiveDecimal, SymbolName, ValueModel
from trading.model.futures import FundingPayment

ZERO = Decimal(0)


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    MARKET = "MARKET"
    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"  # post-only
    STOP_LOSS = "STOP_LOSS"  # market order once the trigger price is reached
    STOP_LOSS_LIMIT = "STOP_LOSS_LIMIT"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"

    @property
    def has_trigger(self) -> bool:
        return self.value.startswith(("STOP_LOSS", "TAKE_PROFIT"))

    @property
    def has_limit_price(self) -> bool:
        return self.value.endswith(("LIMIT", "LIMIT_MAKER"))


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class OrderStatus(StrEnum):
    """Where an order stands. UNKNOWN is ours: sent, and nobody can say what became of it."""

    PENDING = "PENDING"  # journalled, not yet acknowledged
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"

    @property
    def is_open(self) -> bool:
        return self in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)

    @property
    def is_final(self) -> bool:
        return self in (
            OrderStatus.FILLED,
            OrderStatus.CANCELED,
            OrderStatus.REJECTED,
            OrderStatus.EXPIRED,
        )


class OrderPurpose(StrEnum):
    """Why an order exists. Only ENTRY increases risk."""

    ENTRY = "ENTRY"
    PROTECTIVE_STOP = "PROTECTIVE_STOP"
    TAKE_PROFIT = "TAKE_PROFIT"
    EXIT = "EXIT"

    @property
    def increases_risk(self) -> bool:
        return self is OrderPurpose.ENTRY


class OrderRequest(ValueModel):
    """What we ask of a venue. ``client_order_id`` is made by the journal from the intent."""

    client_order_id: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,36}$")
    symbol: SymbolName
    side: Side
    type: OrderType
    quantity: PositiveDecimal
    limit_price: PositiveDecimal | None = None
    trigger_price: PositiveDecimal | None = None
    time_in_force: TimeInForce | None = None
    purpose: OrderPurpose

    @model_validator(mode="after")
    def _prices_fit_the_type(self) -> OrderRequest:
        if (self.limit_price is not None) != self.type.has_limit_price:
            raise ValueError(f"limit_price={self.limit_price} does not fit a {self.type} order")
        if (self.trigger_price is not None) != self.type.has_trigger:
            raise ValueError(f"trigger_price={self.trigger_price} does not fit a {self.type} order")
        needs_tif = self.type.has_limit_price and self.type is not OrderType.LIMIT_MAKER
        if (self.time_in_force is not None) != needs_tif:
            raise ValueError(f"time_in_force={self.time_in_force} does not fit a {self.type} order")
        return self


class Fill(ValueModel):
    """One execution of an order. ``fee`` is in ``fee_asset``."""

    trade_id: str
    client_order_id: str
    symbol: SymbolName
    side: Side
    price: PositiveDecimal
    quantity: PositiveDecimal
    fee: NonNegativeDecimal
    fee_asset: str
    is_maker: bool
    time_ms: int

    @property
    def notional(self) -> Decimal:
        """Price × quantity, in the quote asset."""
        return self.price * self.quantity


class OrderReport(ValueModel):
    """What a venue says of one order, by answer, query or user stream."""

    client_order_id: str
    venue_order_id: str
    symbol: SymbolName
    side: Side
    type: OrderType
    status: OrderStatus
    quantity: PositiveDecimal
    filled_quantity: NonNegativeDecimal = ZERO
    filled_notional: NonNegativeDecimal = ZERO
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    time_ms: int
    fills: tuple[Fill, ...] = ()  # executions this report brings; may repeat ones already seen
    reason: str | None = None

    @property
    def average_price(self) -> Decimal | None:
        """Volume-weighted fill price; None before the first fill."""
        return self.filled_notional / self.filled_quantity if self.filled_quantity else None


class Balance(ValueModel):
    asset: str
    free: NonNegativeDecimal
    locked: NonNegativeDecimal

    @property
    def total(self) -> Decimal:
        return self.free + self.locked


class AccountSnapshot(ValueModel):
    """Balances as the venue reported them at ``time_ms``, and whether the account may trade.

    ``funding`` are the latest payments for holding futures; spot pays none.
    """

    balances: dict[str, Balance]
    can_trade: bool
    time_ms: int
    funding: tuple[FundingPayment, ...] = ()


class Position(ValueModel):
    """A long spot holding built by our own entries. Quantities are of the base asset."""

    symbol: SymbolName
    quantity: NonNegativeDecimal
    average_entry_price: NonNegativeDecimal
    opened_at_ms: int
    stop_price: Decimal | None = None
    take_profit_price: Decimal | None = None
    realized_pnl: Decimal = ZERO  # quote asset, fees included
    fees_paid: NonNegativeDecimal = ZERO  # quote asset
    spike_id: str | None = None
    stop_client_order_id: str | None = None

    def unrealized_pnl(self, price: Decimal) -> Decimal:
        """Profit, in the quote asset, if the whole position were worth ``price`` apiece."""
        return (price - self.average_entry_price) * self.quantity
