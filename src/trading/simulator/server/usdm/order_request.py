"""Futures orders from their parameters."""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum

from trading.model.order import OrderType, Side
from trading.simulator.futures.contracts import Contract
from trading.simulator.futures.orders import (
    ConditionalType,
    FuturesTimeInForce,
    NewAlgoOrder,
    NewFuturesOrder,
    PositionSide,
    PriceMatch,
    WorkingPrice,
)
from trading.simulator.orders import SelfTradeMode
from trading.simulator.server.params import Params
from trading.simulator.server.wire_errors import WireError, invalid_data, mandatory, not_required

CLIENT_ID = re.compile(r"^[\.A-Z\:/a-z0-9_-]{1,36}$")
USE_ALGO = (
    -4120,
    "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
)
CALLBACK_BOUNDS = (Decimal("0.1"), Decimal(20))
SHORTEST_GTD_MS = 600_000
LONGEST_GTD_MS = 253_402_300_799_000


class ResponseType(StrEnum):
    ACK = "ACK"
    RESULT = "RESULT"


def parse_order(params: Params, contract: Contract, now_ms: int) -> NewFuturesOrder:
    """A limit or market order; ``now_ms`` is wall time, for a good-till date."""
    side, kind = _side(params), params.required("type")
    if kind in ConditionalType.__members__:
        raise WireError(*USE_ALGO)
    if kind not in (OrderType.LIMIT, OrderType.MARKET):
        raise WireError(-1116, "Invalid orderType.")
    order_type = OrderType(kind)
    quantity = precise(params, "quantity", contract.quantity_decimals)
    if quantity is None:
        raise mandatory("quantity")
    match, price = _price(params, contract, is_limit=order_type is OrderType.LIMIT)
    time_in_force = _time_in_force(params)
    if order_type is OrderType.LIMIT and time_in_force is None:
        raise mandatory("timeInForce")
    if order_type is OrderType.MARKET and time_in_force is not None:
        raise not_required("timeInForce")
    if params.flag("closePosition"):
        raise WireError(*USE_ALGO)
    return NewFuturesOrder(
        symbol=contract.symbol,
        side=side,
        type=order_type,
        position_side=_position_side(params),
        quantity=quantity,
        limit_price=price,
        time_in_force=time_in_force or FuturesTimeInForce.GTC,
        reduce_only=params.flag("reduceOnly") or False,
        client_order_id=client_id(params, "newClientOrderId"),
        price_match=match,
        self_trade_mode=_self_trade_mode(params),
        good_till_ms=_good_till(params, time_in_force, now_ms),
    )


def parse_algo(params: Params, contract: Contract, now_ms: int) -> NewAlgoOrder:
    """A conditional order."""
    if params.required("algoType") != "CONDITIONAL":
        raise WireError(-4500, "Invalid algoType.")
    side = _side(params)
    params.required("type")
    kind = params.choice("type", ConditionalType, -1116, "Invalid orderType.")
    if kind is None:
        raise mandatory("type")
    closes = params.flag("closePosition") or False
    quantity = precise(params, "quantity", contract.quantity_decimals)
    if closes and quantity is not None:
        raise WireError(-4137, "Quantity must be zero with closePosition equals true")
    if closes and "reduceOnly" in params:
        raise not_required("reduceonly")
    if not closes and quantity is None:
        raise mandatory("quantity")
    match, price = _price(params, contract, is_limit=kind.has_limit_price)
    trigger = precise(params, "triggerPrice", contract.price_decimals)
    is_trailing = kind is ConditionalType.TRAILING_STOP_MARKET
    if trigger is None and not is_trailing:
        raise mandatory("triggerPrice")
    callback = params.decimal("callbackRate")
    if is_trailing and callback is None:
        raise mandatory("callbackRate")
    if callback is not None and not CALLBACK_BOUNDS[0] <= callback <= CALLBACK_BOUNDS[1]:
        raise WireError(-4198, "Invalid callBack rate.")
    time_in_force = _time_in_force(params)
    return NewAlgoOrder(
        symbol=contract.symbol,
        side=side,
        type=kind,
        position_side=_position_side(params),
        quantity=quantity,
        limit_price=price,
        trigger_price=None if is_trailing else trigger,
        time_in_force=time_in_force or FuturesTimeInForce.GTC,
        working_price=params.choice("workingType", WorkingPrice, -1130, invalid_data("workingType"))
        or WorkingPrice.CONTRACT_PRICE,
        price_match=match,
        close_position=closes,
        price_protect=params.flag("priceProtect") or False,
        reduce_only=params.flag("reduceOnly") or False,
        activate_price=precise(params, "activatePrice", contract.price_decimals),
        callback_rate=callback,
        client_algo_id=client_id(params, "clientAlgoId"),
        self_trade_mode=_self_trade_mode(params),
        good_till_ms=_good_till(params, time_in_force, now_ms),
    )


