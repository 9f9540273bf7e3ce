"""Spot's matching: triggers, order lists, money that is set aside."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal

from trading.model.market import Instrument
from trading.model.order import ZERO, OrderStatus, OrderType, Side
from trading.simulator.accounts import Ledger
from trading.simulator.config import SimulatorConfig
from trading.simulator.filters import check_lot_size, check_notional, max_market_quantity
from trading.simulator.match_plan import MARKET_LIKE
from trading.simulator.matching import MatchingEngine
from trading.simulator.order_lists import WRONG_RELATION, OrderList, OrderLists
from trading.simulator.orders import (
    BalanceEvent,
    ExchangeRejection,
    Execution,
    ExecutionKind,
    SimOrder,
    UserEvent,
)
from trading.simulator.settlement import Settlement
from trading.simulator.synthetic_book import MarketBook
from trading.simulator.triggers import begin_trailing, is_reached, is_triggered


class SpotEngine(MatchingEngine):
    """Spot orders of all accounts on one symbol."""

    def __init__(
        self,
        instrument: Instrument,
        config: SimulatorConfig,
        ledger: Ledger,
        emit: Callable[[UserEvent], None],
        next_trade_id: Callable[[], int],
        book: MarketBook | None = None,
    ) -> None:
        self._ledger = ledger
        self._money = Settlement(instrument, config, ledger)
        super().__init__(instrument, config.book, self._money, emit, next_trade_id, book)
        self._filters = config.filters
        self._waiting: list[SimOrder] = []
        self._pending: list[SimOrder] = []
        self.lists = OrderLists(self, self._money, emit)
        self._afterwards: deque[Callable[[int], None]] = deque()

    def open_orders(self) -> Iterator[SimOrder]:
        """Resting, waiting and pending orders of every account."""
        yield from self._resting
        yield from self._waiting
        yield from self._pending

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
            self._money.check_market_funds(order, self._planner.plan(order))
        if order.iceberg_quantity is not None and order.iceberg_quantity > order.quantity:
            raise ExchangeRejection(-2010, "IcebergQty exceeds QTY.")
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

    def size_pair(self, orders: list[SimOrder]) -> None:
        """Give pending orders the quantity that is set aside. Raises ExchangeRejection -1013."""
        filters, pair = self._filters, self.instrument
        held = sum((order.locked for order in orders), ZERO)
        for order in orders:
            self._money.release(order)
        most = pair.max_quantity
        if any(order.type in MARKET_LIKE for order in orders):
            most = max_market_quantity(pair, filters)
        for order in orders:
            order.quantity = pair.round_quantity_down(min(held, most))
            check_lot_size(order.quantity, pair)
            price = order.limit_price or order.trigger_price or self._last_price()
            check_notional(order.quantity * price, pair, filters)

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
        self._shrank(order)
        self._announce(order, ExecutionKind.REPLACED, now_ms, request_client_order_id=old_client_id)
        self.lists.changed(order, now_ms)

    def on_tape(self, price: Decimal, quantity: Decimal, now_ms: int) -> None:
        """A trade printed: move the book, fill what rests in its way, pull the triggers."""
        super().on_tape(price, quantity, now_ms)
        if self._waiting:
            for order in [o for o in self._waiting if is_triggered(o, price, now_ms)]:
                if not order.status.is_final:
                    self._activate(order, now_ms)
        if self._afterwards:
            self._finish_up(now_ms)

    # Inside --------------------------------------------------------------------------------

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

    def _activate(self, order: SimOrder, now_ms: int) -> None:
        self.lists.before_it_acts(order, now_ms)
        self._waiting.remove(order)
        order.working_ms = order.updated_ms = now_ms
        self._announce(order, ExecutionKind.NEW, now_ms)
        if order.type in MARKET_LIKE:
            self._money.release(order)
        self._match(order, now_ms)

    def _was_settled(self, order: SimOrder, execution: Execution) -> None:
        if order.list_id is not None:
            self.lists.was_settled(order, execution)

    def _before_it_acts(self, order: SimOrder, now_ms: int) -> None:
        self.lists.before_it_acts(order, now_ms)

    def _shrank(self, order: SimOrder) -> None:
        if order.locked and not self.lists.shares_money(order):
            self._money.release_excess(order)

    def _after_end(self, order: SimOrder, now_ms: int) -> None:
        later = self.lists.after_its_end(order, now_ms)
        if later is not None:
            self._afterwards.append(later)

    def _finish_up(self, now_ms: int) -> None:
        """Do what had to wait until matching was over."""
        while self._afterwards:
            self._afterwards.popleft()(now_ms)

    def _remove(self, order: SimOrder) -> None:
        super()._remove(order)
        for orders in (self._waiting, self._pending):
            for index, other in enumerate(orders):
                if other is order:
                    del orders[index]
                    return

    def _after_event(self, order: SimOrder, _kind: ExecutionKind, now_ms: int) -> None:
        account = self._ledger.account(order.account_id)
        account.updated_ms = now_ms
        assets = (self.instrument.base_asset, self.instrument.quote_asset)
        balances = tuple(account.balance(asset) for asset in assets)
        self._emit(BalanceEvent(order.account_id, now_ms, balances))
