"""New orders and order lists from their parameters: each type's own set, no more and no less."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from enum import StrEnum

from trading.model.order import OrderType, Side, TimeInForce
from trading.simulator.order_lists import NewOrderList
from trading.simulator.orders import NewOrder, SelfTradeMode
from trading.simulator.server.params import Params
from trading.simulator.server.wire_errors import WireError, invalid_data, mandatory, neither_sent

MIN_STRATEGY_TYPE = 1_000_000
ICEBERG_TYPES = (
    OrderType.LIMIT,
    OrderType.LIMIT_MAKER,
    OrderType.STOP_LOSS_LIMIT,
    OrderType.TAKE_PROFIT_LIMIT,
)
WORKING_TYPES = (OrderType.LIMIT, OrderType.LIMIT_MAKER)


class ResponseType(StrEnum):
    ACK = "ACK"
    RESULT = "RESULT"
    FULL = "FULL"


def parse_order(params: Params) -> NewOrder:
    """A single order."""
    return _parse(params, params.required("symbol"), _side(params), _self_trade_mode(params))


def parse_routed(params: Params) -> NewOrder:
    """A single order for smart order routing: limit or market, by quantity."""
    order = parse_order(params)
    if order.type not in (OrderType.LIMIT, OrderType.MARKET):
        raise WireError(-1116, "Invalid orderType.")
    params.refuse("quoteOrderQty")
    return replace(order, is_routed=True)


def parse_response_type(params: Params) -> ResponseType | None:
    message = invalid_data("newOrderRespType")
    return params.choice("newOrderRespType", ResponseType, -1130, message)


def parse_oco(params: Params) -> NewOrderList:
    """A pair, both orders on one side and of one quantity."""
    symbol, side = params.required("symbol"), _side(params)
    quantity = _quantity(params)
    mode = _self_trade_mode(params)
    pair = tuple(
        _parse(params.leg(prefix), symbol, side, mode, quantity) for prefix in ("above", "below")
    )
    return NewOrderList(symbol, pair, client_order_id=params.client_id("listClientOrderId"))


def parse_old_oco(params: Params) -> NewOrderList:
    """The deprecated form: a post-only order at ``price`` and a stop at ``stopPrice``."""
    symbol, side, mode = params.required("symbol"), _side(params), _self_trade_mode(params)
    quantity, price = _quantity(params), params.decimal("price")
    stop_price, stop_limit = params.decimal("stopPrice"), params.decimal("stopLimitPrice")
    trailing = params.integer("trailingDelta")
    if price is None:
        raise mandatory("price")
    if stop_price is None and trailing is None:
        raise mandatory("stopPrice")
    profit = NewOrder(
        symbol,
        side,
        OrderType.LIMIT_MAKER,
        params.client_id("limitClientOrderId"),
        quantity,
        limit_price=price,
        iceberg_quantity=params.decimal("limitIcebergQty"),
        self_trade_mode=mode,
    )
    stop = NewOrder(
        symbol,
        side,
        OrderType.STOP_LOSS if stop_limit is None else OrderType.STOP_LOSS_LIMIT,
        params.client_id("stopClientOrderId"),
        quantity,
        limit_price=stop_limit,
        trigger_price=stop_price,
        time_in_force=_time_in_force(params, "stopLimitTimeInForce"),
        trailing_delta=trailing,
        iceberg_quantity=params.decimal("stopIcebergQty"),
        self_trade_mode=mode,
    )
    pair = (stop, profit) if side is Side.BUY else (profit, stop)
    return NewOrderList(symbol, pair, client_order_id=params.client_id("listClientOrderId"))


def parse_oto(params: Params) -> NewOrderList:
    """A working order and the one that follows it."""
    symbol, mode = params.required("symbol"), _self_trade_mode(params)
    pending = _parse(params.leg("pending"), symbol, _side(params.leg("pending")), mode)
    return NewOrderList(
        symbol,
        (pending,),
        _working(params, symbol, mode),
        params.client_id("listClientOrderId"),
    )


def parse_otoco(params: Params) -> NewOrderList:
    """A working order and the pair that follows it."""
    symbol, mode = params.required("symbol"), _self_trade_mode(params)
    shared = params.leg("pending")
    side, quantity = _side(shared), _quantity(shared)
    prefixes = ["pendingAbove"] + (["pendingBelow"] if "pendingBelowType" in params else [])
    pair = tuple(_parse(params.leg(prefix), symbol, side, mode, quantity) for prefix in prefixes)
    return NewOrderList(
        symbol,
        pair,
        _working(params, symbol, mode),
        params.client_id("listClientOrderId"),
    )


def parse_opo(params: Params) -> NewOrderList:
    """A working buy and the sale of what it has bought."""
    symbol, mode = params.required("symbol"), _self_trade_mode(params)
    leg = params.leg("pending")
    pending = _parse(leg, symbol, _selling(leg), mode, is_sized=False)
    working = _paying(params, symbol, mode)
    list_id = params.client_id("listClientOrderId")
    return NewOrderList(symbol, (pending,), working, list_id, pays=True)


def parse_opoco(params: Params) -> NewOrderList:
    """A working buy and a pair of sales of what it has bought."""
    symbol, mode = params.required("symbol"), _self_trade_mode(params)
    side = _selling(params.leg("pending"))
    prefixes = ["pendingAbove"] + (["pendingBelow"] if "pendingBelowType" in params else [])
    pair = tuple(
        _parse(params.leg(prefix), symbol, side, mode, is_sized=False) for prefix in prefixes
    )
    working = _paying(params, symbol, mode)
    return NewOrderList(symbol, pair, working, params.client_id("listClientOrderId"), pays=True)


def _selling(leg: Params) -> Side:
    if "quantity" in leg:
        name = leg.wire_name("quantity")
        raise WireError(-1225, f"Pending orders should not include the '{name}' tag.")
    side = _side(leg)
    if side is not Side.SELL:
        raise WireError(-1223, "Pending orders in an OPO list must be asks.")
    return side


def _paying(params: Params, symbol: str, mode: SelfTradeMode) -> NewOrder:
    order = _working(params, symbol, mode)
    if order.side is not Side.BUY:
        raise WireError(-1222, "Working order in an OPO list must be a bid.")
    return order


def _working(params: Params, symbol: str, mode: SelfTradeMode) -> NewOrder:
    leg = params.leg("working")
    if _type(leg) not in WORKING_TYPES:
        raise WireError(-1116, "Invalid orderType.")
    return _parse(leg, symbol, _side(leg), mode)


def _parse(
    params: Params,
    symbol: str,
    side: Side,
    mode: SelfTradeMode,
    shared_quantity: Decimal | None = None,
    *,
    is_sized: bool = True,
) -> NewOrder:
    """``is_sized``: the order says how much, unless it has a quantity that it shares."""
    order_type = _type(params)
    if "pegPriceType" in params:
        raise WireError(-2010, "Pegged orders are not supported for this symbol.")
    _check_set(params, order_type)
    quantity, quote_quantity = shared_quantity, None
    if shared_quantity is None and is_sized:
        quantity, quote_quantity = _quantities(params, order_type)
    iceberg = params.decimal("icebergQty")
    time_in_force = _time_in_force(params, "timeInForce")
    if iceberg is not None and time_in_force not in (None, TimeInForce.GTC):
        raise WireError(-1013, "TimeInForce must be GTC for an iceberg order.")
    return NewOrder(
        symbol=symbol,
        side=side,
        type=order_type,
        client_order_id=params.client_id("newClientOrderId"),
        quantity=quantity,
        quote_quantity=quote_quantity,
        limit_price=params.decimal("price"),
        trigger_price=params.decimal("stopPrice"),
        time_in_force=time_in_force,
        trailing_delta=params.integer("trailingDelta"),
        iceberg_quantity=iceberg or None,
        self_trade_mode=mode,
        strategy_id=params.integer("strategyId"),
        strategy_type=_strategy_type(params),
    )


def _check_set(params: Params, order_type: OrderType) -> None:
    """Raises WireError for a parameter that the type needs and lacks, or has and does not need."""
    needs_tif = order_type.has_limit_price and order_type is not OrderType.LIMIT_MAKER
    if order_type.has_trigger and "stopPrice" not in params and "trailingDelta" not in params:
        raise mandatory(params.wire_name("stopPrice"))
    for name, needed in (("timeInForce", needs_tif), ("price", order_type.has_limit_price)):
        if needed:
            params.required(name)
        else:
            params.refuse(name)
    if not order_type.has_trigger:
        params.refuse("stopPrice", "trailingDelta")
    if order_type not in ICEBERG_TYPES:
        params.refuse("icebergQty")
    if order_type is not OrderType.MARKET:
        params.refuse("quoteOrderQty")


def _quantities(params: Params, order_type: OrderType) -> tuple[Decimal | None, Decimal | None]:
    quantity = params.decimal("quantity")
    quote_quantity = params.decimal("quoteOrderQty")
    if quantity is None and quote_quantity is None:
        if order_type is OrderType.MARKET:
            raise neither_sent(params.wire_name("quantity"), params.wire_name("quoteOrderQty"))
        raise mandatory(params.wire_name("quantity"))
    if quantity is not None:
        params.refuse("quoteOrderQty")
    return quantity, quote_quantity if order_type is OrderType.MARKET else None


def _quantity(params: Params) -> Decimal:
    quantity = params.decimal("quantity")
    if quantity is None:
        raise mandatory(params.wire_name("quantity"))
    return quantity


def _type(params: Params) -> OrderType:
    params.required("type")
    order_type = params.choice("type", OrderType, -1116, "Invalid orderType.")
    if order_type is None:
        raise mandatory(params.wire_name("type"))
    return order_type


def _side(params: Params) -> Side:
    params.required("side")
    side = params.choice("side", Side, -1117, "Invalid side.")
    if side is None:
        raise mandatory(params.wire_name("side"))
    return side


def _time_in_force(params: Params, name: str) -> TimeInForce | None:
    return params.choice(name, TimeInForce, -1115, "Invalid timeInForce.")


def _self_trade_mode(params: Params) -> SelfTradeMode:
    if params.text("selfTradePreventionMode") == "NONE":
        raise WireError(
            -1013, "This symbol does not allow the specified self-trade prevention mode."
        )
    mode = params.choice(
        "selfTradePreventionMode", SelfTradeMode, -1130, invalid_data("selfTradePreventionMode")
    )
    return mode or SelfTradeMode.EXPIRE_MAKER


def _strategy_type(params: Params) -> int | None:
    kind = params.integer("strategyType")
    if kind is not None and kind < MIN_STRATEGY_TYPE:
        name = params.wire_name("strategyType")
        raise WireError(-1134, f"{name} was less than 1000000.")
    return kind
