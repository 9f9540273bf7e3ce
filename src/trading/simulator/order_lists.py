"""Order lists: one cancels the other (OCO), one triggers the other (OTO), and both at once (OTOCO).
In an OPO (or OPOCO) the order that triggers also pays: the others sell what it has bought.

``OrderLists`` is told by the engine what happens to a list's orders and answers with what must
happen to the others. Only one order of a pair ever pays, so the pair's money is locked once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from trading.model.order import OrderStatus, OrderType, Side
from trading.simulator.orders import (
    Contingency,
    ExchangeRejection,
    Execution,
    ExecutionKind,
    ExpiryReason,
    ListEvent,
    ListProgress,
    NewOrder,
    SimOrder,
)
from trading.simulator.settlement import Settlement

WRONG_RELATION = (-2010, "The relationship of the prices for the orders is not correct.")


@dataclass(frozen=True, slots=True)
class NewOrderList:
    """A list as an account asks for it.

    ``pair`` are an OCO's orders, the one above the market first. In an OTO or OTOCO, ``working``
    comes first and ``pair`` (one order or two) follows once it is wholly filled. If it ``pays``,
    what it buys is set aside, and is the quantity of the pair, which comes without one.
    """

    symbol: str
    pair: tuple[NewOrder, ...]
    working: NewOrder | None = None
    client_order_id: str | None = None
    pays: bool = False


@dataclass(slots=True)
class OrderList:
    """An accepted list. Changed by the engine only."""

    list_id: int
    account_id: str
    symbol: str
    client_order_id: str
    pair: list[SimOrder]
    working: SimOrder | None
    updated_ms: int
    pays: bool = False
    done: bool = False
    orders: list[SimOrder] = field(init=False)

    def __post_init__(self) -> None:
        self.orders = ([] if self.working is None else [self.working]) + self.pair

    @property
    def contingency(self) -> Contingency:
        return Contingency.OCO if self.working is None else Contingency.OTO

    def siblings(self, order: SimOrder) -> list[SimOrder]:
        """The other open order of the pair; nothing for a working order."""
        if order is self.working:
            return []
        return [other for other in self.pair if other is not order and not other.status.is_final]


class Engine(Protocol):
    """What lists need of the matching engine."""

    def place_pair(self, orders: list[SimOrder], now_ms: int) -> None: ...

    def size_pair(self, orders: list[SimOrder]) -> None: ...

    def end(
        self,
        order: SimOrder,
        status: OrderStatus,
        kind: ExecutionKind,
        now_ms: int,
        *,
        reason: ExpiryReason | None = None,
        request_client_order_id: str | None = None,
    ) -> None: ...


class OrderLists:
    """The rules of the lists on one symbol."""

    def __init__(
        self, engine: Engine, money: Settlement, emit: Callable[[ListEvent], None]
    ) -> None:
        self._engine = engine
        self._money = money
        self._emit = emit
        self._open: dict[int, OrderList] = {}

    def open_lists(self, account_id: str) -> list[OrderList]:
        return [found for found in self._open.values() if found.account_id == account_id]

    def begin(self, order_list: OrderList, now_ms: int) -> None:
        self._open[order_list.list_id] = order_list
        self._announce(order_list, ListProgress.STARTED, now_ms)

    def changed(self, order: SimOrder, now_ms: int) -> None:
        """An order of a list was amended."""
        if order.list_id is not None:
            self._open[order.list_id].updated_ms = now_ms
            self._announce(self._open[order.list_id], ListProgress.UPDATED, now_ms)

    def shares_money(self, order: SimOrder) -> bool:
        """Whether the order's lock also covers another open order."""
        return order.list_id is not None and bool(self._open[order.list_id].siblings(order))

    def before_it_acts(self, order: SimOrder, now_ms: int) -> None:
        """``order`` is about to trade or to begin to work: its sibling gives way, and its money."""
        if order.list_id is None:
            return
        for sibling in self._open[order.list_id].siblings(order):
            self._money.take_over(order, sibling)
            self._engine.end(
                sibling,
                OrderStatus.EXPIRED,
                ExecutionKind.EXPIRED,
                now_ms,
                reason=ExpiryReason.SIBLING_ACTED,
            )

    def was_settled(self, order: SimOrder, execution: Execution) -> None:
        """``order`` has traded: what it has bought for others is set aside for them."""
        order_list = self._open.get(order.list_id or 0)
        if order_list is not None and order_list.pays and order is order_list.working:
            self._money.set_aside(order_list.pair[0], execution)

    def after_its_end(self, order: SimOrder, now_ms: int) -> Callable[[int], None] | None:
        """``order`` is done; returns what is left to do once the engine has finished matching."""
        if order.list_id is None or order.list_id not in self._open:
            return None
        order_list = self._open[order.list_id]
        order_list.updated_ms = now_ms
        if order is order_list.working and order.status is OrderStatus.FILLED:
            return lambda later_ms: self._place_pending(order_list, later_ms)
        gave_way = order.expiry_reason is ExpiryReason.SIBLING_ACTED
        for other in order_list.orders:
            if not gave_way and not other.status.is_final:
                self._follow(other, order, now_ms)
        if all(each.status.is_final for each in order_list.orders) and not order_list.done:
            order_list.done = True
            del self._open[order_list.list_id]
            self._announce(order_list, ListProgress.DONE, now_ms)
        return None

    def _follow(self, order: SimOrder, ended: SimOrder, now_ms: int) -> None:
        """End ``order`` because ``ended`` has: cancelled with it, or expired."""
        if ended.status is OrderStatus.CANCELED:
            self._engine.end(
                order,
                OrderStatus.CANCELED,
                ExecutionKind.CANCELED,
                now_ms,
                request_client_order_id=ended.cancel_client_order_id,
            )
            return
        reason = ExpiryReason.WORKING_ORDER_GONE if order.is_pending else ExpiryReason.SIBLING_ACTED
        self._engine.end(order, OrderStatus.EXPIRED, ExecutionKind.EXPIRED, now_ms, reason=reason)

    def _place_pending(self, order_list: OrderList, now_ms: int) -> None:
        pending = [order for order in order_list.pair if not order.status.is_final]
        try:
            if order_list.pays:
                self._engine.size_pair(pending)
            self._engine.place_pair(pending, now_ms)
        except ExchangeRejection:
            for order in pending:
                if not order.status.is_final:
                    self._engine.end(
                        order,
                        OrderStatus.EXPIRED,
                        ExecutionKind.EXPIRED,
                        now_ms,
                        reason=ExpiryReason.REFUSED_LATER,
                    )

    def _announce(self, order_list: OrderList, progress: ListProgress, now_ms: int) -> None:
        self._emit(
            ListEvent(
                order_list.account_id,
                order_list.symbol,
                order_list.list_id,
                order_list.client_order_id,
                order_list.contingency,
                progress,
                tuple((order.order_id, order.client_order_id) for order in order_list.orders),
                now_ms,
            )
        )


