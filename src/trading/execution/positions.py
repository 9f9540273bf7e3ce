"""Positions, made of the orders that built and reduced them.

A position is what one entry bought, less what its exits sold and what fees took; it is kept by
that entry's id. Remainders that no order could sell (below the lot step or the minimum notional)
are dust: they end the position and stay in the account, valued at nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from trading.execution.ledger import Share
from trading.model.market import Instrument
from trading.model.order import ZERO, OrderPurpose, Position, Side
from trading.risk.sizing import percent
from trading.storage.order_repository import OrderRecord
from trading.storage.position_repository import ClosedTrade, PositionRow

EXIT_REASONS = {
    OrderPurpose.PROTECTIVE_STOP: "stop_loss",
    OrderPurpose.TAKE_PROFIT: "take_profit",
}
WRITTEN_OFF = "unexplained_difference"
RECONCILED = "reconciled"  # too little to ask about


@dataclass(slots=True)
class HeldPosition:
    """One open position. Its exits are the protector's, all else the book's."""

    entry_id: str
    symbol: str
    spike_id: str | None
    opened_at_ms: int
    stop_loss_pct: float
    stop_price: Decimal | None = None
    take_profit_price: Decimal | None = None
    stop_order_id: str | None = None
    exit_reason: str = "dust"
    shares: dict[str, Share] = field(default_factory=dict)
    written_off: Decimal = ZERO
    funding: Decimal = ZERO  # of futures: earned by holding it, less what that cost
    profit_shares: dict[str, Decimal] = field(default_factory=dict)  # sold for profit, by order

    def add(self, record: OrderRecord, share: Share) -> None:
        """Account for ``record``'s share so far; the last sale names the exit's reason."""
        self.shares[record.id] = share
        if record.purpose is OrderPurpose.TAKE_PROFIT:
            self.profit_shares[record.id] = share.quantity
        if share.side is Side.SELL and share.quantity > 0:
            self.exit_reason = EXIT_REASONS.get(record.purpose) or record.reason or "exit"

    @property
    def bought(self) -> Decimal:
        return _sum(s.quantity for s in self._side(Side.BUY))

    @property
    def bought_notional(self) -> Decimal:
        return _sum(s.notional for s in self._side(Side.BUY))

    @property
    def sold(self) -> Decimal:
        return _sum(s.quantity for s in self._side(Side.SELL))

    @property
    def sold_notional(self) -> Decimal:
        return _sum(s.notional for s in self._side(Side.SELL))

    @property
    def taken(self) -> Decimal:
        """Base asset sold by take-profit orders."""
        return _sum(self.profit_shares.values())

    @property
    def quantity(self) -> Decimal:
        """Base asset held, fees taken off; never negative."""
        held = _sum(s.base_change for s in self.shares.values()) - self.written_off
        return max(held, ZERO)

    @property
    def uncertain_quantity(self) -> Decimal:
        """How much of the quantity rests on assumed fees."""
        return _sum(s.estimated for s in self._side(Side.BUY))

    @property
    def average_entry_price(self) -> Decimal:
        return self.bought_notional / self.bought if self.bought else ZERO

    @property
    def fees_paid(self) -> Decimal:
        """All fees in the quote asset; fees in base valued at the entry price."""
        base = _sum(s.base_fee for s in self.shares.values())
        other = _sum(s.quote_fee + s.other_fee for s in self.shares.values())
        return base * self.average_entry_price + other

    @property
    def realized_pnl(self) -> Decimal:
        """Earned by what was sold so far, its share of all fees taken off, and by funding."""
        buys, sells = self._side(Side.BUY), self._side(Side.SELL)
        net_bought = _sum(s.base_change for s in buys)
        if net_bought <= 0:
            return self.funding
        cost = _sum(s.notional + s.quote_fee + s.other_fee for s in buys)
        proceeds = _sum(s.notional - s.quote_fee - s.other_fee for s in sells)
        return proceeds - cost * min(self.sold / net_bought, Decimal(1)) + self.funding

    def view(self) -> Position:
        return Position(
            symbol=self.symbol,
            quantity=self.quantity,
            average_entry_price=self.average_entry_price,
            opened_at_ms=self.opened_at_ms,
            stop_price=self.stop_price,
            take_profit_price=self.take_profit_price,
            realized_pnl=self.realized_pnl,
            fees_paid=self.fees_paid,
            spike_id=self.spike_id,
            stop_client_order_id=self.stop_order_id,
        )

    def row(self) -> PositionRow:
        return PositionRow(
            entry_id=self.entry_id,
            position=self.view(),
            bought_quantity=self.bought,
            bought_notional=self.bought_notional,
            sold_quantity=self.sold,
            sold_notional=self.sold_notional,
        )

    def closed(self, closed_at_ms: int) -> ClosedTrade:
        """The round trip; its pnl is cash received less cash paid, funding included."""
        shares = self.shares.values()
        pnl = _sum(s.cash_change - s.other_fee for s in shares)
        return ClosedTrade(
            entry_id=self.entry_id,
            symbol=self.symbol,
            quantity=self.bought,
            entry_price=self.average_entry_price,
            exit_price=self.sold_notional / self.sold if self.sold else self.average_entry_price,
            pnl=pnl + self.funding,
            fees=self.fees_paid,
            exit_reason=self.exit_reason,
            spike_id=self.spike_id,
            opened_at_ms=self.opened_at_ms,
            closed_at_ms=closed_at_ms,
            funding=self.funding,
        )

    def _side(self, side: Side) -> list[Share]:
        return [share for share in self.shares.values() if share.side is side]


class PositionChange(NamedTuple):
    """A position after an order moved; ``trade`` when that closed it."""

    held: HeldPosition
    trade: ClosedTrade | None


class PositionBook:
    """Open positions by symbol; at most one a symbol."""

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._instruments = instruments
        self._held: dict[str, HeldPosition] = {}
        # By base asset and entry: a late fill may close the same entry's position once more.
        self._dust: defaultdict[str, dict[str, Decimal]] = defaultdict(dict)

    def dust(self, base_asset: str) -> Decimal:
        """What closed positions left over and the account still holds."""
        return sum(self._dust[base_asset].values(), ZERO)

    def forget_dust(self, base_asset: str) -> None:
        """It counts as the account's own from now on."""
        self._dust.pop(base_asset, None)

    def get(self, symbol: str) -> HeldPosition | None:
        return self._held.get(symbol)

    def all(self) -> tuple[HeldPosition, ...]:
        return tuple(self._held.values())

    def restore(self, held: HeldPosition) -> None:
        """Take up a position from the store."""
        self._held[held.symbol] = held

    def apply(
        self, record: OrderRecord, share: Share, *, entry_is_final: bool, now_ms: int
    ) -> PositionChange | None:
        """Account for ``record``'s share so far; None when no position is touched."""
        held = self._held.get(record.symbol)
        if held is None or held.entry_id != record.entry_id:
            if share.side is not Side.BUY or share.quantity <= 0 or held is not None:
                return None
            held = self._open(record, share, now_ms)
        held.add(record, share)
        return self.close_if_done(held, entry_is_final=entry_is_final, now_ms=now_ms)

    def close_if_done(
        self, held: HeldPosition, *, entry_is_final: bool, now_ms: int
    ) -> PositionChange:
        """Close ``held`` when what is left of it is dust and nothing more can be bought."""
        if not entry_is_final or self.sellable(held) > 0:
            return PositionChange(held, None)
        self._held.pop(held.symbol, None)
        base = self._instruments[held.symbol].base_asset
        self._dust[base][held.entry_id] = held.quantity
        return PositionChange(held, held.closed(now_ms))

    def sellable(self, held: HeldPosition) -> Decimal:
        """The quantity an order could sell; zero when only dust is left.

        The minimum notional is judged at the stop's distance below the entry price, so that what
        counts as sellable can be protected, too.
        """
        instrument = self._instruments[held.symbol]
        quantity = instrument.round_quantity_down(held.quantity)
        worth = quantity * held.average_entry_price * (1 - percent(held.stop_loss_pct))
        if quantity < instrument.min_quantity or worth < instrument.min_notional:
            return ZERO
        return quantity

    def part(self, held: HeldPosition, at_most: Decimal) -> Decimal:
        """A sale of at most so much, or of all where a part or its rest is too small to sell."""
        whole = self.sellable(held)
        if at_most <= 0:
            return ZERO
        instrument = self._instruments[held.symbol]
        least = max(
            instrument.min_quantity,
            # At half the entry price a slice still has to be worth the minimum notional.
            2 * instrument.min_notional / held.average_entry_price,
        )
        quantity = instrument.round_quantity_down(max(at_most, least))
        return whole if whole - quantity < least else quantity

    def _open(self, record: OrderRecord, share: Share, now_ms: int) -> HeldPosition:
        instrument = self._instruments[record.symbol]
        self._dust[instrument.base_asset].pop(record.id, None)  # in the position again
        price = share.notional / share.quantity
        stop_pct = record.stop_loss_pct or 0.0
        held = HeldPosition(
            entry_id=record.id,
            symbol=record.symbol,
            spike_id=record.spike_id,
            opened_at_ms=now_ms,
            stop_loss_pct=stop_pct,
        )
        if record.stop_loss_pct is not None:
            held.stop_price = instrument.round_price(price * (1 - percent(stop_pct)))
        if record.take_profit_pct is not None:
            held.take_profit_price = instrument.round_price(
                price * (1 + percent(record.take_profit_pct)), up=True
            )
        self._held[record.symbol] = held
        return held


def _sum(values: Iterable[Decimal]) -> Decimal:
    return sum(values, ZERO)
