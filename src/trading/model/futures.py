"""What an account holds in futures contracts, and what that costs."""

from __future__ import annotations

from decimal import Decimal

from trading.model.base import NonNegativeDecimal, SymbolName, ValueModel


class FuturesPosition(ValueModel):
    """A contract's position in one-way mode; ``quantity`` is negative for a short one.

    Prices and profit are in the margin asset. ``liquidation_price`` is None where there is none.
    """

    symbol: SymbolName
    quantity: Decimal
    entry_price: NonNegativeDecimal
    mark_price: NonNegativeDecimal
    unrealized_pnl: Decimal
    liquidation_price: Decimal | None = None

    @property
    def entry_notional(self) -> Decimal:
        """What the position was opened for, signed as the quantity."""
        return self.quantity * self.entry_price


class FundingPayment(ValueModel):
    """What holding a contract earned (positive) or cost at one settlement."""

    id: str
    symbol: SymbolName
    asset: str
    amount: Decimal
    time_ms: int