def check_sides(pair: Sequence[NewOrder]) -> None:
    """An OCO has a stop and an order that takes profit, the stop above for a BUY, below for a SELL.

    Raises ExchangeRejection. Where the market stands between them is checked as they are placed:
    a trigger on the wrong side would fire, a post-only price on the wrong side would take.
    """
    roles = [_role(order.type) for order in pair]
    if None in roles:
        raise ExchangeRejection(-1158, "Order type not supported in OCO.")
    if roles == [_Role.LIMIT, _Role.LIMIT]:
        raise ExchangeRejection(-1168, "At least one OCO order must be contingent.")
    buys = pair[0].side is Side.BUY
    for place, role in zip(("above", "below"), roles, strict=True):
        belongs = "above" if (role is _Role.STOP) is buys else "below"
        if role is not None and place != belongs:
            code = role.value[0 if buys else 1]
            side = "buy" if buys else "sell"
            raise ExchangeRejection(
                code, f"A {role.label} order in a {side} OCO must be {belongs}."
            )


class _Role(Enum):
    """What an order of a pair does, with the codes of one on the wrong side of a BUY and a SELL."""

    LIMIT = (-1165, -1166)
    STOP = (-1196, -1197)
    PROFIT = (-1198, -1199)

    @property
    def label(self) -> str:
        return {"LIMIT": "limit", "STOP": "stop loss", "PROFIT": "take profit"}[self.name]


def _role(order_type: OrderType) -> _Role | None:
    """None for a type that no pair may have."""
    return {
        OrderType.LIMIT_MAKER: _Role.LIMIT,
        OrderType.STOP_LOSS: _Role.STOP,
        OrderType.STOP_LOSS_LIMIT: _Role.STOP,
        OrderType.TAKE_PROFIT: _Role.PROFIT,
        OrderType.TAKE_PROFIT_LIMIT: _Role.PROFIT,
    }.get(order_type)
