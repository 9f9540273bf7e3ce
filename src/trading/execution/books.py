"""What a change of one order means for positions, cash, reservations and the store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial

from trading.clock import Clock
from trading.errors import StoreError
from trading.events import Event, FillReceived, FundingCameLate, OrderUpdated, PositionChanged
from trading.execution.account import AccountBook
from trading.execution.journal import Journal
from trading.execution.ledger import Share, share_of
from trading.execution.positions import HeldPosition, PositionBook, PositionChange
from trading.model.futures import FundingPayment
from trading.model.market import Instrument
from trading.model.order import Fill
from trading.risk.reservations import Reservation, ReservationBook
from trading.storage.order_repository import OrderRecord
from trading.storage.position_repository import ClosedTrade, PositionRow

logger = logging.getLogger(__name__)

TradeClosedHook = Callable[[ClosedTrade], None]


@dataclass(slots=True)
class Effects:
    """Writes for the journal's transaction, and events for after it."""

    writes: list[Callable[[], object]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    closed: ClosedTrade | None = None


class Books:
    """Keeps positions, cash and reservations in step with the orders.

    Quantity and reservation of an order move in one call, so that exposure is at no moment
    counted twice or not at all.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        instruments: Mapping[str, Instrument],
        positions: PositionBook,
        reservations: ReservationBook,
        account: AccountBook,
        clock: Clock,
        fee_rate: Decimal,
    ) -> None:
        self._journal = journal
        self._instruments = instruments
        self.positions = positions
        self.reservations = reservations
        self.account = account
        self._clock = clock
        self._fee_rate = fee_rate
        self._hooks: tuple[TradeClosedHook, ...] = ()
        self.is_live: Callable[[str], bool] = lambda _: False  # set by the desk
        self.trades_closed = 0
        self._since_ms = 0

    def on_trade_closed(self, hook: TradeClosedHook) -> None:
        """Have ``hook`` called after a round trip is stored."""
        self._hooks = (*self._hooks, hook)

    def change(
        self,
        before: OrderRecord,
        after: OrderRecord,
        fills: Iterable[Fill],
        new_fills: tuple[Fill, ...],
    ) -> Effects:
        """Move everything that ``before`` → ``after`` moves; ``fills`` are all, old and new."""
        known = list(fills)
        new_ids = {fill.trade_id for fill in new_fills}
        old_share = self._share(before, [f for f in known if f.trade_id not in new_ids])
        share = self._share(after, known)
        self.account.move_cash(share.cash_change - old_share.cash_change)
        change = self._move_position(after, old_share, share)
        if after.purpose.increases_risk:
            self._move_reservation(before, after)

        effects = Effects(writes=[lambda: self._journal.orders.update(after)])
        effects.writes.extend(partial(self._journal.fills.add, fill) for fill in new_fills)
        if change is not None and (share != old_share or change.trade is not None):
            self._add_position(effects, change)
        purpose = after.purpose.value
        effects.events.append(OrderUpdated(report=after.report(), purpose=purpose))
        effects.events.extend(FillReceived(fill=fill, purpose=purpose) for fill in new_fills)
        return effects

    def knows(self, symbol: str) -> bool:
        """Whether the pair is configured."""
        return symbol in self._instruments

    def base_asset(self, symbol: str) -> str:
        return self._instruments[symbol].base_asset

    def save_position(self, held: HeldPosition) -> Callable[[], object]:
        """The write that stores ``held`` as it is now."""
        row, now_ms = held.row(), self._clock.now_ms()
        return lambda: self._journal.positions.save(row, now_ms)

    def write_off(self, held: HeldPosition, missing: Decimal, reason: str) -> Effects:
        """Take ``missing`` off a position that the venue does not have, by an operator's word."""
        held.written_off += min(missing, held.quantity)
        held.exit_reason = reason
        effects = Effects()
        change = self.positions.close_if_done(
            held, entry_is_final=not self.is_live(held.entry_id), now_ms=self._clock.now_ms()
        )
        self._add_position(effects, change)
        return effects

    def take_funding(self, payments: Iterable[FundingPayment]) -> list[FundingCameLate]:
        """Book what has not been booked yet: to the position that was held then, or to its trade
        when that is closed by now, which is told; and to the cash. Raises StoreError."""
        late: list[FundingCameLate] = []
        for payment in payments:
            is_ours = payment.symbol in self._instruments
            is_quote = payment.asset == self.account.quote_asset
            if not (is_ours and is_quote) or self._journal.funding.has(payment.id):
                continue
            corrected = self._book_funding(payment)
            if corrected is not None:
                late.append(FundingCameLate(payment.symbol, payment.amount, corrected.pnl))
            if self.account.known:  # else the first balance has it in
                self.account.move_cash(payment.amount)
        return late

    def _book_funding(self, payment: FundingPayment) -> ClosedTrade | None:
        """The closed trade that it corrects; None where it goes to a position, or to neither."""
        held = self.positions.get(payment.symbol)
        if held is not None and held.opened_at_ms <= payment.time_ms:
            add = partial(self._journal.funding.add, payment, held.entry_id)
            before, held.funding = held.funding, held.funding + payment.amount
            try:
                self._journal.write("a funding payment", add, self.save_position(held))
            except StoreError:
                held.funding = before
                raise
            return None
        trade = self._journal.trades.held_at(payment.symbol, payment.time_ms)
        entry_id = trade.entry_id if trade is not None else None
        writes: list[Callable[[], object]] = [partial(self._journal.funding.add, payment, entry_id)]
        if trade is not None:
            pnl, funding = trade.pnl + payment.amount, trade.funding + payment.amount
            trade = replace(trade, pnl=pnl, funding=funding)
            writes.append(partial(self._store_trade, trade))
        self._journal.write("a funding payment", *writes)
        return trade

    def finish(self, effects: Effects) -> None:
        """After the writes are durable: tell those who wait for closed trades."""
        if effects.closed is None:
            return
        self.trades_closed += 1
        for hook in self._hooks:
            hook(effects.closed)

    def restore(self, since_ms: int) -> None:
        """Positions and reservations as the store has them; profits from ``since_ms`` on."""
        for row in self._journal.positions.open():
            if row.position.symbol not in self._instruments:
                logger.critical(
                    "%s is held and not configured any more: it is left to its stop",
                    row.position.symbol,
                )
                continue
            self.positions.restore(self._held_from(row))
        for record in self._journal.orders.not_final():
            if record.symbol not in self._instruments:
                continue
            if record.purpose.increases_risk and record.reserved_now > 0:
                self.reservations.restore(
                    record.id,
                    Reservation(record.symbol, record.reserved_now),
                )
        self._since_ms = since_ms
        self.account.realized_pnl = self._journal.trades.total_pnl(since_ms)

    def _move_reservation(self, before: OrderRecord, after: OrderRecord) -> None:
        if before.status.is_final and not after.status.is_final:
            # Given up for never sent, and the venue has it after all.
            reservation = Reservation(after.symbol, after.reserved_now)
            self.reservations.restore(after.id, reservation)
        else:
            self.reservations.shrink(after.id, after.reserved_now)

    def _move_position(
        self, record: OrderRecord, old_share: Share, share: Share
    ) -> PositionChange | None:
        reopened = old_share.quantity > 0 and self.positions.get(record.symbol) is None
        change = self.positions.apply(
            record,
            share,
            entry_is_final=not self.is_live(record.entry_id),
            now_ms=self._clock.now_ms(),
        )
        if reopened and change is not None and change.trade is None:
            # A late fill of an entry that was closed before: what its exits sold counts.
            for other in self._journal.orders.of_entry(record.entry_id):
                if other.id != record.id:
                    change.held.add(other, self._stored_share(other))
            change.held.funding = self._journal.funding.of_entry(record.entry_id)
            return self.positions.close_if_done(
                change.held,
                entry_is_final=not self.is_live(record.entry_id),
                now_ms=self._clock.now_ms(),
            )
        return change

    def _add_position(self, effects: Effects, change: PositionChange) -> None:
        held, trade = change
        if trade is None:
            effects.writes.append(self.save_position(held))
        else:
            effects.closed = trade
            effects.writes.append(lambda: self._journal.positions.remove(held.entry_id))
            effects.writes.append(lambda: self._store_trade(trade))
        effects.events.append(
            PositionChanged(
                position=held.view(),
                closed=trade is not None,
                pnl=trade.pnl if trade is not None else None,
            )
        )

    def _store_trade(self, trade: ClosedTrade) -> None:
        self._journal.trades.add(trade)
        # Summed again, because a late fill may have corrected a trade that was counted before.
        self.account.realized_pnl = self._journal.trades.total_pnl(self._since_ms)

    def _held_from(self, row: PositionRow) -> HeldPosition:
        position = row.position
        records = self._journal.orders.of_entry(row.entry_id)
        entry = records[0] if records else None
        held = HeldPosition(
            entry_id=row.entry_id,
            symbol=position.symbol,
            spike_id=position.spike_id,
            opened_at_ms=position.opened_at_ms,
            stop_loss_pct=(entry.stop_loss_pct if entry else None) or 0.0,
            stop_price=position.stop_price,
            take_profit_price=position.take_profit_price,
            stop_order_id=position.stop_client_order_id,
        )
        for record in records:
            held.add(record, self._stored_share(record))
        held.funding = self._journal.funding.of_entry(row.entry_id)
        held.written_off = max(held.quantity - position.quantity, Decimal(0))
        return held

    def _stored_share(self, record: OrderRecord) -> Share:
        return self._share(record, self._journal.fills.of_order(record.id))

    def _share(self, record: OrderRecord, fills: Iterable[Fill]) -> Share:
        return share_of(
            record,
            fills,
            self._instruments[record.symbol],
            fee_rate=self._fee_rate,
            value_of=self.account.value_of,
        )
