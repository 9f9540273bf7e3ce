"""The matching of one symbol: deterministic, in Decimal, in market time.

Accounts' orders meet two kinds of counterparty: the synthetic book around the last traded price
(orders that take liquidity walk it, and slip) and the tape (a resting order fills when a trade
prints through its price, or at its price once the queue ahead of it has traded). Between accounts,
price-time priority holds and the taker gets the maker's price. Whatever an account takes is not
printed on the tape: a recorded market stays as it was recorded.

What an order costs, and which kinds of orders there are, is the market's own: ``spot_matching``,
``futures.matching``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Protocol

from trading.model.market import Instrument
from trading.model.order import ZERO, OrderStatus, Side, TimeInForce
from trading.simulator.book_config import BookShapeConfig
from trading.simulator.match_plan import MARKET_LIKE, Match, Planner
from trading.simulator.orders import (
    ExchangeRejection,
    Execution,
    ExecutionKind,
    ExpiryReason,
    OrderEvent,
    PreventedMatch,
    SimOrder,
)
from trading.simulator.resting_orders import RestingOrders, limit_of
from trading.simulator.self_trade import prevent
from trading.simulator.synthetic_book import MarketBook, SyntheticBook


class Money(Protocol):
    """What an engine needs of whoever keeps the accounts."""

    def release(self, order: SimOrder) -> None:
        """Give back what an order that ends still holds."""

    def budget(self, order: SimOrder) -> Decimal | None:
        """Quote asset that a taker may spend; None where its quantity decides."""

    def book_market_side(self, side: Side, price: Decimal, quantity: Decimal) -> None:
        """The market as counterparty of an execution on ``side``."""

    def settle(
        self,
        order: SimOrder,
        price: Decimal,
        quantity: Decimal,
        trade_id: int,
        now_ms: int,
        *,
        is_maker: bool,
    ) -> Execution:
        """Settle one side of one execution and note it in the order."""


class MatchingEngine:
    """Orders of all accounts on one symbol."""

    def __init__(
        self,
        instrument: Instrument,
        shape: BookShapeConfig,
        money: Money,
        emit: Callable[[Any], None],
        next_trade_id: Callable[[], int],
        book: MarketBook | None = None,
    ) -> None:
        """``book`` stands for everybody else; a synthetic one of ``shape`` where none is given."""
        self.instrument = instrument
        self.book: MarketBook = book or SyntheticBook(instrument, shape)
        self._settlement = money
        self._emit = emit
        self._next_trade_id = next_trade_id
        self._resting = RestingOrders()
        self._planner = Planner(instrument, self.book, self._resting, money.budget)
        self._prevented_matches = 0

    def open_orders(self) -> Iterator[SimOrder]:
        """Open orders of every account."""
        yield from self._resting

    def levels(self, side: Side, limit: int) -> list[tuple[Decimal, Decimal]]:
        """Price and quantity, best first: the synthetic book and accounts' orders together."""
        merged = self._resting.shown(side)
        for level in self.book.side(side):
            if level.quantity > 0:
                merged[level.price] = merged.get(level.price, ZERO) + level.quantity
        return sorted(merged.items(), reverse=side is Side.BUY)[:limit]

    def on_tape(self, price: Decimal, quantity: Decimal, now_ms: int) -> None:
        """A trade printed: move the book, fill what rests in its way."""
        self.book.move_to(price)
        if self._resting.bids:
            self._fill_from_tape(Side.BUY, price, quantity, now_ms)
        if self._resting.asks:
            self._fill_from_tape(Side.SELL, price, quantity, now_ms)

    def end(
        self,
        order: SimOrder,
        status: OrderStatus,
        kind: ExecutionKind,
        now_ms: int,
        *,
        reason: ExpiryReason | None = None,
        request_client_order_id: str | None = None,
        prevented: PreventedMatch | None = None,
    ) -> None:
        """Take an open order out, and give back what it held."""
        self._settlement.release(order)
        self._remove(order)
        order.status = status
        order.updated_ms = now_ms
        order.expiry_reason = reason
        order.cancel_client_order_id = request_client_order_id
        self._announce(
            order,
            kind,
            now_ms,
            request_client_order_id=request_client_order_id,
            prevented=prevented,
        )
        self._after_end(order, now_ms)

    # What markets differ in ----------------------------------------------------------------

    def _before_it_acts(self, order: SimOrder, now_ms: int) -> None:
        """``order`` is about to trade for the first time."""

    def _allowed(self, _order: SimOrder, quantity: Decimal) -> Decimal:
        """How much of ``quantity`` the order may trade at this moment."""
        return quantity

    def _was_settled(self, order: SimOrder, execution: Execution) -> None:
        """An execution was settled, and is about to be announced."""

    def _after_fill(self, order: SimOrder, execution: Execution, now_ms: int) -> None:
        """An execution was settled and announced."""

    def _after_end(self, order: SimOrder, now_ms: int) -> None:
        """An order is done."""

    def _shrank(self, order: SimOrder) -> None:
        """An open order lost a part of its quantity."""

    def _after_event(self, order: SimOrder, kind: ExecutionKind, now_ms: int) -> None:
        """An event was announced."""

    # Inside --------------------------------------------------------------------------------

    def _last_price(self) -> Decimal:
        last = self.book.last_price
        if last is None or not self.instrument.trading:
            raise ExchangeRejection(-2010, "Market is closed.")
        return last

    def _fill_from_tape(self, side: Side, price: Decimal, quantity: Decimal, now_ms: int) -> None:
        filled_at_price = ZERO
        for order in list(self._resting.side(side)):
            limit = limit_of(order)
            if order.status.is_final:  # it gave way to another order just now
                continue
            if limit == price:
                beyond_queue = quantity - order.queue_ahead - filled_at_price
                order.queue_ahead = max(ZERO, order.queue_ahead - quantity)
                fill = self._allowed(order, min(order.visible_quantity, beyond_queue))
                if fill <= 0:
                    continue
                filled_at_price += fill
            elif (limit > price) is (side is Side.BUY):
                fill = self._allowed(order, order.remaining)
                if fill <= 0:
                    continue
            else:
                break
            self._trade_with_market(order, limit, fill, now_ms, is_maker=True)

    def _match(self, order: SimOrder, now_ms: int) -> None:
        plan = self._planner.plan(order)
        all_or_none = order.time_in_force is TimeInForce.FOK and order.limit_price is not None
        if all_or_none and self._planner.fillable(order, plan) < order.remaining:
            self._expire(order, ExpiryReason.FOK_UNFILLED, now_ms)
            return
        for match in plan:
            if order.status.is_final:
                return
            self._execute(order, match, now_ms)
        if order.status.is_final:
            return
        if order.type in MARKET_LIKE:
            self._expire(order, ExpiryReason.NO_LIQUIDITY, now_ms)
        elif order.time_in_force is TimeInForce.IOC:
            self._expire(order, ExpiryReason.IOC_REMAINDER, now_ms)
        else:
            self._rest(order)

    def _rest(self, order: SimOrder) -> None:
        price = limit_of(order)
        resting = self._resting.side(order.side)
        ahead = [other.queue_ahead for other in resting if other.limit_price == price]
        order.queue_ahead = max([self.book.queue_at(order.side, price), *ahead])
        self._resting.add(order)

    def _execute(self, taker: SimOrder, match: Match, now_ms: int) -> None:
        maker = match.maker
        if maker is not None and maker.status.is_final:
            return
        if maker is not None and maker.account_id == taker.account_id:
            self._prevent(taker, maker, match, now_ms)
            return
        quantity = self._allowed(taker, match.quantity)
        if maker is not None:
            quantity = self._allowed(maker, quantity)
        if quantity <= 0:
            return
        if maker is None:
            if match.level is not None:
                match.level.quantity -= quantity
            self._trade_with_market(taker, match.price, quantity, now_ms, is_maker=False)
            return
        trade_id = self._next_trade_id()
        self._fill(maker, match.price, quantity, trade_id, now_ms, is_maker=True)
        self._fill(taker, match.price, quantity, trade_id, now_ms, is_maker=False)

    def _prevent(self, taker: SimOrder, maker: SimOrder, match: Match, now_ms: int) -> None:
        prevented = prevent(taker, maker, match.price, self._prevented_matches, now_ms)
        self._prevented_matches += 1
        for order, lost in (
            (maker, prevented.maker_prevented),
            (taker, prevented.taker_prevented),
        ):
            if lost is None:
                continue
            order.prevented_quantity += lost
            if order is maker:
                self._resting.took(maker, lost)
            if order.remaining:
                self._shrank(order)
                self._announce(order, ExecutionKind.TRADE_PREVENTION, now_ms, prevented=prevented)
            else:
                self.end(
                    order,
                    OrderStatus.EXPIRED,
                    ExecutionKind.TRADE_PREVENTION,
                    now_ms,
                    reason=ExpiryReason.SELF_TRADE,
                    prevented=prevented,
                )

    def _trade_with_market(
        self, order: SimOrder, price: Decimal, quantity: Decimal, now_ms: int, *, is_maker: bool
    ) -> None:
        self._settlement.book_market_side(order.side, price, quantity)
        self._fill(order, price, quantity, self._next_trade_id(), now_ms, is_maker=is_maker)

    def _fill(
        self,
        order: SimOrder,
        price: Decimal,
        quantity: Decimal,
        trade_id: int,
        now_ms: int,
        *,
        is_maker: bool,
    ) -> None:
        if not order.executions:
            self._before_it_acts(order, now_ms)
        execution = self._settlement.settle(
            order, price, quantity, trade_id, now_ms, is_maker=is_maker
        )
        self._was_settled(order, execution)
        if is_maker:
            self._resting.took(order, quantity)
        is_filled = order.status is OrderStatus.FILLED
        if is_filled:
            self._remove(order)
        self._announce(order, ExecutionKind.TRADE, now_ms, execution=execution)
        self._after_fill(order, execution, now_ms)
        if is_filled:
            self._after_end(order, now_ms)

    def _expire(self, order: SimOrder, reason: ExpiryReason, now_ms: int) -> None:
        self.end(order, OrderStatus.EXPIRED, ExecutionKind.EXPIRED, now_ms, reason=reason)

    def _remove(self, order: SimOrder) -> None:
        self._resting.discard(order)

    def _announce(
        self,
        order: SimOrder,
        kind: ExecutionKind,
        now_ms: int,
        *,
        execution: Execution | None = None,
        request_client_order_id: str | None = None,
        prevented: PreventedMatch | None = None,
    ) -> None:
        seen = order.snapshot()
        self._emit(
            OrderEvent(
                order.account_id, kind, seen, now_ms, execution, request_client_order_id, prevented
            )
        )
        self._after_event(order, kind, now_ms)
