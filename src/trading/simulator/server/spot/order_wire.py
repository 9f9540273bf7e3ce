"""Orders, trades and user events in Binance's JSON."""

from __future__ import annotations

from trading.model.order import Side
from trading.simulator.order_lists import OrderList
from trading.simulator.orders import (
    Amendment,
    ExpiryReason,
    PreventedMatch,
    SimOrder,
)
from trading.simulator.server.wire import Json, num

NO_TRADE_GROUP = -1
FLOOR = "EXCHANGE"  # where routed orders work, too


def wire_status(order: SimOrder) -> str:
    if order.is_pending and not order.status.is_final:
        return "PENDING_NEW"
    if order.expiry_reason is ExpiryReason.SELF_TRADE:
        return "EXPIRED_IN_MATCH"
    return order.status.value


def ack(order: SimOrder, time_ms: int) -> Json:
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": list_id(order),
        "clientOrderId": order.client_order_id,
        "transactTime": time_ms,
    }


def _core(order: SimOrder) -> Json:
    return {
        "price": num(order.limit_price),
        "origQty": num(order.quantity),
        "executedQty": num(order.filled_quantity),
        "origQuoteOrderQty": num(order.quote_quantity),
        "cummulativeQuoteQty": num(order.filled_notional),
        "status": wire_status(order),
        "timeInForce": order.time_in_force.value,
        "type": order.type.value,
        "side": order.side.value,
    }


def list_id(order: SimOrder) -> int:
    return -1 if order.list_id is None else order.list_id


def _extras(order: SimOrder) -> Json:
    """Fields that are sent only where they apply."""
    extras: Json = {}
    if order.iceberg_quantity is not None:
        extras["icebergQty"] = num(order.iceberg_quantity)
    if order.trigger_price is not None:
        extras["stopPrice"] = num(order.trigger_price)
    return extras | _rare_extras(order)


def _rare_extras(order: SimOrder) -> Json:
    extras: Json = {}
    if order.trailing_delta is not None:
        since = order.trailing_since_ms
        extras |= {
            "trailingDelta": order.trailing_delta,
            "trailingTime": -1 if since is None else since,
        }
    if order.strategy_id is not None:
        extras["strategyId"] = order.strategy_id
    if order.strategy_type is not None:
        extras["strategyType"] = order.strategy_type
    if order.is_routed:
        extras |= {"workingFloor": FLOOR, "usedSor": True}
    if order.prevented_quantity:
        extras["preventedMatchId"] = order.prevented_matches[-1].match_id
        extras["preventedQuantity"] = num(order.prevented_quantity)
    if order.expiry_reason not in (None, ExpiryReason.SELF_TRADE):
        extras["expiryReason"] = order.expiry_reason.value
    return extras


def result(order: SimOrder, time_ms: int) -> Json:
    return {
        **ack(order, time_ms),
        **_core(order),
        **_extras(order),
        "workingTime": -1 if order.working_ms is None else order.working_ms,
        "selfTradePreventionMode": order.self_trade_mode.value,
    }


def full(order: SimOrder, time_ms: int) -> Json:
    fills = [
        {
            "price": num(execution.price),
            "qty": num(execution.quantity),
            "commission": num(execution.fee),
            "commissionAsset": execution.fee_asset,
            "tradeId": execution.trade_id,
        }
        for execution in order.executions
    ]
    return {**result(order, time_ms), "fills": fills}


def canceled(order: SimOrder, cancel_id: str, time_ms: int) -> Json:
    """Answer of a cancel: ``clientOrderId`` is the cancel's own id."""
    answer: Json = {"symbol": order.symbol, "origClientOrderId": order.client_order_id}
    answer.update(ack(order, time_ms))
    answer["clientOrderId"] = cancel_id
    answer.update(_core(order))
    answer.update(_extras(order))
    answer["selfTradePreventionMode"] = order.self_trade_mode.value
    return answer


