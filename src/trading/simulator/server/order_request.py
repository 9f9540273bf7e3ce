"""A new order from its parameters: each type's own set, no more and no less."""

from __future__ import annotations

from trading.model.order import OrderType, Side, TimeInForce
from trading.simulator.orders import NewOrder
from trading.simulator.server.order_wire import STP_MODE
from trading.simulator.server.params import Params
from trading.simulator.server.wire_errors import (
    WireError,
    invalid_data,
    mandatory,
    not_required,
)

AUTH_PARAMS = {"timestamp", "recvWindow", "signature", "apiKey"}
ORDER_PARAMS = {
    "symbol",
    "side",
    "type",
    "timeInForce",
    "quantity",
    "quoteOrderQty",
    "price",
    "stopPrice",
    "newClientOrderId",
    "newOrderRespType",
    "selfTradePreventionMode",
}


def parse_order(params: Params) -> NewOrder:
    """A new order from its parameters: each type's own set, no more and no less."""
    symbol = params.required("symbol")
    params.required("side")
    side = params.choice("side", Side, -1117, "Invalid side.")
    params.required("type")
    order_type = params.choice("type", OrderType, -1116, "Invalid orderType.")
    if side is None or order_type is None:
        raise mandatory("type")
    for name in params.names():
        if name not in ORDER_PARAMS and name not in AUTH_PARAMS:
            raise not_required(name)
    if params.text("selfTradePreventionMode") not in (None, STP_MODE):
        raise WireError(-1130, invalid_data("selfTradePreventionMode"))
    needs_tif = order_type.has_limit_price and order_type is not OrderType.LIMIT_MAKER
    for name, needed in (
        ("timeInForce", needs_tif),
        ("price", order_type.has_limit_price),
        ("stopPrice", order_type.has_trigger),
    ):
        if needed and name not in params:
            raise mandatory(name)
        if not needed and name in params:
            raise not_required(name)
    quantity, quote_quantity = params.decimal("quantity"), params.decimal("quoteOrderQty")
    if order_type is not OrderType.MARKET or quantity is not None:
        if quantity is None:
            raise mandatory("quantity")
        if quote_quantity is not None:
            raise not_required("quoteOrderQty")
    elif quote_quantity is None:
        raise mandatory("quantity")
    return NewOrder(
        symbol=symbol,
        side=side,
        type=order_type,
        client_order_id=params.client_id("newClientOrderId"),
        quantity=quantity,
        quote_quantity=quote_quantity,
        limit_price=params.decimal("price"),
        trigger_price=params.decimal("stopPrice"),
        time_in_force=params.choice("timeInForce", TimeInForce, -1115, "Invalid timeInForce."),
    )
