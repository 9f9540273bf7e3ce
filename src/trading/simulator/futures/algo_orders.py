"""Conditional ("algo") orders: they wait apart until their price comes, then become real orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Protocol

from trading.model.order import ZERO, OrderType, Side
from trading.simulator.futures.events import AlgoEvent
from trading.simulator.futures.orders import (
    AlgoOrder,
    AlgoStatus,
    ConditionalType,
    FuturesOrder,
    NewAlgoOrder,
    NewFuturesOrder,
    WorkingPrice,
)
from trading.simulator.orders import ExchangeRejection

WOULD_TRIGGER = (-2021, "Order would immediately trigger.")
TOO_MANY = (-4045, "Reach max stop order limit.")
UNKNOWN = (-2011, "Unknown order sent.")
DUPLICATE = (-4116, "clientOrderId is duplicated")
TRIGGER_PROTECT = Decimal("0.05")
PER_CENT = Decimal("0.01")
MOST_PER_ACCOUNT = 200


class OrderTaker(Protocol):
    """Who takes in the order that a trigger bears."""

    def submit(
        self, account_id: str, order: NewFuturesOrder, *, test_only: bool = False
    ) -> FuturesOrder: ...


class AlgoOrders:
    """All accounts' conditional orders."""

    def __init__(
        self,
        taker: OrderTaker,
        prices: Callable[[str], tuple[Decimal, Decimal]],
        emit: Callable[[AlgoEvent], None],
    ) -> None:
        """``prices``: last and mark price of a contract."""
        self._taker = taker
        self._prices = prices
        self._emit = emit
        self._orders: dict[int, AlgoOrder] = {}
        self._waiting: dict[str, list[AlgoOrder]] = {}
        self._born: dict[int, AlgoOrder] = {}  # by the id of the order that a trigger bore

    def place(self, account_id: str, wanted: NewAlgoOrder, now_ms: int) -> AlgoOrder:
        """Raises ExchangeRejection."""
        mine = list(self.open(account_id))
        if len(mine) >= MOST_PER_ACCOUNT:
            raise ExchangeRejection(*TOO_MANY)
        number = len(self._orders) + 1
        client_id = wanted.client_algo_id or f"algo-{number}"
        if any(algo.client_algo_id == client_id for algo in mine):
            raise ExchangeRejection(*DUPLICATE)
        if wanted.trigger_price is not None and self._is_reached(wanted, wanted.trigger_price):
            raise ExchangeRejection(*WOULD_TRIGGER)
        algo = AlgoOrder(number, account_id, client_id, wanted, now_ms, now_ms)
        self._orders[number] = algo
        self._waiting.setdefault(wanted.symbol, []).append(algo)
        if wanted.type is ConditionalType.TRAILING_STOP_MARKET and wanted.activate_price is None:
            algo.extreme = self._price(wanted)
        self._tell(algo, now_ms)
        return algo

    def cancel(self, algo: AlgoOrder, now_ms: int) -> None:
        """Raises ExchangeRejection -2011 when it no longer waits."""
        if not algo.status.is_open:
            raise ExchangeRejection(*UNKNOWN)
        self._leave(algo, AlgoStatus.CANCELED, now_ms)

    def find(
        self, account_id: str, algo_id: int | None, client_algo_id: str | None
    ) -> AlgoOrder | None:
        """The newest of that id, waiting or done."""
        for algo in reversed(self._orders.values()):
            if algo.account_id == account_id and (
                algo.algo_id == algo_id
                if algo_id is not None
                else algo.client_algo_id == client_algo_id
            ):
                return algo
        return None

    def all(self, account_id: str) -> Iterator[AlgoOrder]:
        """Oldest first."""
        return (algo for algo in self._orders.values() if algo.account_id == account_id)

    def open(self, account_id: str) -> Iterator[AlgoOrder]:
        """Those that wait."""
        for waiting in self._waiting.values():
            yield from (algo for algo in waiting if algo.account_id == account_id)

    def on_price(self, symbol: str, now_ms: int) -> None:
        """A contract's price has moved: pull the triggers."""
        for algo in list(self._waiting.get(symbol, ())):
            if algo.status.is_open and self._is_due(algo):
                self._trigger(algo, now_ms)

    def on_position_closed(self, account_id: str, symbol: str, now_ms: int) -> None:
        """Orders that were to close the position have nothing left to do."""
        for algo in list(self._waiting.get(symbol, ())):
            if algo.account_id == account_id and algo.wanted.close_position:
                self._leave(algo, AlgoStatus.EXPIRED, now_ms)

    def on_end(self, order: FuturesOrder, now_ms: int) -> None:
        """The order that a trigger bore is done."""
        algo = self._born.pop(order.order_id, None)
        if algo is not None:
            self._move(algo, AlgoStatus.FINISHED, now_ms)

    def expire_before(self, wall_ms: int, now_ms: int) -> None:
        """End what was good till a date that has come (wall time, as its account gave it)."""
        for waiting in self._waiting.values():
            for algo in list(waiting):
                if 0 < algo.wanted.good_till_ms <= wall_ms:
                    self._leave(algo, AlgoStatus.EXPIRED, now_ms)

    # Inside --------------------------------------------------------------------------------

    def _price(self, wanted: NewAlgoOrder) -> Decimal:
        last, mark = self._prices(wanted.symbol)
        return mark if wanted.working_price is WorkingPrice.MARK_PRICE else last

    def _is_reached(self, wanted: NewAlgoOrder, trigger: Decimal) -> bool:
        price = self._price(wanted)
        is_stop = wanted.type in (ConditionalType.STOP, ConditionalType.STOP_MARKET)
        rises = is_stop is (wanted.side is Side.BUY)
        return price >= trigger if rises else price <= trigger

    def _is_due(self, algo: AlgoOrder) -> bool:
        wanted = algo.wanted
        if wanted.type is ConditionalType.TRAILING_STOP_MARKET:
            is_due = self._has_turned(algo)
        else:
            is_due = self._is_reached(wanted, wanted.trigger_price or ZERO)
        if is_due and wanted.price_protect:
            last, mark = self._prices(wanted.symbol)
            return abs(last - mark) <= mark * TRIGGER_PROTECT
        return is_due

    def _has_turned(self, algo: AlgoOrder) -> bool:
        """A trailing stop follows the price from its activation on, until it turns back."""
        wanted, price = algo.wanted, self._price(algo.wanted)
        sells = wanted.side is Side.SELL
        if algo.extreme is None:
            activation = wanted.activate_price or price
            if price < activation if sells else price > activation:
                return False
            algo.extreme = price
        algo.extreme = max(algo.extreme, price) if sells else min(algo.extreme, price)
        share = (wanted.callback_rate or ZERO) * PER_CENT
        if sells:
            return price <= algo.extreme * (1 - share)
        return price >= algo.extreme * (1 + share)

    def _trigger(self, algo: AlgoOrder, now_ms: int) -> None:
        wanted = algo.wanted
        self._waiting[wanted.symbol].remove(algo)
        algo.triggered_ms = now_ms
        self._move(algo, AlgoStatus.TRIGGERING, now_ms)
        order_type = OrderType.LIMIT if wanted.type.has_limit_price else OrderType.MARKET
        try:
            algo.order = self._taker.submit(
                algo.account_id,
                NewFuturesOrder(
                    wanted.symbol,
                    wanted.side,
                    order_type,
                    wanted.position_side,
                    wanted.quantity,
                    wanted.limit_price,
                    wanted.time_in_force,
                    wanted.reduce_only,
                    wanted.close_position,
                    algo.client_algo_id,
                    wanted.price_match,
                    wanted.self_trade_mode,
                    wanted.good_till_ms,
                    wanted.type.value,
                    wanted.trigger_price,
                    wanted.working_price,
                    wanted.price_protect,
                ),
            )
        except ExchangeRejection as rejection:
            algo.reject_reason = rejection.message
            gone = wanted.close_position and rejection.code == -2022
            self._move(algo, AlgoStatus.EXPIRED if gone else AlgoStatus.REJECTED, now_ms)
            return
        self._move(algo, AlgoStatus.TRIGGERED, now_ms)
        if algo.order.status.is_final:
            self._move(algo, AlgoStatus.FINISHED, now_ms)
        else:
            self._born[algo.order.order_id] = algo

    def _leave(self, algo: AlgoOrder, status: AlgoStatus, now_ms: int) -> None:
        self._waiting[algo.symbol].remove(algo)
        self._move(algo, status, now_ms)

    def _move(self, algo: AlgoOrder, status: AlgoStatus, now_ms: int) -> None:
        algo.status = status
        algo.updated_ms = now_ms
        self._tell(algo, now_ms)

    def _tell(self, algo: AlgoOrder, now_ms: int) -> None:
        self._emit(AlgoEvent(algo.account_id, now_ms, algo.status, algo))