def status(order: SimOrder) -> Json:
    """Element of order queries."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": list_id(order),
        "clientOrderId": order.client_order_id,
        **_core(order),
        "stopPrice": num(order.trigger_price),
        "icebergQty": num(order.iceberg_quantity),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": order.working_ms is not None,
        "workingTime": -1 if order.working_ms is None else order.working_ms,
        "selfTradePreventionMode": order.self_trade_mode.value,
        **_rare_extras(order),
    }


def trades(order: SimOrder) -> list[Json]:
    """Elements of myTrades, one for each execution."""
    return [
        {
            "symbol": order.symbol,
            "id": execution.trade_id,
            "orderId": order.order_id,
            "orderListId": list_id(order),
            "price": num(execution.price),
            "qty": num(execution.quantity),
            "quoteQty": num(execution.price * execution.quantity),
            "commission": num(execution.fee),
            "commissionAsset": execution.fee_asset,
            "time": execution.time_ms,
            "isBuyer": order.side is Side.BUY,
            "isMaker": execution.is_maker,
            "isBestMatch": True,
        }
        for execution in order.executions
    ]


def prevented_match(match: PreventedMatch) -> Json:
    """Element of myPreventedMatches."""
    row: Json = {
        "symbol": match.symbol,
        "preventedMatchId": match.match_id,
        "takerOrderId": match.taker_order_id,
        "makerSymbol": match.symbol,
        "makerOrderId": match.maker_order_id,
        "tradeGroupId": NO_TRADE_GROUP,
        "selfTradePreventionMode": match.mode.value,
        "price": num(match.price),
    }
    if match.taker_prevented is not None:
        row["takerPreventedQuantity"] = num(match.taker_prevented)
    if match.maker_prevented is not None:
        row["makerPreventedQuantity"] = num(match.maker_prevented)
    return row | {"transactTime": match.time_ms}


def amended(order: SimOrder, amendment: Amendment) -> Json:
    """Answer of an amendment that keeps its priority."""
    return {
        "transactTime": amendment.time_ms,
        "executionId": amendment.execution_id,
        "amendedOrder": {
            "symbol": order.symbol,
            "orderId": order.order_id,
            "orderListId": list_id(order),
            "origClientOrderId": amendment.old_client_order_id,
            "clientOrderId": amendment.new_client_order_id,
            "price": num(order.limit_price),
            "qty": num(order.quantity),
            "executedQty": num(order.filled_quantity),
            "preventedQty": num(order.prevented_quantity),
            "quoteOrderQty": num(order.quote_quantity),
            "cumulativeQuoteQty": num(order.filled_notional),
            "status": wire_status(order),
            "timeInForce": order.time_in_force.value,
            "type": order.type.value,
            "side": order.side.value,
            **_extras(order),
            "workingTime": -1 if order.working_ms is None else order.working_ms,
            "selfTradePreventionMode": order.self_trade_mode.value,
        },
    }


def amendment(order: SimOrder, change: Amendment) -> Json:
    """Element of order/amendments."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "executionId": change.execution_id,
        "origClientOrderId": change.old_client_order_id,
        "newClientOrderId": change.new_client_order_id,
        "origQty": num(change.old_quantity),
        "newQty": num(change.new_quantity),
        "time": change.time_ms,
    }


def list_head(order_list: OrderList) -> Json:
    """An order list without the reports of its orders."""
    return {
        "orderListId": order_list.list_id,
        "contingencyType": order_list.contingency.value,
        "listStatusType": "ALL_DONE" if order_list.done else "EXEC_STARTED",
        "listOrderStatus": "ALL_DONE" if order_list.done else "EXECUTING",
        "listClientOrderId": order_list.client_order_id,
        "transactionTime": order_list.updated_ms,
        "symbol": order_list.symbol,
        "orders": [
            {"symbol": o.symbol, "orderId": o.order_id, "clientOrderId": o.client_order_id}
            for o in order_list.orders
        ],
    }