def parse_response_type(params: Params) -> ResponseType:
    message = invalid_data("newOrderRespType")
    found = params.choice("newOrderRespType", ResponseType, -1130, message)
    return found or ResponseType.ACK


def parse_price_match(params: Params) -> PriceMatch:
    found = params.choice("priceMatch", PriceMatch, -1130, invalid_data("priceMatch"))
    return found or PriceMatch.NONE


def precise(params: Params, name: str, decimals: int) -> Decimal | None:
    """A number with at most ``decimals`` places. Raises WireError -1111."""
    value = params.decimal(name)
    if value is not None and value != round(value, decimals):
        raise WireError(-1111, "Precision is over the maximum defined for this asset.")
    return value


def client_id(params: Params, name: str) -> str | None:
    value = params.text(name)
    if value is not None and not CLIENT_ID.fullmatch(value):
        raise WireError(-4015, "Client order id is not valid.")
    return value


def _price(
    params: Params, contract: Contract, *, is_limit: bool
) -> tuple[PriceMatch, Decimal | None]:
    match = parse_price_match(params)
    price = precise(params, "price", contract.price_decimals)
    if not is_limit:
        if match is not PriceMatch.NONE:
            raise not_required("priceMatch")
        return match, None
    if match is not PriceMatch.NONE and price is not None:
        raise not_required("price")
    if match is PriceMatch.NONE and price is None:
        raise mandatory("price")
    return match, price


def _side(params: Params) -> Side:
    params.required("side")
    side = params.choice("side", Side, -1117, "Invalid side.")
    if side is None:
        raise mandatory("side")
    return side


def _position_side(params: Params) -> PositionSide:
    found = params.choice("positionSide", PositionSide, -4060, "Invalid position side.")
    return found or PositionSide.BOTH


def _time_in_force(params: Params) -> FuturesTimeInForce | None:
    return params.choice("timeInForce", FuturesTimeInForce, -1115, "Invalid timeInForce.")


def _self_trade_mode(params: Params) -> SelfTradeMode:
    message = invalid_data("selfTradePreventionMode")
    found = params.choice("selfTradePreventionMode", SelfTradeMode, -1130, message)
    if found in (SelfTradeMode.DECREMENT, SelfTradeMode.TRANSFER):
        raise WireError(-1130, message)
    return found or SelfTradeMode.EXPIRE_MAKER


def _good_till(params: Params, time_in_force: FuturesTimeInForce | None, now_ms: int) -> int:
    value = params.integer("goodTillDate")
    if time_in_force is not FuturesTimeInForce.GTD:
        return 0
    if value is None:
        raise mandatory("goodTillDate")
    until_ms = value // 1000 * 1000
    if not now_ms + SHORTEST_GTD_MS < until_ms <= LONGEST_GTD_MS:
        raise WireError(
            -5040,
            "The goodTillDate timestamp must be greater than the current time plus 600 seconds and"
            " smaller than 253402300799000",
        )
    return until_ms
