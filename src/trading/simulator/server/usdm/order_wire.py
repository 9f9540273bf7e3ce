"""Futures orders and trades in Binance's JSON."""

from __future__ import annotations

from trading.model.order import Side
from trading.simulator.futures.contracts import Contract
from trading.simulator.futures.orders import AlgoOrder, FuturesExecution, FuturesOrder, Modification
from trading.simulator.orders import ExpiryReason
from trading.simulator.server.wire import Json, num


def wire_status(order: FuturesOrder) -> str:
    if order.expiry_reason is ExpiryReason.SELF_TRADE:
        return "EXPIRED_IN_MATCH"
    return order.status.value


def answer(order: FuturesOrder, contract: Contract) -> Json:
    """The order as placing, changing and cancelling answer it."""
    price, quantity = contract.price_text, contract.quantity_text
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": wire_status(order),
        "clientOrderId": order.client_order_id,
        "price": price(order.limit_price),
        "origQty": quantity(order.quantity),
        "executedQty": quantity(order.filled_quantity),
        "cumQty": quantity(order.filled_quantity),
        "timeInForce": order.wire_time_in_force.value,
        "type": order.type.value,
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": order.side.value,
        "positionSide": order.position_side.value,
        "stopPrice": price(order.stop_price),
        "workingType": order.working_price.value,
        "priceProtect": order.price_protect,
        "origType": order.original_type,
        "priceMatch": order.price_match.value,
        "selfTradePreventionMode": order.self_trade_mode.value,
        "goodTillDate": order.good_till_ms,
        "updateTime": order.updated_ms,
    }


def acknowledged(order: FuturesOrder, contract: Contract) -> Json:
    """The answer before anything was matched, whatever has happened since."""
    nothing = contract.quantity_text(None)
    return answer(order, contract) | {
        "status": "NEW",
        "executedQty": nothing,
        "cumQty": nothing,
        "updateTime": order.created_ms,
    }


def queried(order: FuturesOrder, contract: Contract) -> Json:
    """Element of order queries."""
    row = answer(order, contract)
    del row["cumQty"]
    return row | {
        "avgPrice": contract.price_text(order.average_price),
        "cumQuote": num(order.filled_notional),
        "time": order.created_ms,
    }


def forced(order: FuturesOrder, contract: Contract) -> Json:
    """Element of forceOrders."""
    row = queried(order, contract)
    for name in ("priceProtect", "priceMatch", "selfTradePreventionMode", "goodTillDate"):
        del row[name]
    return row | {
        "pair": order.symbol,
        "cumBase": contract.quantity_text(order.filled_quantity),
    }


def trades(order: FuturesOrder, contract: Contract) -> list[Json]:
    """Elements of userTrades."""
    return [
        {
            "symbol": order.symbol,
            "id": execution.trade_id,
            "orderId": order.order_id,
            "side": order.side.value,
            "price": contract.price_text(execution.price),
            "qty": contract.quantity_text(execution.quantity),
            "realizedPnl": num(
                execution.realized_pnl if isinstance(execution, FuturesExecution) else None
            ),
            "quoteQty": num(execution.price * execution.quantity),
            "baseQty": contract.quantity_text(execution.quantity),
            "commission": num(execution.fee),
            "commissionAsset": execution.fee_asset,
            "marginAsset": contract.margin_asset,
            "pair": order.symbol,
            "time": execution.time_ms,
            "positionSide": order.position_side.value,
            "buyer": order.side is Side.BUY,
            "maker": execution.is_maker,
        }
        for execution in order.executions
    ]


def modification(
    order: FuturesOrder, contract: Contract, number: int, change: Modification
) -> Json:
    """Element of orderAmendment; ``number`` counts the order's changes from 1."""
    row: Json = {
        "amendmentId": change.number,
        "symbol": order.symbol,
        "pair": order.symbol,
        "orderId": order.order_id,
        "clientOrderId": order.client_order_id,
        "time": change.time_ms,
        "amendment": {
            "price": {
                "before": contract.price_text(change.price_before),
                "after": contract.price_text(change.price_after),
            },
            "origQty": {
                "before": contract.quantity_text(change.quantity_before),
                "after": contract.quantity_text(change.quantity_after),
            },
            "count": number,
        },
    }
    if change.modify_id is not None:
        row["amendment"]["modifyId"] = change.modify_id
    return row


def algo(order: AlgoOrder, contract: Contract) -> Json:
    """A conditional order as placing it answers."""
    wanted = order.wanted
    price = contract.price_text
    return {
        "algoId": order.algo_id,
        "clientAlgoId": order.client_algo_id,
        "algoType": "CONDITIONAL",
        "orderType": wanted.type.value,
        "symbol": order.symbol,
        "side": wanted.side.value,
        "positionSide": wanted.position_side.value,
        "timeInForce": wanted.time_in_force.value,
        "quantity": contract.quantity_text(wanted.quantity),
        "algoStatus": order.status.value,
        "triggerPrice": price(wanted.trigger_price),
        "price": price(wanted.limit_price),
        "icebergQuantity": None,
        "selfTradePreventionMode": wanted.self_trade_mode.value,
        "workingType": wanted.working_price.value,
        "priceMatch": wanted.price_match.value,
        "closePosition": wanted.close_position,
        "priceProtect": wanted.price_protect,
        "reduceOnly": wanted.reduce_only,
        "activatePrice": price(wanted.activate_price) if wanted.activate_price else "",
        "callbackRate": f"{wanted.callback_rate}" if wanted.callback_rate else "",
        "createTime": order.created_ms,
        "updateTime": order.updated_ms,
        "triggerTime": order.triggered_ms,
        "goodTillDate": wanted.good_till_ms,
    }


def queried_algo(order: AlgoOrder, contract: Contract) -> Json:
    """Element of the queries of conditional orders."""
    born = order.order
    row = algo(order, contract)
    for name in ("activatePrice", "callbackRate"):
        if not row[name]:
            del row[name]
    return row | {
        "actualOrderId": "" if born is None else str(born.order_id),
        "actualPrice": contract.price_text(None if born is None else born.average_price),
        "actualType": "" if born is None else born.type.value,
        "actualQty": contract.quantity_text(None if born is None else born.filled_quantity),
        "tpTriggerPrice": contract.price_text(None),
        "tpPrice": contract.price_text(None),
        "slTriggerPrice": contract.price_text(None),
        "slPrice": contract.price_text(None),
        "tpOrderType": "",
    }
