"""The matching engine of one symbol: deterministic, in Decimal, in market time.

Accounts' orders meet two kinds of counterparty: the synthetic book around the last traded price
(orders that take liquidity walk it, and slip) and the tape (a resting order fills when a trade
prints through its price, or at its price once the queue ahead of it has traded). Between accounts,
price-time priority holds and the taker gets the maker's price. Whatever an account takes is not
printed on the tape: a recorded market stays as it was recorded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal

from trading.model.market import Instrument
from trading.model.order import ZERO, OrderStatus, OrderType, Side, TimeInForce
from trading.simulator.accounts import Ledger
from trading.simulator.config import SimulatorConfig
from trading.simulator.match_plan import MARKET_LIKE, Match, Planner
from trading.simulator.order_lists import WRONG_RELATION, OrderList, OrderLists, check_relation
from trading.simulator.orders import (
    BalanceEvent,
    ExchangeRejection,
    Execution,
    ExecutionKind,
    ExpiryReason,
    OrderEvent,
    PreventedMatch,
    SimOrder,
    UserEvent,
)
from trading.simulator.resting_orders import RestingOrders, limit_of
from trading.simulator.self_trade import prevent
from trading.simulator.settlement import Settlement
from trading.simulator.synthetic_book import SyntheticBook
from trading.simulator.triggers import begin_trailing, is_reached, is_triggered


class MatchingEngine:
    """Orders of all accounts on one symbol."""

    def __init__(
        self,
        instrument: Instrument,
        config: SimulatorConfig,
        ledger: Ledger,
        emit: Callable[[UserEvent], None],
        next_trade_id: Callable[[], int],
    ) -> None:
        self.instrument = instrument
        self.book = SyntheticBook(instrument, config.book)
        self._ledger = ledger
        self._money = Settlement(instrument, config, ledger)
        self._emit = emit
        self._next_trade_id = next_trade_id
        self._resting = RestingOrders()
        self._waiting: list[SimOrder] = []
        self._pending: list[SimOrder] = []
        self._planner = Planner(instrument, ledger, self.book, self._resting)
        self.lists = OrderLists(self, self._money, emit)
        self._afterwards: deque[Callable[[int], None]] = deque()
        self._prevented_matches = 0

    def open_orders(self) -> Iterator[SimOrder]:
        """Resting, waiting and pending orders of every account."""
        yield from self._resting
        yield from self._waiting
        yield from self._pending

    def levels(self, side: Side, limit: int) -> list[tuple[Decimal, Decimal]]:
        """Price and quantity, best first: the synthetic book and accounts' orders together."""
        merged = self._resting.shown(side)
        for level in self.book.side(side):
            if level.quantity > 0:
                merged[level.price] = merged.get(level.price, ZERO) + level.quantity
        return sorted(merged.items(), reverse=side is Side.BUY)[:limit]

    # Requests ------------------------------------------------------------------------------

    def check(self, order: SimOrder, now_ms: int) -> None:
        """Raises ExchangeRejection, nothing changed, for an order that cannot be placed now."""
        last = self._last_price()
        if order.type.has_trigger:
            if is_reached(order, last) and order.trailing_delta is None:
                raise ExchangeRejection(-2010, "Order would trigger immediately.")
        elif order.type is OrderType.LIMIT_MAKER and self._planner.plan(order):
            raise ExchangeRejection(-2010, "Order would immediately match and take.")
        elif order.type is OrderType.MARKET:
            self._planner.check_market_funds(order)
        order.reference_price = last
        begin_trailing(order, last, now_ms)

    def submit(self, order: SimOrder, now_ms: int) -> None:
        """Accept ``order`` and match it. Raises ExchangeRejection, and then nothing has changed."""
        self.check(order, now_ms)
        if order.type is not OrderType.MARKET:
            self._money.lock(order)
        self._enter(order, now_ms)
        self._finish_up(now_ms)

    def submit_list(self, order_list: OrderList, now_ms: int) -> None:
        """Accept a list: its pair, or its working order. Raises ExchangeRejection as ``submit``."""
        pair, working = order_list.pair, order_list.working
        if len(pair) > 1:
            check_relation(pair)
        if working is None:
            self._check_pair(pair, now_ms)
            self.lists.begin(order_list, now_ms)
            self._enter_pair(pair, now_ms)
        else:
            self.check(working, now_ms)
            self._money.lock(working)
            self._pending += pair
            self.lists.begin(order_list, now_ms)
            for order in pair:
                order.is_pending = True
                self._announce(order, ExecutionKind.NEW, now_ms)
            self._enter(working, now_ms)
        self._finish_up(now_ms)

    def place_pair(self, orders: list[SimOrder], now_ms: int) -> None:
        """Place what was pending. Raises ExchangeRejection, and then nothing has changed."""
        self._check_pair(orders, now_ms)
        for order in orders:
            self._remove(order)
            order.is_pending = False
        self._enter_pair(orders, now_ms)

    def cancel(self, order: SimOrder, now_ms: int, cancel_client_order_id: str | None) -> None:
        """Cancel an open order, with the whole list if it is in one; give back what it held."""
        self.end(
            order,
            OrderStatus.CANCELED,
            ExecutionKind.CANCELED,
            now_ms,
            request_client_order_id=cancel_client_order_id,
        )
        self._finish_up(now_ms)

    def amend(self, order: SimOrder, quantity: Decimal, new_client_id: str, now_ms: int) -> None:
        """Make an open order smaller; it keeps its place and gives back what it held for more."""
        old_client_id, order.client_order_id = order.client_order_id, new_client_id
        order.quantity = quantity
        order.updated_ms = now_ms
        if order.iceberg_quantity is not None:
            order.shown_quantity = min(order.shown_quantity, order.remaining)
        self._release_excess(order)
        self._announce(order, ExecutionKind.REPLACED, now_ms, request_client_order_id=old_client_id)
        self.lists.changed(order, now_ms)

    def on_tape(self, price: Decimal, quantity: Decimal, now_ms: int) -> None:
        """A trade printed: move the book, fill what rests in its way, pull the triggers."""
        self.book.move_to(price)
        if self._resting.bids:
            self._fill_from_tape(Side.BUY, price, quantity, now_ms)
        if self._resting.asks:
            self._fill_from_tape(Side.SELL, price, quantity, now_ms)
        if self._waiting:
            for order in [o for o in self._waiting if is_triggered(o, price, now_ms)]:
                if not order.status.is_final:
                    self._activate(order, now_ms)
        if self._afterwards:
            self._finish_up(now_ms)

    # Inside --------------------------------------------------------------------------------

    def _last_price(self) -> Decimal:
        last = self.book.last_price
        if last is None or not self.instrument.trading:
            raise ExchangeRejection(-2010, "Market is closed.")
        return last

    def _check_pair(self, orders: list[SimOrder], now_ms: int) -> None:
        last = self._last_price()
        for order in orders:
            profit_price = order.limit_price if not order.type.has_trigger else None
            if len(orders) > 1 and profit_price is not None:
                beyond = profit_price > last if order.side is Side.SELL else profit_price < last
                if not beyond:
                    raise ExchangeRejection(*WRONG_RELATION)
            self.check(order, now_ms)
        if orders[0].type is not OrderType.MARKET:
            self._money.lock_pair(orders)

    def _enter_pair(self, orders: list[SimOrder], now_ms: int) -> None:
        for order in orders:
            if not order.status.is_final:
                self._enter(order, now_ms)

    def _enter(self, order: SimOrder, now_ms: int) -> None:
        """Let a checked order in, its money locked."""
        if order.type.has_trigger:
            self._waiting.append(order)
            self._announce(order, ExecutionKind.NEW, now_ms)
            return
        order.working_ms = now_ms
        self._announce(order, ExecutionKind.NEW, now_ms)
        self._match(order, now_ms)

    def _fill_from_tape(self, side: Side, price: Decimal, quantity: Decimal, now_ms: int) -> None:
        filled_at_price = ZERO
        for order in list(self._resting.side(side)):
            limit = limit_of(order)
            if order.status.is_final:  # it gave way to its sibling just now
                continue
            if limit == price:
                beyond_queue = quantity - order.queue_ahead - filled_at_price
                order.queue_ahead = max(ZERO, order.queue_ahead - quantity)
                fill = min(order.visible_quantity, beyond_queue)
                if fill <= 0:
                    continue
                filled_at_price += fill
            elif (limit > price) is (side is Side.BUY):
                fill = order.remaining
            else:
                break
            self._trade_with_market(order, limit, fill, now_ms, is_maker=True)

    def _activate(self, order: SimOrder, now_ms: int) -> None:
        self.lists.before_it_acts(order, now_ms)
        self._waiting.remove(order)
        order.working_ms = order.updated_ms = now_ms
        self._announce(order, ExecutionKind.NEW, now_ms)
        if order.type in MARKET_LIKE:
            self._money.release(order)
        self._match(order, now_ms)

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
        if maker is None:
            if match.level is not None:
                match.level.quantity -= match.quantity
            self._trade_with_market(taker, match.price, match.quantity, now_ms, is_maker=False)
        elif maker.status.is_final:
            return
        elif maker.account_id == taker.account_id:
            self._prevent(taker, maker, match, now_ms)
        else:
            trade_id = self._next_trade_id()
            self._fill(maker, match.price, match.quantity, trade_id, now_ms, is_maker=True)
            self._fill(taker, match.price, match.quantity, trade_id, now_ms, is_maker=False)

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
                self._release_excess(order)
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
        self._money.book_market_side(order.side, price, quantity)
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
            self.lists.before_it_acts(order, now_ms)
        execution = self._money.settle(order, price, quantity, trade_id, now_ms, is_maker=is_maker)
        if is_maker:
            self._resting.took(order, quantity)
        is_filled = order.status is OrderStatus.FILLED
        if is_filled:
            self._remove(order)
        self._announce(order, ExecutionKind.TRADE, now_ms, execution=execution)
        if is_filled:
            self._after_end(order, now_ms)

    def _release_excess(self, order: SimOrder) -> None:
        if order.locked and not self.lists.shares_money(order):
            self._money.release_excess(order)

    def _expire(self, order: SimOrder, reason: ExpiryReason, now_ms: int) -> None:
        self.end(order, OrderStatus.EXPIRED, ExecutionKind.EXPIRED, now_ms, reason=reason)

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
        self._money.release(order)
        self._remove(order)
        order.status = status
        order.updated_ms = now_ms
        order.expiry_reason = reason
        self._announce(
            order,
            kind,
            now_ms,
            request_client_order_id=request_client_order_id,
            prevented=prevented,
        )
        self._after_end(order, now_ms)

    def _after_end(self, order: SimOrder, now_ms: int) -> None:
        later = self.lists.after_its_end(order, now_ms)
        if later is not None:
            self._afterwards.append(later)

    def _finish_up(self, now_ms: int) -> None:
        """Do what had to wait until matching was over."""
        while self._afterwards:
            self._afterwards.popleft()(now_ms)

    def _remove(self, order: SimOrder) -> None:
        self._resting.discard(order)
        for orders in (self._waiting, self._pending):
            for index, other in enumerate(orders):
                if other is order:
                    del orders[index]
                    return

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
        account_id = order.account_id
        self._emit(
            OrderEvent(
                account_id, kind, seen, now_ms, execution, request_client_order_id, prevented
            )
        )
        account = self._ledger.account(account_id)
        assets = (self.instrument.base_asset, self.instrument.quote_asset)
        balances = tuple(account.balance(asset) for asset in assets)
        self._emit(BalanceEvent(account_id, now_ms, balances))
