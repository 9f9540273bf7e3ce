"""How well an order was executed."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from trading.model.base import ValueModel
from trading.model.order import ZERO, Fill, Side

BASIS_POINTS = Decimal(10_000)


class ExecutionQuality(ValueModel):
    """Of one order. None where there is nothing to tell it by.

    ``slippage_bp`` is how much worse than ``decision_price`` the average fill was, in hundredths
    of a per cent; negative when it was better. ``fill_rate`` is filled over ordered quantity. Times
    to the first and last fill count from when the order was sent.
    """

    decision_price: Decimal | None
    average_price: Decimal | None
    slippage_bp: Decimal | None
    fill_rate: Decimal
    first_fill_ms: int | None
    last_fill_ms: int | None


def execution_quality(
    *,
    side: Side,
    quantity: Decimal,
    filled_quantity: Decimal,
    average_price: Decimal | None,
    decision_price: Decimal | None,
    sent_at_ms: int | None,
    fills: Sequence[Fill],
) -> ExecutionQuality:
    """Slippage as Perold's implementation shortfall of what was executed ("The Implementation
    Shortfall: Paper versus Reality", 1988), without fees and without what was not filled."""
    slippage = None
    if average_price is not None and decision_price:
        dearer = (average_price - decision_price) / decision_price * BASIS_POINTS
        slippage = dearer if side is Side.BUY else -dearer
    times = [fill.time_ms for fill in fills]
    return ExecutionQuality(
        decision_price=decision_price,
        average_price=average_price,
        slippage_bp=round(slippage, 2) if slippage is not None else None,
        fill_rate=filled_quantity / quantity if quantity else ZERO,
        first_fill_ms=max(min(times) - sent_at_ms, 0) if times and sent_at_ms is not None else None,
        last_fill_ms=max(max(times) - sent_at_ms, 0) if times and sent_at_ms is not None else None,
    )


class QualitySummary(ValueModel):
    """Of many orders of one purpose. Means weigh orders by what they moved, in the quote asset."""

    purpose: str
    orders: int
    filled: int  # in part at least
    notional: Decimal
    fill_rate: Decimal | None
    slippage_bp: Decimal | None
    slippage_cost: Decimal  # quote asset; negative: better than decided
    median_fill_ms: int | None  # from the send to the last fill


def summarise(purpose: str, orders: Sequence[tuple[ExecutionQuality, Decimal]]) -> QualitySummary:
    """``orders`` come with their filled notional."""
    filled = [(quality, notional) for quality, notional in orders if notional > 0]
    judged = [(q.slippage_bp, n) for q, n in filled if q.slippage_bp is not None]
    weight = sum((notional for _, notional in judged), ZERO)
    cost = sum((bp * notional for bp, notional in judged), ZERO) / BASIS_POINTS
    times = sorted(q.last_fill_ms for q, _ in filled if q.last_fill_ms is not None)
    rates = [quality.fill_rate for quality, _ in orders]
    return QualitySummary(
        purpose=purpose,
        orders=len(orders),
        filled=len(filled),
        notional=sum((notional for _, notional in filled), ZERO),
        fill_rate=sum(rates, ZERO) / len(rates) if rates else None,
        slippage_bp=round(cost / weight * BASIS_POINTS, 2) if weight else None,
        slippage_cost=cost,
        median_fill_ms=times[len(times) // 2] if times else None,
    )
