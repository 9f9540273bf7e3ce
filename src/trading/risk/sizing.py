"""How large an entry may be: fixed-fractional risk, capped, rounded down to what the venue takes.

Formula (fixed fraction of equity at risk; Vince, "The Mathematics of Money Management", 1992)::

    notional = equity × risk_per_trade_pct / stop_loss_pct

capped by the proposal's own notional and by ``max_position_pct`` of equity, then multiplied by
the breaker's size multiplier. The quantity is computed at the limit price, the worst an entry can
pay, so the money at stake never exceeds what was approved.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from trading.errors import RiskLimitError
from trading.model.market import Instrument
from trading.risk.risk_config import RiskConfig

HUNDRED = Decimal(100)
FEE_ALLOWANCE = Decimal("0.002")  # base-asset fees shrink what a stop can sell


class SizedEntry(NamedTuple):
    """An approved size. ``risk_amount`` is what a hit stop loses, in the quote asset."""

    quantity: Decimal
    notional: Decimal
    risk_amount: Decimal


def percent(value: float) -> Decimal:
    """A percentage of the configuration or a proposal as an exact fraction (1.5 → 0.015)."""
    return Decimal(str(value)) / HUNDRED


def size_entry(
    *,
    equity: Decimal,
    stop_loss_pct: float,
    requested_notional: Decimal,
    limit_price: Decimal,
    size_multiplier: float,
    instrument: Instrument,
    config: RiskConfig,
) -> SizedEntry:
    """Size of an entry at ``limit_price``.

    Raises:
        RiskLimitError: the breaker's multiplier is zero, there is no equity, or the size is below
            what the venue accepts for the entry and for its protective stop.
    """
    if size_multiplier <= 0:
        raise RiskLimitError("size_multiplier", limit="> 0", value=str(size_multiplier))
    if equity <= 0:
        raise RiskLimitError("equity", limit="> 0", value=str(equity))
    stop = percent(stop_loss_pct)
    by_risk = equity * percent(config.risk_per_trade_pct) / stop
    by_position = equity * percent(config.max_position_pct)
    target = min(by_risk, by_position, requested_notional) * Decimal(str(size_multiplier))
    quantity = instrument.round_quantity_down(target / limit_price)
    quantity = min(quantity, instrument.round_quantity_down(instrument.max_quantity))
    notional = quantity * limit_price
    if quantity < instrument.min_quantity or quantity <= 0:
        raise RiskLimitError(
            "min_quantity",
            limit=str(instrument.min_quantity),
            value=str(quantity),
            message=f"{target:.2f} of quote asset is too little of {instrument.symbol}",
        )
    worth_at_stop = notional * (1 - stop) * (1 - FEE_ALLOWANCE)
    if worth_at_stop < instrument.min_notional:
        raise RiskLimitError(
            "min_notional",
            limit=str(instrument.min_notional),
            value=f"{worth_at_stop:.2f}",
            message="the protective stop would be too small for the venue",
        )
    return SizedEntry(quantity, notional, notional * stop)
