"""Accounts' orders in the book of one symbol, in price–time priority."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby

from trading.model.order import ZERO, Side
from trading.simulator.orders import SimOrder


class RestingOrders:
    """Both sides of the book, best price first and, at one price, first come first."""

    def __init__(self) -> None:
        self.bids: list[SimOrder] = []
        self.asks: list[SimOrder] = []
        self._sides = {Side.BUY: self.bids, Side.SELL: self.asks}

    def side(self, side: Side) -> list[SimOrder]:
        return self._sides[side]

    def __iter__(self) -> Iterator[SimOrder]:
        yield from self.bids
        yield from self.asks

    def add(self, order: SimOrder) -> None:
        """Behind all others at its price."""
        if order.iceberg_quantity is not None:
            order.shown_quantity = min(order.iceberg_quantity, order.remaining)
        sign = -1 if order.side is Side.BUY else 1
        insort(self._sides[order.side], order, key=lambda other: sign * limit_of(other))

    def discard(self, order: SimOrder) -> None:
        orders = self._sides[order.side]
        for index, other in enumerate(orders):
            if other is order:
                del orders[index]
                return

    def took(self, order: SimOrder, quantity: Decimal) -> None:
        """A resting order was filled by ``quantity``; an iceberg's next part goes to the back."""
        if order.iceberg_quantity is None:
            return
        order.shown_quantity -= quantity
        if order.shown_quantity <= 0 and order.remaining:
            self.discard(order)
            self.add(order)

    def offers(self, side: Side) -> Iterator[tuple[Decimal, Decimal, SimOrder]]:
        """Price, quantity and order in the order in which a taker meets them.

        An iceberg's parts take turns with the other orders at its price.
        """
        for price, orders in groupby(self._sides[side], key=limit_of):
            queue = deque((order, order.visible_quantity, order.remaining) for order in orders)
            while queue:
                order, shown, left = queue.popleft()
                yield price, shown, order
                left -= shown
                if left > 0:
                    queue.append((order, min(order.iceberg_quantity or left, left), left))

    def shown(self, side: Side) -> dict[Decimal, Decimal]:
        """Visible quantity by price."""
        merged: dict[Decimal, Decimal] = {}
        for order in self._sides[side]:
            price = limit_of(order)
            merged[price] = merged.get(price, ZERO) + order.visible_quantity
        return merged


def limit_of(order: SimOrder) -> Decimal:
    """The price at which the order rests."""
    if order.limit_price is None:
        raise ValueError(f"order {order.order_id} of type {order.type} cannot rest")
    return order.limit_price
