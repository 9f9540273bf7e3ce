"""How large an entry may be: a share of equity at risk, capped, rounded to what the venue takes.

Formula (fixed fraction of equity at risk; Vince, "The Mathematics of Money Management", 1992)::

    notional = equity × risk_pct / stop_loss_pct

capped by the proposal's own notional and by the position limits, then multiplied by the size
multiplier. ``risk_pct`` is ``risk_per_trade_pct``, or by method less of it:

* volatility: × min(1, target volatility / the pair's volatility);
* kelly: ``kelly_fraction`` × (p − (1 − p) / b) of equity, with p the share of winners among the
  last trades and b their mean win over their mean loss (Kelly, "A New Interpretation of
  Information Rate", 1956).

The quantity is computed at the limit price, the worst an entry can pay, so the money at stake
never exceeds what was approved.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from trading.clock import MINUTE_MS
from trading.errors import RiskLimitError
from trading.model.market import Instrument
from trading.model.order import ZERO
from trading.risk.entry_facts import HUNDRED, TradeHistory
from trading.risk.risk_config import RiskConfig, SizingConfig, SizingMethod

FEE_ALLOWANCE = Decimal("0.002")  # base-asset fees shrink what a stop can sell
NO_TRADES = TradeHistory()


class SizedEntry(NamedTuple):
    """An approved size. ``risk_amount`` is what a hit stop loses, in the quote asset."""

    quantity: Decimal
    notional: Decimal
    risk_amount: Decimal


def percent(value: float) -> Decimal:
    """A percentage of the configuration or a proposal as an exact fraction (1.5 → 0.015)."""
    return Decimal(str(value)) / HUNDRED


def size_multiplier_now(
    breaker: float, recovered_at_ms: int | None, now_ms: int, config: SizingConfig
) -> float:
    """The breaker's own multiplier, and for a while after a recovery no more than a part.

    ``recovered_at_ms`` is when the last halt was over, None when there was none.
    """
    if recovered_at_ms is None:
        return breaker
    if now_ms - recovered_at_ms >= config.after_recovery_minutes * MINUTE_MS:
        return breaker
    return min(breaker, config.after_recovery_multiplier)


def risk_share(config: RiskConfig, volatility_pct: float | None, history: TradeHistory) -> Decimal:
    """Share of equity that an entry may lose at its stop, by the configured method.

    Raises:
        RiskLimitError: the method needs a figure that is unknown, or says not to bet at all.
    """
    full, sizing = percent(config.risk_per_trade_pct), config.sizing
    if sizing.method is SizingMethod.VOLATILITY:
        if volatility_pct is None:
            raise RiskLimitError("sizing", limit="known", value="unknown", message="volatility")
        if volatility_pct <= sizing.target_volatility_pct:
            return full
        return full * Decimal(str(sizing.target_volatility_pct)) / Decimal(str(volatility_pct))
    if sizing.method is SizingMethod.KELLY:
        return min(full, _kelly_share(full, history, sizing))
    return full


def _kelly_share(full: Decimal, history: TradeHistory, sizing: SizingConfig) -> Decimal:
    profits = history.profits[: sizing.kelly_trades]
    if len(profits) < sizing.kelly_min_trades:
        return full / 2
    wins = [profit for profit in profits if profit > 0]
    losses = [-profit for profit in profits if profit < 0]
    if not losses:
        return full
    bet = ZERO
    if wins:
        winners = Decimal(len(wins)) / len(profits)
        payoff = (sum(wins, ZERO) / len(wins)) / (sum(losses, ZERO) / len(losses))
        bet = winners - (1 - winners) / payoff
    if bet <= 0:
        raise RiskLimitError(
            "kelly", limit="> 0", value=f"{bet:.3f}", message="the last trades show no edge"
        )
    return bet * Decimal(str(sizing.kelly_fraction))


def size_entry(
    *,
    equity: Decimal,
    stop_loss_pct: float,
    requested_notional: Decimal,
    limit_price: Decimal,
    size_multiplier: float,
    instrument: Instrument,
    config: RiskConfig,
    volatility_pct: float | None = None,
    history: TradeHistory = NO_TRADES,
) -> SizedEntry:
    """Size of an entry at ``limit_price``. Volatility and history serve the methods that ask.

    Raises:
        RiskLimitError: the breaker's multiplier is zero, there is no equity, the method refuses,
            or the size is below what the venue accepts for the entry and for its protective stop.
    """
    if size_multiplier <= 0:
        raise RiskLimitError("size_multiplier", limit="> 0", value=str(size_multiplier))
    if equity <= 0:
        raise RiskLimitError("equity", limit="> 0", value=str(equity))
    stop = percent(stop_loss_pct)
    by_risk = equity * risk_share(config, volatility_pct, history) / stop
    limit_pct = config.symbol_limits_pct.get(instrument.symbol, config.max_position_pct)
    by_position = equity * percent(min(limit_pct, config.max_position_pct))
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
