"""Futures' matching: post-only and fill-or-kill are refused outright, closing orders never open."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

from trading.model.order import OrderStatus, Side, TimeInForce
from trading.simulator.book_config import BookShapeConfig
from trading.simulator.futures.accounts import FuturesLedger
from trading.simulator.futures.contracts import Contract
from trading.simulator.futures.events import FuturesEvent
from trading.simulator.futures.margin import MarginDesk
from trading.simulator.futures.orders import (
    FuturesOrder,
    FuturesTimeInForce,
    Modification,
    as_futures,
)
from trading.simulator.futures.settlement import FuturesSettlement
from trading.simulator.matching import MatchingEngine
from trading.simulator.orders import (
    ExchangeRejection,
    Execution,
    ExecutionKind,
    ExpiryReason,
    SimOrder,
)

NOT_REDUCING = (-2022, "ReduceOnly Order is rejected.")
WOULD_TAKE = (
    -5022,
    "Due to the order could not be executed as maker, the Post Only order will be rejected.",
)
NOT_FILLED_AT_ONCE = (
    -5021,
    "Due to the order could not be filled immediately, the FOK order has been rejected.",
)


class TradeWatcher(Protocol):
    """Who is told what the engine did, after it announced it."""

    def on_trade(self, order: FuturesOrder, execution: Execution, now_ms: int) -> None: ...

    def on_end(self, order: FuturesOrder, now_ms: int) -> None: ...


class FuturesEngine(MatchingEngine):
    """Orders of all accounts on one contract."""

    def __init__(
        self,
        contract: Contract,
        shape: BookShapeConfig,
        settlement: FuturesSettlement,
        ledger: FuturesLedger,
        margin: MarginDesk,
        watcher: TradeWatcher,
        emit: Callable[[FuturesEvent], None],
        next_trade_id: Callable[[], int],
    ) -> None:
        super().__init__(contract.instrument, shape, settlement, emit, next_trade_id)
        self._ledger = ledger
        self._margin = margin
        self._watcher = watcher

    def check(self, order: FuturesOrder) -> None:
        """Raises ExchangeRejection for an order that cannot be placed now."""
        self._last_price()
        if order.only_closes and self._reducible(order) <= 0:
            raise ExchangeRejection(*NOT_REDUCING)
        plan = self._planner.plan(order)
        if order.wire_time_in_force is FuturesTimeInForce.GTX and plan:
            raise ExchangeRejection(*WOULD_TAKE)
        fills = self._planner.fillable(order, plan)
        if order.time_in_force is TimeInForce.FOK and fills < order.remaining:
            raise ExchangeRejection(*NOT_FILLED_AT_ONCE)
        price = order.limit_price or (plan[0].price if plan else self._last_price())
        if plan:
            prices = [match.price for match in plan]
            price = max(prices) if order.side is Side.BUY else min(prices)
        account = self._ledger.account(order.account_id)
        self._margin.check_new(account, order, price)

    def submit(self, order: FuturesOrder, now_ms: int) -> None:
        """Accept ``order`` and match it. Raises ExchangeRejection, and then nothing has changed."""
        self.check(order)
        self.enter(order, now_ms)

    def enter(self, order: FuturesOrder, now_ms: int) -> None:
        """Accept and match without any check."""
        order.working_ms = now_ms
        self._announce(order, ExecutionKind.NEW, now_ms)
        self._match(order, now_ms)

    def cancel(self, order: FuturesOrder, now_ms: int, reason: ExpiryReason | None = None) -> None:
        """End an open order: cancelled by its account, or expired for ``reason``."""
        if reason is None:
            self.end(order, OrderStatus.CANCELED, ExecutionKind.CANCELED, now_ms)
        else:
            self._expire(order, reason, now_ms)

    def modify(
        self, order: FuturesOrder, price: Decimal, quantity: Decimal, change: Modification
    ) -> None:
        """Change a resting order. It keeps its place only if nothing but its quantity shrinks.

        A quantity that is filled already ends the order. Raises ExchangeRejection, nothing changed.
        """
        keeps_place = price == order.limit_price and quantity <= order.quantity
        ends = quantity <= order.filled_quantity
        if not (keeps_place or ends):
            wanted = order.snapshot()
            wanted.limit_price, wanted.quantity = price, quantity
            self.check(wanted)
        order.modifications.append(change)
        order.updated_ms = change.time_ms
        if ends:
            self.cancel(order, change.time_ms)
            return
        if keeps_place:
            order.quantity = quantity
            self._announce(order, ExecutionKind.REPLACED, change.time_ms)
            return
        self._resting.discard(order)
        order.limit_price, order.quantity = price, quantity
        self._announce(order, ExecutionKind.REPLACED, change.time_ms)
        self._match(order, change.time_ms)

    def liquidate(self, order: FuturesOrder, bankruptcy_price: Decimal, now_ms: int) -> None:
        """Close a position by force; what the book does not take goes to the insurance fund.

        The fund takes over at the price at which nothing of the margin is left.
        """
        order.working_ms = now_ms
        self._announce(order, ExecutionKind.NEW, now_ms)
        for match in self._planner.plan(order):
            self._execute(order, match, now_ms)
        if order.remaining:
            self._trade_with_market(
                order, bankruptcy_price, order.remaining, now_ms, is_maker=False
            )

    def price_at(self, side: Side, level: int) -> Decimal:
        """The price of the Nth best level of ``side``, or of the last there is."""
        rows = self.levels(side, level)
        if not rows:
            raise ExchangeRejection(
                -4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit."
            )
        return rows[-1][0]

    def _reducible(self, order: FuturesOrder) -> Decimal:
        account = self._ledger.account(order.account_id)
        return account.reducible(
            order.symbol, order.position_side, by_selling=order.side is Side.SELL
        )

    def _allowed(self, order: SimOrder, quantity: Decimal) -> Decimal:
        wanted = as_futures(order)
        if not wanted.only_closes:
            return quantity
        return min(quantity, self._reducible(wanted))

    def _after_fill(self, order: SimOrder, execution: Execution, now_ms: int) -> None:
        self._watcher.on_trade(as_futures(order), execution, now_ms)

    def _after_end(self, order: SimOrder, now_ms: int) -> None:
        self._watcher.on_end(as_futures(order), now_ms)

    def knock_out(self, account_id: str, taker: FuturesOrder, now_ms: int) -> None:
        """End the account's closing orders that have nothing left to close."""
        for order in [*self._resting, taker]:
            wanted = as_futures(order)
            mine = wanted.account_id == account_id and not wanted.status.is_final
            if mine and wanted.only_closes and self._reducible(wanted) <= 0:
                self._expire(wanted, ExpiryReason.NOTHING_TO_CLOSE, now_ms)
