"""Orders, trades and user events in Binance's JSON."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from trading.model.order import OrderStatus, OrderType, Side
from trading.simulator.orders import BalanceEvent, ExecutionKind, ExpiryReason, OrderEvent, SimOrder

STP_MODE = "EXPIRE_MAKER"
Json = dict[str, Any]


def num(value: Decimal | float | None) -> str:
    """A number as the venue writes it: a string with eight decimals."""
    return f"{value or 0:.8f}"


def wire_status(order: SimOrder) -> str:
    if order.expiry_reason is ExpiryReason.SELF_TRADE:
        return "EXPIRED_IN_MATCH"
    return order.status.value


def ack(order: SimOrder, time_ms: int) -> Json:
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
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


def _extras(order: SimOrder) -> Json:
    extras: Json = {}
    if order.trigger_price is not None:
        extras["stopPrice"] = num(order.trigger_price)
    if order.expiry_reason not in (None, ExpiryReason.SELF_TRADE):
        extras["expiryReason"] = order.expiry_reason.value
    return extras


def result(order: SimOrder, time_ms: int) -> Json:
    return {
        **ack(order, time_ms),
        **_core(order),
        **_extras(order),
        "workingTime": -1 if order.working_ms is None else order.working_ms,
        "selfTradePreventionMode": STP_MODE,
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
    if order.trigger_price is not None:
        answer["stopPrice"] = num(order.trigger_price)
    answer["selfTradePreventionMode"] = STP_MODE
    return answer


def status(order: SimOrder) -> Json:
    """Element of order queries."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        **_core(order),
        "stopPrice": num(order.trigger_price),
        "icebergQty": num(None),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": order.working_ms is not None,
        "workingTime": -1 if order.working_ms is None else order.working_ms,
        "selfTradePreventionMode": STP_MODE,
        **({"expiryReason": reason} if (reason := _extras(order).get("expiryReason")) else {}),
    }


def trades(order: SimOrder) -> list[Json]:
    """Elements of myTrades, one for each execution."""
    return [
        {
            "symbol": order.symbol,
            "id": execution.trade_id,
            "orderId": order.order_id,
            "orderListId": -1,
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


def execution_report(event: OrderEvent, execution_id: int, sent_ms: int) -> Json:
    order, fill = event.order, event.execution
    is_cancel = event.kind is ExecutionKind.CANCELED
    cancel_id = event.cancel_client_order_id or ""
    report: Json = {
        "e": "executionReport",
        "E": sent_ms,
        "s": order.symbol,
        "c": cancel_id if is_cancel else order.client_order_id,
        "S": order.side.value,
        "o": order.type.value,
        "f": order.time_in_force.value,
        "q": num(order.quantity),
        "p": num(order.limit_price),
        "P": num(order.trigger_price),
        "F": num(None),
        "g": -1,
        "C": order.client_order_id if is_cancel else "",
        "x": event.kind.value,
        "X": wire_status(order),
        "r": "NONE",
        "i": order.order_id,
        "l": num(fill.quantity if fill else None),
        "z": num(order.filled_quantity),
        "L": num(fill.price if fill else None),
        "n": num(fill.fee) if fill else "0",
        "N": fill.fee_asset if fill else None,
        "T": event.time_ms,
        "t": fill.trade_id if fill else -1,
        "I": execution_id,
        "w": _is_on_book(order),
        "m": fill.is_maker if fill else False,
        "M": False,
        "O": order.created_ms,
        "Z": num(order.filled_notional),
        "Y": num(fill.price * fill.quantity if fill else None),
        "Q": num(order.quote_quantity),
        "V": STP_MODE,
    }
    if order.working_ms is not None:
        report["W"] = order.working_ms
    if order.expiry_reason not in (None, ExpiryReason.SELF_TRADE):
        report["eR"] = order.expiry_reason.value
    return report


def _is_on_book(order: SimOrder) -> bool:
    working = order.working_ms is not None and order.type is not OrderType.MARKET
    return working and order.status in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


def account_position(event: BalanceEvent, sent_ms: int) -> Json:
    return {
        "e": "outboundAccountPosition",
        "E": sent_ms,
        "u": event.time_ms,
        "B": [
            {"a": balance.asset, "f": num(balance.free), "l": num(balance.locked)}
            for balance in event.balances
        ],
    }
