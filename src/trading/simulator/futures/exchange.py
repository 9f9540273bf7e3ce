"""``FuturesExchange``: USD-M futures as a plain object, without any network.

Feed it the spot market with ``load_index_history`` and ``on_index``; open accounts; submit, modify,
cancel and query orders. Everything happens synchronously in the caller's thread, under one lock.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from trading.model.order import ZERO, OrderType, Side
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.futures.accounts import (
    FuturesAccount,
)
from trading.simulator.futures.clearing import FuturesClearing
from trading.simulator.futures.contracts import Contract
from trading.simulator.futures.filters import check_order, price_from_book
from trading.simulator.futures.matching import NOT_REDUCING
from trading.simulator.futures.orders import (
    AlgoOrder,
    FuturesOrder,
    Modification,
    NewAlgoOrder,
    NewFuturesOrder,
    PositionSide,
    PriceMatch,
)
from trading.simulator.orders import ExchangeRejection, ExpiryReason

UNKNOWN_ORDER = (-2011, "Unknown order sent.")
NO_SUCH_ORDER = (-2013, "Order does not exist.")
DUPLICATE = (-4116, "clientOrderId is duplicated")
WRONG_SIDE = (-4061, "Order's position side does not match user's setting.")
NOTHING_TO_MODIFY = (-5027, "No need to modify the order.")


class FuturesExchange(FuturesClearing):
    """Methods raise ``ExchangeRejection`` (Binance's code and message) for what is refused."""

    # Accounts ------------------------------------------------------------------------------

    def open_account(self, account_id: str, balances: dict[str, Decimal] | None = None) -> None:
        """A new account with ``balances`` or the configured ones in its futures wallet."""
        held = self.config.initial_balances if balances is None else balances
        wallets = defaultdict(lambda: ZERO, held)
        leverage = self.config.default_leverage
        self.ledger.accounts[account_id] = FuturesAccount(account_id, leverage, wallets)

    def contract(self, symbol: str) -> Contract:
        """Raises ExchangeRejection -1121."""
        self.tape(symbol)
        return self.contracts[symbol]

    # Orders --------------------------------------------------------------------------------

    def submit(
        self, account_id: str, order: NewFuturesOrder, *, test_only: bool = False
    ) -> FuturesOrder:
        """Check, accept and match ``order``; returns its state after the match.

        ``test_only`` stops after the checks. Raises ExchangeRejection.
        """
        with self._lock:
            account = self.ledger.account(account_id)
            contract = self.contract(order.symbol)
            made = self._make_order(account, contract, order)
            engine = self._engines[order.symbol]
            check_order(
                made, contract, self.mark(order.symbol), self.open_orders(account_id, order.symbol)
            )
            engine.check(made)
            if test_only:
                return made
            self._registry.add(made)
            self._registry.last_order_id = made.order_id
            self._open[account_id][made.order_id] = made
            engine.enter(made, made.created_ms)
            return made

    def modify(
        self,
        order: FuturesOrder,
        price: Decimal | None,
        quantity: Decimal,
        price_match: PriceMatch,
        modify_id: int | None,
    ) -> None:
        """Change price and quantity of a resting limit order. Raises ExchangeRejection."""
        with self._lock:
            if order.status.is_final or order.type is not OrderType.LIMIT:
                raise ExchangeRejection(*NO_SUCH_ORDER)
            contract, engine = self.contracts[order.symbol], self._engines[order.symbol]
            if price_match is not PriceMatch.NONE:
                price = price_from_book(engine, order.side, price_match)
            price = price or order.limit_price or ZERO
            if (price, quantity) == (order.limit_price, order.quantity):
                raise ExchangeRejection(*NOTHING_TO_MODIFY)
            wanted = order.snapshot()
            wanted.limit_price, wanted.quantity = price, quantity
            check_order(wanted, contract, self.mark(order.symbol), ())
            now_ms = self.clock.now_ms()
            change = Modification(
                next(self._modifications),
                now_ms,
                modify_id,
                order.limit_price,
                price,
                order.quantity,
                quantity,
            )
            engine.modify(order, price, quantity, change)
            order.price_match = price_match

    def cancel(self, order: FuturesOrder) -> None:
        """Raises ExchangeRejection -2011 for an order that is done."""
        with self._lock:
            if order.status.is_final:
                raise ExchangeRejection(*UNKNOWN_ORDER)
            self._engines[order.symbol].cancel(order, self.clock.now_ms())

    def cancel_all(self, account_id: str, symbol: str) -> None:
        """Cancel every open order of the account on ``symbol``; conditional ones stay."""
        with self._lock:
            self.contract(symbol)
            self.clear_orders(self.ledger.account(account_id), symbol, self.clock.now_ms(), None)

    def find(
        self, account_id: str, symbol: str, order_id: int | None, client_order_id: str | None
    ) -> FuturesOrder | None:
        """The newest order of that id, open or done."""
        with self._lock:
            self.contract(symbol)
            if order_id is not None:
                client_order_id = None
            return self._registry.find(account_id, symbol, client_order_id, order_id)

    def all_orders(self, account_id: str, symbol: str | None = None) -> tuple[FuturesOrder, ...]:
        """Every order the account ever had, oldest first."""
        symbols = self.contracts if symbol is None else (symbol,)
        found = [o for each in symbols for o in self._registry.of_account(account_id, each)]
        return tuple(sorted(found, key=lambda order: order.order_id))

    def place_algo(self, account_id: str, wanted: NewAlgoOrder) -> AlgoOrder:
        """Accept a conditional order. Raises ExchangeRejection."""
        with self._lock:
            account = self.ledger.account(account_id)
            self._check_side(account, wanted.position_side)
            return self.algos.place(account_id, wanted, self.clock.now_ms())

    def expire(self, wall_ms: int) -> None:
        """End what was good till a date; dates are wall time, as the accounts know it."""
        with self._lock:
            now_ms = self.clock.now_ms()
            for orders in list(self._open.values()):
                for order in list(orders.values()):
                    if 0 < order.good_till_ms <= wall_ms:
                        engine = self._engines[order.symbol]
                        engine.cancel(order, now_ms, ExpiryReason.DATE_REACHED)
            self.algos.expire_before(wall_ms, now_ms)

    # Inside --------------------------------------------------------------------------------

    def _check_side(self, account: FuturesAccount, side: PositionSide) -> None:
        if account.is_hedged is (side is PositionSide.BOTH):
            raise ExchangeRejection(*WRONG_SIDE)

    def _make_order(
        self, account: FuturesAccount, contract: Contract, order: NewFuturesOrder
    ) -> FuturesOrder:
        self._check_side(account, order.position_side)
        if account.is_hedged and order.reduce_only:
            raise ExchangeRejection(-1106, "Parameter 'reduceonly' sent when not required.")
        open_orders = self.open_orders(account.account_id, order.symbol)
        if any(other.client_order_id == order.client_order_id for other in open_orders):
            raise ExchangeRejection(*DUPLICATE)
        quantity = order.quantity
        if order.close_position:
            by_selling = order.side is Side.SELL
            quantity = account.reducible(order.symbol, order.position_side, by_selling=by_selling)
            if not quantity:
                raise ExchangeRejection(*NOT_REDUCING)
        price = order.limit_price
        if order.price_match is not PriceMatch.NONE:
            price = price_from_book(self._engines[order.symbol], order.side, order.price_match)
        now_ms = self.clock.now_ms()
        number = self._registry.last_order_id + 1
        return FuturesOrder(
            order_id=number,
            account_id=account.account_id,
            client_order_id=order.client_order_id or f"venue-{number}",
            symbol=contract.symbol,
            side=order.side,
            type=order.type,
            quantity=quantity or ZERO,
            limit_price=price,
            trigger_price=None,
            time_in_force=order.time_in_force.in_matching,
            created_ms=now_ms,
            updated_ms=now_ms,
            self_trade_mode=order.self_trade_mode,
            position_side=order.position_side,
            wire_time_in_force=order.time_in_force,
            reduce_only=order.reduce_only or order.close_position,
            close_position=order.close_position,
            price_match=order.price_match,
            good_till_ms=order.good_till_ms,
            original_type=order.original_type or order.type.value,
            stop_price=order.trigger_price,
            working_price=order.working_price,
            price_protect=order.price_protect,
        )


def make_futures(spot: SimulatedExchange) -> FuturesExchange | None:
    """Futures that follow ``spot``, trade by trade; None where they are not wanted."""
    config = spot.config
    if not config.futures.enabled:
        return None
    pairs = spot.instruments.values()
    futures = FuturesExchange(config.futures, pairs, spot.clock, config.history_minutes)
    spot.add_trade_listener(lambda trade: futures.on_index(trade.tick))
    return futures
