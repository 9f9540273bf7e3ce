"""What the futures exchange tells: its users of their accounts, everybody of forced orders."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from trading.model.order import ZERO, Side
from trading.simulator.futures.orders import AlgoOrder, AlgoStatus, PositionSide
from trading.simulator.orders import OrderEvent


class AccountChange(StrEnum):
    """Why balances or positions changed."""

    ORDER = "ORDER"
    FUNDING_FEE = "FUNDING_FEE"
    MARGIN_TRANSFER = "MARGIN_TRANSFER"
    MARGIN_TYPE_CHANGE = "MARGIN_TYPE_CHANGE"
    INSURANCE_CLEAR = "INSURANCE_CLEAR"


@dataclass(frozen=True, slots=True)
class WalletState:
    """``change`` is what moved otherwise than by profit and fees."""

    asset: str
    wallet: Decimal
    cross_wallet: Decimal
    change: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class PositionState:
    symbol: str
    side: PositionSide
    amount: Decimal
    entry_price: Decimal
    break_even_price: Decimal
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    is_isolated: bool
    isolated_wallet: Decimal


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """Balances and positions that changed, as they are now."""

    account_id: str
    reason: AccountChange
    time_ms: int
    wallets: tuple[WalletState, ...]
    positions: tuple[PositionState, ...]
    symbol: str | None = None  # of a funding


@dataclass(frozen=True, slots=True)
class ConfigEvent:
    """Leverage of a contract, or the multi-assets mode, was changed."""

    account_id: str
    time_ms: int
    symbol: str | None = None
    leverage: int | None = None
    multi_assets: bool | None = None


@dataclass(frozen=True, slots=True)
class MarginCallPosition:
    state: PositionState
    mark_price: Decimal
    maintenance_margin: Decimal


@dataclass(frozen=True, slots=True)
class MarginCallEvent:
    """The margin is nearly used up. ``cross_wallet`` is None for an isolated position."""

    account_id: str
    time_ms: int
    cross_wallet: Decimal | None
    positions: tuple[MarginCallPosition, ...]


@dataclass(frozen=True, slots=True)
class AlgoEvent:
    """A conditional order changed its status."""

    account_id: str
    time_ms: int
    status: AlgoStatus
    algo: AlgoOrder


@dataclass(frozen=True, slots=True)
class ForcedOrder:
    """A liquidation as everybody may see it. ``side`` is SELL where a long was closed."""

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    average_price: Decimal
    last_quantity: Decimal
    filled_quantity: Decimal
    time_ms: int


FuturesEvent = OrderEvent | AccountEvent | ConfigEvent | MarginCallEvent | AlgoEvent
