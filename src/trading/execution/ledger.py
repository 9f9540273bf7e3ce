"""Order arithmetic as pure functions: what a report changes, and what an order moved in money.

Reports come by answer, query and user stream, late, twice and out of order. Quantities only ever
grow, a final status is kept, and a fill counts once whichever way it came; so folding any
permutation of the same reports gives the same record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from trading.model.market import Instrument
from trading.model.order import ZERO, Fill, OrderReport, OrderStatus, Side
from trading.storage.order_repository import OrderRecord

_RANK = {
    OrderStatus.PENDING: 0,
    OrderStatus.UNKNOWN: 1,
    OrderStatus.NEW: 2,
    OrderStatus.PARTIALLY_FILLED: 3,
}
_FINAL_RANK = 4


def fold(
    record: OrderRecord, report: OrderReport, fills: Iterable[Fill], now_ms: int
) -> OrderRecord:
    """``record`` after ``report``; ``fills`` are all known ones, the report's included.

    Returns ``record`` itself when nothing changes.
    """
    quantity, notional = _filled(record, report, fills)
    status = _status(record, report, quantity)
    venue_order_id = report.venue_order_id or record.venue_order_id
    after = replace(
        record,
        status=status,
        filled_quantity=quantity,
        filled_notional=notional,
        venue_order_id=venue_order_id,
        reason=report.reason or record.reason,
    )
    return record if after == record else replace(after, updated_at_ms=now_ms)


def _filled(
    record: OrderRecord, report: OrderReport, fills: Iterable[Fill]
) -> tuple[Decimal, Decimal]:
    executed = list(fills)
    candidates = (
        (record.filled_quantity, record.filled_notional),
        (report.filled_quantity, report.filled_notional),
        # Last, so that at equal quantity the exact sum of the fills wins.
        (
            sum((fill.quantity for fill in executed), ZERO),
            sum((fill.notional for fill in executed), ZERO),
        ),
    )
    best = candidates[0]
    for candidate in candidates[1:]:
        if candidate[0] >= best[0] and candidate[0] > 0:
            best = candidate
    return best


def _status(record: OrderRecord, report: OrderReport, filled: Decimal) -> OrderStatus:
    if filled >= record.request.quantity:
        return OrderStatus.FILLED
    current, reported = record.status, report.status
    # We gave it up for never sent, and the venue has it after all.
    resurrected = current is OrderStatus.REJECTED and record.venue_order_id is None
    if current.is_final and not resurrected:
        return current
    if resurrected and report.venue_order_id:
        return reported
    if reported is OrderStatus.FILLED:
        # Final by the venue's word; the quantity follows with its fills.
        return reported
    newest = reported if _rank(reported) >= _rank(current) else current
    if newest is OrderStatus.NEW and filled > 0:
        return OrderStatus.PARTIALLY_FILLED
    return newest


def _rank(status: OrderStatus) -> int:
    return _RANK.get(status, _FINAL_RANK)


@dataclass(frozen=True, slots=True)
class Share:
    """What one order moved. Fees in ``base`` reduce what is held, fees in ``quote`` the cash.

    ``estimated`` is the executed quantity whose fee is assumed, not reported.
    """

    side: Side
    quantity: Decimal = ZERO
    notional: Decimal = ZERO
    base_fee: Decimal = ZERO
    quote_fee: Decimal = ZERO
    other_fee: Decimal = ZERO  # fees in a third asset, valued in quote; not taken from our cash
    estimated: Decimal = ZERO

    @property
    def base_change(self) -> Decimal:
        """Base asset gained, negative when sold."""
        moved = self.quantity if self.side is Side.BUY else -self.quantity
        return moved - self.base_fee

    @property
    def cash_change(self) -> Decimal:
        """Quote asset gained, negative when spent."""
        moved = -self.notional if self.side is Side.BUY else self.notional
        return moved - self.quote_fee


def share_of(
    record: OrderRecord,
    fills: Iterable[Fill],
    instrument: Instrument,
    *,
    fee_rate: Decimal,
    value_of: Callable[[str], Decimal | None],
) -> Share:
    """What ``record`` moved so far.

    Executed quantity without a reported fill is charged ``fee_rate`` in the received asset.
    ``value_of`` prices one unit of a fee asset in the quote asset, None where it is not known.
    """
    base_fee = quote_fee = other_fee = covered = covered_notional = ZERO
    for fill in fills:
        covered += fill.quantity
        covered_notional += fill.notional
        if fill.fee_asset == instrument.base_asset:
            base_fee += fill.fee
        elif fill.fee_asset == instrument.quote_asset:
            quote_fee += fill.fee
        else:
            other_fee += fill.fee * (value_of(fill.fee_asset) or ZERO)
    uncovered = max(record.filled_quantity - covered, ZERO)
    if record.request.side is Side.BUY:
        base_fee += uncovered * fee_rate
    else:
        quote_fee += max(record.filled_notional - covered_notional, ZERO) * fee_rate
    return Share(
        side=record.request.side,
        quantity=record.filled_quantity,
        notional=record.filled_notional,
        base_fee=base_fee,
        quote_fee=quote_fee,
        other_fee=other_fee,
        estimated=uncovered,
    )
