"""User events in Binance's JSON."""

from __future__ import annotations

from trading.model.order import OrderStatus, OrderType
from trading.simulator.orders import (
    BalanceEvent,
    ExecutionKind,
    ExpiryReason,
    ListEvent,
    ListProgress,
    OrderEvent,
    PreventedMatch,
    SimOrder,
)
from trading.simulator.self_trade import DECREMENTS
from trading.simulator.server.spot.order_wire import FLOOR, NO_TRADE_GROUP, list_id, wire_status
from trading.simulator.server.wire import Json, num


def execution_report(event: OrderEvent, execution_id: int, sent_ms: int) -> Json:
    order, fill = event.order, event.execution
    client_id, original_id = order.client_order_id, ""
    if event.kind is ExecutionKind.CANCELED:
        client_id, original_id = event.request_client_order_id or "", client_id
    elif event.kind is ExecutionKind.REPLACED:
        original_id = event.request_client_order_id or ""
    report: Json = {
        "e": "executionReport",
        "E": sent_ms,
        "s": order.symbol,
        "c": client_id,
        "S": order.side.value,
        "o": order.type.value,
        "f": order.time_in_force.value,
        "q": num(order.quantity),
        "p": num(order.limit_price),
        "P": num(order.trigger_price),
        "F": num(order.iceberg_quantity),
        "g": list_id(order),
        "C": original_id,
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
        "V": order.self_trade_mode.value,
    }
    if order.working_ms is not None:
        report["W"] = order.working_ms
    if order.trailing_delta is not None:
        report["d"] = order.trailing_delta
        if order.trailing_since_ms is not None:
            report["D"] = order.trailing_since_ms
    if order.strategy_id is not None:
        report["j"] = order.strategy_id
    if order.strategy_type is not None:
        report["J"] = order.strategy_type
    if order.is_routed:
        report |= {"k": FLOOR, "uS": True}
    if event.prevented is not None:
        report |= _prevention(order, event.prevented)
    if order.expiry_reason not in (None, ExpiryReason.SELF_TRADE):
        report["eR"] = order.expiry_reason.value
    return report


def _prevention(order: SimOrder, prevented: PreventedMatch) -> Json:
    is_taker = order.order_id == prevented.taker_order_id
    lost = prevented.taker_prevented if is_taker else prevented.maker_prevented
    fields: Json = {
        "v": prevented.match_id,
        "A": num(order.prevented_quantity),
        "B": num(lost),
        "u": NO_TRADE_GROUP,
        "U": prevented.maker_order_id if is_taker else prevented.taker_order_id,
        "Cs": prevented.symbol,
    }
    if prevented.mode in DECREMENTS:
        fields["pl"] = num(prevented.quantity)
        fields["pL"] = num(prevented.price)
        fields["pY"] = num(prevented.price * prevented.quantity)
    return fields


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


def list_status(event: ListEvent, sent_ms: int) -> Json:
    return {
        "e": "listStatus",
        "E": sent_ms,
        "s": event.symbol,
        "g": event.list_id,
        "c": event.contingency.value,
        "l": event.progress.value,
        "L": "ALL_DONE" if event.progress is ListProgress.DONE else "EXECUTING",
        "r": "NONE",
        "C": event.client_order_id,
        "T": event.time_ms,
        "O": [{"s": event.symbol, "i": number, "c": name} for number, name in event.orders],
    }
