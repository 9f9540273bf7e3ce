"""When waiting orders begin to work: fixed triggers, and triggers that trail the price.

A fixed trigger above the market belongs to STOP_LOSS BUY and TAKE_PROFIT SELL, one below it to the
other two. A trailing order works once the price has turned against it by ``trailing_delta`` basis
points from the best price since its beginning: a SELL below the highest, a BUY above the lowest.
"""

from __future__ import annotations

from decimal import Decimal

from trading.model.order import OrderType, Side
from trading.simulator.orders import SimOrder

BPS = Decimal("0.0001")


def is_above_market(order_type: OrderType, side: Side) -> bool:
    """Whether a trigger of this kind lies above the market."""
    is_stop = order_type in (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT)
    return is_stop is (side is Side.BUY)


def is_reached(order: SimOrder, price: Decimal) -> bool:
    """Whether ``price`` meets the order's fixed trigger; false where there is none."""
    trigger = order.trigger_price
    if trigger is None:
        return False
    return price >= trigger if is_above_market(order.type, order.side) else price <= trigger


def is_triggered(order: SimOrder, price: Decimal, now_ms: int) -> bool:
    """Whether a trade at ``price`` sets the order to work; a trailing one follows the price."""
    if order.trailing_delta is None:
        return is_reached(order, price)
    if order.trailing_extreme is None:
        if order.trigger_price is None or is_reached(order, price):
            order.trailing_extreme, order.trailing_since_ms = price, now_ms
        return False
    share = order.trailing_delta * BPS
    if order.side is Side.SELL:
        order.trailing_extreme = max(order.trailing_extreme, price)
        return price <= order.trailing_extreme * (1 - share)
    order.trailing_extreme = min(order.trailing_extreme, price)
    return price >= order.trailing_extreme * (1 + share)


def begin_trailing(order: SimOrder, last: Decimal, now_ms: int) -> None:
    """A trailing order without a fixed trigger follows the price from its arrival on."""
    if order.trailing_delta is not None and order.trigger_price is None:
        order.trailing_extreme, order.trailing_since_ms = last, now_ms
