"""Selling everything on an operator's word: entries cancelled, positions sold by depth, verified.

Every sale goes through the protector, under the position's lock: never more than is held, and what
is left has its stop again after each attempt. A failed or unanswered request is for the next round.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from decimal import Decimal

from trading.clock import Clock
from trading.errors import SpikeguardError
from trading.exchange.protocols import ExchangeClient
from trading.execution.desk import OrderDesk
from trading.execution.journal import Journal
from trading.execution.liquidation_config import LiquidationConfig
from trading.execution.positions import HeldPosition, PositionBook
from trading.execution.protector import Protector
from trading.execution.trust import BookTrust
from trading.model.market import Book
from trading.model.operations import (
    CancelledOrders,
    LiquidatedPosition,
    LiquidationReport,
    LiquidationStatus,
)
from trading.model.order import ZERO, OrderPurpose, Side
from trading.risk.entry_facts import HUNDRED
from trading.risk.sizing import percent

logger = logging.getLogger(__name__)

BOOK_LEVELS = 100
ROUND_PAUSE_S = 0.2
REASON = "liquidation"


@dataclass(slots=True)
class _Leg:
    """One position under liquidation."""

    entry_id: str
    symbol: str
    quantity: Decimal
    sold_before: Decimal
    notional_before: Decimal
    orders_before: int
    decision_price: Decimal | None = None
    problem: str = ""


class Liquidator:
    """One liquidation at a time. On the order loop."""

    def __init__(
        self,
        *,
        client: ExchangeClient,
        desk: OrderDesk,
        journal: Journal,
        positions: PositionBook,
        protector: Protector,
        trust: BookTrust,
        clock: Clock,
        config: LiquidationConfig,
    ) -> None:
        self._client = client
        self._desk = desk
        self._journal = journal
        self._positions = positions
        self._protector = protector
        self._trust = trust
        self._clock = clock
        self._config = config
        self._legs: dict[str, _Leg] = {}  # by entry
        self._compared = -1  # changes of orders when the venue was last asked to confirm
        self.report: LiquidationReport | None = None

    @property
    def is_running(self) -> bool:
        return self.report is not None and self.report.status is LiquidationStatus.RUNNING

    def begin(self, reason: str) -> LiquidationReport:
        """Note that one begins; ``run`` does it."""
        self._legs = {}
        self._compared = -1
        self.report = LiquidationReport(
            status=LiquidationStatus.RUNNING, reason=reason, started_at_ms=self._clock.now_ms()
        )
        return self.report

    async def run(self) -> LiquidationReport:
        """Sell until the account is flat, or until it is given up."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        cancelled: set[str] = set()
        while True:
            cancelled.update((await self.cancel_entries(REASON)).cancelled)
            hurried = loop.time() - started_s >= self._config.patience_s
            held = self._held()
            await asyncio.gather(*(self._sell(one, hurried=hurried) for one in held))
            left = self._left()
            problems = left or self._unconfirmed()
            self._update(LiquidationStatus.RUNNING, len(cancelled), problems)
            if not problems:
                return self._update(LiquidationStatus.FLAT, len(cancelled), ())
            in_vain = not left and self._trust.stands_apart  # no wait brings a confirmation
            if in_vain or loop.time() - started_s >= self._config.give_up_after_s:
                return self._update(LiquidationStatus.NOT_FLAT, len(cancelled), problems)
            await asyncio.sleep(ROUND_PAUSE_S)

    async def cancel_entries(self, reason: str) -> CancelledOrders:
        """Ask once for every open entry's cancel; protective orders stay."""
        entries = self._desk.live(purpose=OrderPurpose.ENTRY)
        await asyncio.gather(*(self._cancel(record.id, reason) for record in entries))
        cancelled, filled, still_open = [], [], []
        for record in entries:
            now = self._desk.find(record.id)
            if now is None or not now.status.is_final:
                still_open.append(record.id)
            elif now.filled_quantity >= record.request.quantity:
                filled.append(record.id)
            else:
                cancelled.append(record.id)
        return CancelledOrders(
            cancelled=tuple(cancelled), filled=tuple(filled), open=tuple(still_open)
        )

    async def _cancel(self, order_id: str, reason: str) -> None:
        try:
            await self._desk.cancel(order_id, reason)
        except SpikeguardError as error:
            logger.warning("entry %s is not cancelled yet: %s", order_id, error)

    async def _sell(self, held: HeldPosition, *, hurried: bool) -> None:
        leg = self._legs.get(held.entry_id)
        if leg is None:
            leg = self._legs[held.entry_id] = self._leg(held)

        async def next_slice(left: Decimal, number: int) -> Decimal:
            if number > 0:
                await asyncio.sleep(self._config.slice_pause_ms / 1000)
            book = await self._client.order_book(held.symbol, BOOK_LEVELS)
            if leg.decision_price is None:
                leg.decision_price = book.mid
            if hurried:
                return left
            return min(left, within(book, self._config.slice_depth_pct))

        try:
            await self._protector.close_in_slices(held.symbol, REASON, next_slice)
            leg.problem = ""
        except SpikeguardError as error:
            leg.problem = str(error)
        except Exception as error:  # one pair's fault must not keep the others from being sold
            logger.exception("liquidating %s failed", held.symbol)
            leg.problem = f"{type(error).__name__}: {error}"

    def _leg(self, held: HeldPosition) -> _Leg:
        sold, notional, orders = self._sold(held.entry_id)
        return _Leg(held.entry_id, held.symbol, held.quantity, sold, notional, orders)

    def _sold(self, entry_id: str) -> tuple[Decimal, Decimal, int]:
        """Quantity and notional sold of a position so far, and by how many orders."""
        sells = [
            record
            for record in self._journal.orders.of_entry(entry_id)
            if record.request.side is Side.SELL and record.filled_quantity > 0
        ]
        sold = sum((record.filled_quantity for record in sells), ZERO)
        return sold, sum((record.filled_notional for record in sells), ZERO), len(sells)

    def _held(self) -> list[HeldPosition]:
        return [one for one in self._positions.all() if self._positions.sellable(one) > 0]

    def _left(self) -> tuple[str, ...]:
        """What, by our own books, is not flat yet."""
        left = [f"{one.symbol}: {one.quantity.normalize():f} held" for one in self._held()]
        entries = self._desk.live(purpose=OrderPurpose.ENTRY)
        left += [f"{record.symbol}: entry {record.id} is {record.status}" for record in entries]
        if self._desk.unknown:
            left.append(f"{self._desk.unknown} orders of unknown outcome")
        return tuple(left)

    def _unconfirmed(self) -> tuple[str, ...]:
        """Flat is what the venue's account shows, too: a comparison that began after the last
        change must have been clean."""
        if self._compared != self._desk.changes:
            self._compared = self._desk.changes
            self._trust.doubt(REASON)
        if self._trust.is_reconciled:
            return ()
        return (f"not confirmed: {self._trust.objection}",)

    def _update(
        self, status: LiquidationStatus, cancelled: int, problems: tuple[str, ...]
    ) -> LiquidationReport:
        assert self.report is not None
        held = {one.entry_id for one in self._held()}
        positions = tuple(
            self._outcome(leg, closed=leg.entry_id not in held) for leg in self._legs.values()
        )
        ended = status is not LiquidationStatus.RUNNING
        self.report = self.report.model_copy(
            update={
                "status": status,
                "ended_at_ms": self._clock.now_ms() if ended else None,
                "entries_cancelled": cancelled,
                "positions": positions,
                "slippage_cost": sum((one.slippage_cost for one in positions), ZERO),
                "problems": problems,
            }
        )
        return self.report

    def _outcome(self, leg: _Leg, *, closed: bool) -> LiquidatedPosition:
        total, total_notional, orders = self._sold(leg.entry_id)
        sold, notional = total - leg.sold_before, total_notional - leg.notional_before
        average = notional / sold if sold else None
        price, slippage_pct, cost = leg.decision_price, None, ZERO
        if price is not None and average is not None:
            cost = price * sold - notional
            slippage_pct = (price - average) / price * HUNDRED
        return LiquidatedPosition(
            symbol=leg.symbol,
            quantity=leg.quantity,
            sold=sold,
            closed=closed,
            orders=orders - leg.orders_before,
            decision_price=price,
            average_price=average,
            slippage_pct=slippage_pct,
            slippage_cost=cost,
            problem=leg.problem,
        )


def within(book: Book, depth_pct: float) -> Decimal:
    """What the bids within ``depth_pct`` of the best one hold."""
    if not book.bids:
        return ZERO
    floor = book.bids[0].price * (1 - percent(depth_pct))
    return sum((level.quantity for level in book.bids if level.price >= floor), ZERO)
