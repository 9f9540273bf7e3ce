"""Every order and order list of the exchange, by id, by client id and by account."""

from __future__ import annotations

from typing import Generic, TypeVar

from trading.simulator.order_lists import OrderList
from trading.simulator.orders import SimOrder

OrderT = TypeVar("OrderT", bound=SimOrder)


class OrderRegistry(Generic[OrderT]):
    """Orders are never forgotten; of equal client ids the newest is found."""

    def __init__(self) -> None:
        self.last_order_id = 0
        self.last_list_id = 0
        self._orders: dict[int, OrderT] = {}
        self._by_client_id: dict[tuple[str, str, str], OrderT] = {}
        self._by_account: dict[tuple[str, str], dict[int, OrderT]] = {}
        self._lists: dict[int, OrderList] = {}

    def add(self, order: OrderT) -> OrderT | None:
        """Returns the order whose client id ``order`` takes over."""
        previous = self.rename(order)
        self._orders[order.order_id] = order
        self._by_account.setdefault((order.account_id, order.symbol), {})[order.order_id] = order
        return previous

    def rename(self, order: OrderT) -> OrderT | None:
        """The order is found under its present client id, too."""
        key = (order.account_id, order.symbol, order.client_order_id)
        previous = self._by_client_id.get(key)
        self._by_client_id[key] = order
        return previous

    def remove(self, order: OrderT, previous: OrderT | None) -> None:
        """Undo ``add``."""
        del self._orders[order.order_id]
        del self._by_account[order.account_id, order.symbol][order.order_id]
        key = (order.account_id, order.symbol, order.client_order_id)
        if previous is None:
            del self._by_client_id[key]
        else:
            self._by_client_id[key] = previous

    def find(
        self, account_id: str, symbol: str, client_order_id: str | None, order_id: int | None
    ) -> OrderT | None:
        """None also for an order whose two ids do not belong together."""
        if order_id is None:
            return self._by_client_id.get((account_id, symbol, client_order_id or ""))
        order = self._orders.get(order_id)
        if order is None or order.account_id != account_id or order.symbol != symbol:
            return None
        if client_order_id is not None and order.client_order_id != client_order_id:
            return None
        return order

    def of_account(self, account_id: str, symbol: str) -> tuple[OrderT, ...]:
        """Oldest first."""
        return tuple(self._by_account.get((account_id, symbol), {}).values())

    def add_list(self, order_list: OrderList) -> None:
        self._lists[order_list.list_id] = order_list
        self.last_list_id = max(self.last_list_id, order_list.list_id)

    def remove_list(self, order_list: OrderList) -> None:
        del self._lists[order_list.list_id]

    def lists(self, account_id: str) -> tuple[OrderList, ...]:
        """The account's lists, open and done, oldest first."""
        return tuple(found for found in self._lists.values() if found.account_id == account_id)
