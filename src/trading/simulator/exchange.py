"""``SimulatedExchange``: the embedded exchange as a plain object, without any network.

The Binance-compatible server, the paper venue and the in-process venue of a replay all stand on
this one class. Feed it the market with ``load_history`` and ``on_tick``; open accounts; submit,
cancel and query orders. Everything happens synchronously and in the caller's thread; one lock
makes calls from several threads safe. Listeners run under that lock and must not block.

Every id is a counter, so the same calls give the same ids, fills and balances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from trading.clock import Clock
from trading.model.market import Instrument
from trading.model.order import Balance, OrderType, TimeInForce
from trading.simulator.accounts import Account, Ledger
from trading.simulator.config import SimulatorConfig
from trading.simulator.filters import (
    Surroundings,
    check_counts,
    check_lot_size,
    check_notional,
    check_order,
)
from trading.simulator.listed_market import ListedMarket
from trading.simulator.order_lists import NewOrderList, OrderList, check_sides
from trading.simulator.orders import (
    Amendment,
    ExchangeRejection,
    NewOrder,
    SimOrder,
    UserEvent,
)
from trading.simulator.registry import OrderRegistry
from trading.simulator.spot_matching import SpotEngine
from trading.simulator.synthetic_book import MarketBook

UNKNOWN_ORDER = (-2011, "Unknown order sent.")
NO_SUCH_ORDER = (-2013, "Order does not exist.")
DUPLICATE = (-2010, "Duplicate order sent.")
AMENDS_NOTHING = (-2038, "The requested action would change no state; rejecting.")
AMENDS_UPWARDS = (
    -2038,
    "The amended quantity must be less than the order's quantity and above what is executed.",
)
VWAP_MINUTES = 5


class SimulatedExchange(ListedMarket[SpotEngine, UserEvent]):
    """A spot exchange around a market that is fed from outside.

    Methods raise ``ExchangeRejection`` (Binance's code and message) for what the venue refuses.
    """

    def __init__(
        self,
        config: SimulatorConfig,
        instruments: Iterable[Instrument],
        clock: Clock,
        book_of: Callable[[Instrument], MarketBook] | None = None,
    ) -> None:
        """``book_of`` gives a pair's book; synthetic ones of the configured shape if missing."""
        self.config = config
        self._book_of = book_of
        self._ledger = Ledger()
        super().__init__(config.history_minutes, instruments, clock)
        self._registry: OrderRegistry[SimOrder] = OrderRegistry()
        self._amendments = 0

    def open_account(self, account_id: str, balances: dict[str, Decimal] | None = None) -> None:
        """A new account, holding ``balances`` or the configured initial ones."""
        held = self.config.initial_balances if balances is None else balances
        self._ledger.accounts[account_id] = Account(account_id, dict(held), self.clock.now_ms())

    def balances(self, account_id: str) -> dict[str, Balance]:
        with self._lock:
            return self._ledger.account(account_id).balances()

    def updated_ms(self, account_id: str) -> int:
        """When the account's balances last changed; before that, when it was opened."""
        with self._lock:
            return self._ledger.account(account_id).updated_ms

    def fee_rates(self, account_id: str) -> tuple[Decimal, Decimal]:
        """Maker's and taker's, for what the account has traded."""
        with self._lock:
            return self.config.fee_rates(self._ledger.account(account_id).traded_notional)

    def submit(self, account_id: str, order: NewOrder, *, test_only: bool = False) -> SimOrder:
        """Check, accept and match ``order``; returns its state after the match.

        ``test_only`` stops after the checks. Raises ExchangeRejection.
        """
        with self._lock:
            self._ledger.account(account_id)
            self._check(account_id, order)
            candidate = self._make_order(account_id, order, self._registry.last_order_id + 1)
            if test_only:
                return candidate
            engine = self._engines[order.symbol]
            self._take_in([candidate], lambda: engine.submit(candidate, candidate.created_ms))
            return candidate

    def submit_list(self, account_id: str, new: NewOrderList) -> OrderList:
        """Check and accept an order list as a whole. Raises ExchangeRejection."""
        with self._lock:
            self._ledger.account(account_id)
            if len(new.pair) > 1:
                check_sides(new.pair)
            wanted = (() if new.working is None else (new.working,)) + new.pair
            around = self._surroundings(account_id, new.symbol)
            for each in wanted:
                self._check(account_id, each)
            check_counts(wanted, self.config.filters, around)
            engine = self._engines[new.symbol]
            if len(engine.lists.open_lists(account_id)) >= self.config.filters.max_order_lists:
                raise ExchangeRejection(-1013, "Filter failure: MAX_NUM_ORDER_LISTS")
            list_id, first_id = self._registry.last_list_id + 1, self._registry.last_order_id + 1
            orders = [
                self._make_order(
                    account_id, each, first_id + index, sized=not new.pays or each is new.working
                )
                for index, each in enumerate(wanted)
            ]
            if len({order.client_order_id for order in orders}) < len(orders):
                raise ExchangeRejection(*DUPLICATE)
            for order in orders:
                order.list_id = list_id
            order_list = OrderList(
                list_id,
                account_id,
                new.symbol,
                new.client_order_id or f"list-{list_id}",
                orders[-len(new.pair) :],
                None if new.working is None else orders[0],
                orders[0].created_ms,
                new.pays,
            )
            self._registry.add_list(order_list)
            try:
                self._take_in(orders, lambda: engine.submit_list(order_list, orders[0].created_ms))
            except ExchangeRejection:
                self._registry.remove_list(order_list)
                raise
            return order_list

    def cancel(
        self,
        account_id: str,
        symbol: str,
        *,
        client_order_id: str | None = None,
        order_id: int | None = None,
        cancel_client_order_id: str | None = None,
    ) -> SimOrder:
        """Cancel one open order, with the whole list if it is in one.

        Raises ExchangeRejection -2011 when it is unknown or done.
        """
        with self._lock:
            order = self._registry.find(account_id, symbol, client_order_id, order_id)
            if order is None or order.status.is_final:
                raise ExchangeRejection(*UNKNOWN_ORDER)
            self._engines[symbol].cancel(order, self.clock.now_ms(), cancel_client_order_id)
            return order

    def cancel_all(
        self,
        account_id: str,
        symbol: str,
        next_cancel_id: Callable[[], str] | None = None,
    ) -> tuple[SimOrder, ...]:
        """Cancel every open order of the account on ``symbol``; -2011 when there is none.

        ``next_cancel_id`` names each cancel, that of a list once.
        """
        with self._lock:
            orders = self.open_orders(account_id, symbol)
            if not orders:
                raise ExchangeRejection(*UNKNOWN_ORDER)
            now_ms = self.clock.now_ms()
            for order in orders:
                if not order.status.is_final:
                    cancel_id = None if next_cancel_id is None else next_cancel_id()
                    self._engines[symbol].cancel(order, now_ms, cancel_id)
            return orders

    def amend(
        self, order: SimOrder, quantity: Decimal, new_client_order_id: str | None
    ) -> Amendment:
        """Make an open order smaller without losing its place in the queue.

        Raises ExchangeRejection -2038, or -1013 of a filter.
        """
        with self._lock:
            if order.status.is_final or order.type is OrderType.MARKET:
                raise ExchangeRejection(-2013, "Order does not exist.")
            if quantity == order.quantity:
                raise ExchangeRejection(*AMENDS_NOTHING)
            if not order.filled_quantity + order.prevented_quantity < quantity < order.quantity:
                raise ExchangeRejection(*AMENDS_UPWARDS)
            if len(order.amendments) >= self.config.filters.max_amendments:
                raise ExchangeRejection(-1013, "Filter failure: MAX_NUM_ORDER_AMENDS")
            instrument = self._instruments[order.symbol]
            check_lot_size(quantity, instrument)
            price = order.limit_price or order.trigger_price or order.reference_price or Decimal(0)
            check_notional(quantity * price, instrument, self.config.filters)
            now_ms = self.clock.now_ms()
            self._amendments += 1
            amendment = Amendment(
                self._amendments,
                order.order_id,
                order.client_order_id,
                new_client_order_id or order.client_order_id,
                order.quantity,
                quantity,
                now_ms,
            )
            order.amendments.append(amendment)
            self._engines[order.symbol].amend(
                order, quantity, amendment.new_client_order_id, now_ms
            )
            self._registry.rename(order)
            return amendment

    def query(
        self,
        account_id: str,
        symbol: str,
        *,
        client_order_id: str | None = None,
        order_id: int | None = None,
    ) -> SimOrder:
        """The newest order of that id, open or done. Raises ExchangeRejection -2013."""
        with self._lock:
            self.tape(symbol)
            order = self._registry.find(account_id, symbol, client_order_id, order_id)
            if order is None:
                raise ExchangeRejection(*NO_SUCH_ORDER)
            return order

    def open_orders(self, account_id: str, symbol: str | None = None) -> tuple[SimOrder, ...]:
        """Resting, waiting and pending orders of the account, oldest first."""
        with self._lock:
            if symbol is not None:
                self.tape(symbol)
            engines = self._engines.values() if symbol is None else (self._engines[symbol],)
            found = [o for e in engines for o in e.open_orders() if o.account_id == account_id]
            return tuple(sorted(found, key=lambda order: order.order_id))

    def all_orders(self, account_id: str, symbol: str) -> tuple[SimOrder, ...]:
        """Every order the account ever had on ``symbol``, oldest first."""
        with self._lock:
            self.tape(symbol)
            return self._registry.of_account(account_id, symbol)

    def order_lists(self, account_id: str) -> tuple[OrderList, ...]:
        """Every order list the account ever had, oldest first."""
        with self._lock:
            return self._registry.lists(account_id)

    # Inside --------------------------------------------------------------------------------

    def _make_engine(self, instrument: Instrument) -> SpotEngine:
        symbol = instrument.symbol
        return SpotEngine(
            instrument,
            self.config,
            self._ledger,
            self._emit,
            lambda: self._next_trade_id(symbol),
            None if self._book_of is None else self._book_of(instrument),
        )

    def _take_in(self, orders: list[SimOrder], accept: Callable[[], None]) -> None:
        """Have the engine accept ``orders``; those it refuses are not known afterwards.

        They are known before they are matched, so that a listener of their events can query them.
        """
        previous = [(order, self._registry.add(order)) for order in orders]
        try:
            accept()
        except ExchangeRejection:
            for order, namesake in reversed(previous):
                self._registry.remove(order, namesake)
            raise
        self._registry.last_order_id = orders[-1].order_id

    def _check(self, account_id: str, order: NewOrder) -> None:
        around = self._surroundings(account_id, order.symbol)
        if any(other.client_order_id == order.client_order_id for other in around.open_orders):
            raise ExchangeRejection(*DUPLICATE)
        check_order(order, self._instruments[order.symbol], self.config.filters, around)

    def _surroundings(self, account_id: str, symbol: str) -> Surroundings:
        reference = self.tape(symbol).average_price(VWAP_MINUTES)
        if reference is None:
            raise ExchangeRejection(-2010, "Market is closed.")
        account = self._ledger.account(account_id)
        base = self._instruments[symbol].base_asset
        open_orders = self._engines[symbol].open_orders()
        return Surroundings(
            Decimal(repr(reference)),
            [order for order in open_orders if order.account_id == account_id],
            account.free(base) + account.locked(base),
        )

    def _make_order(
        self, account_id: str, order: NewOrder, order_id: int, *, sized: bool = True
    ) -> SimOrder:
        if sized and order.quantity is None and order.quote_quantity is None:
            raise ExchangeRejection(
                -1102, "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed."
            )
        if order.quote_quantity is not None and order.type is not OrderType.MARKET:
            raise ExchangeRejection(-1106, "Parameter 'quoteOrderQty' sent when not required.")
        now_ms = self.clock.now_ms()
        return SimOrder(
            order_id=order_id,
            account_id=account_id,
            client_order_id=order.client_order_id or f"venue-{order_id}",
            symbol=order.symbol,
            side=order.side,
            type=order.type,
            quantity=order.quantity or Decimal(0),
            quote_quantity=order.quote_quantity,
            limit_price=order.limit_price,
            trigger_price=order.trigger_price,
            time_in_force=order.time_in_force or TimeInForce.GTC,
            created_ms=now_ms,
            updated_ms=now_ms,
            self_trade_mode=order.self_trade_mode,
            iceberg_quantity=order.iceberg_quantity,
            trailing_delta=order.trailing_delta,
            strategy_id=order.strategy_id,
            strategy_type=order.strategy_type,
            is_routed=order.is_routed,
        )
