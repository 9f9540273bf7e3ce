"""Futures' user events in Binance's JSON."""

from __future__ import annotations

from trading.simulator.futures.contracts import Contract
from trading.simulator.futures.events import (
    AccountChange,
    AccountEvent,
    AlgoEvent,
    ConfigEvent,
    MarginCallEvent,
    PositionState,
)
from trading.simulator.futures.orders import FuturesExecution, as_futures
from trading.simulator.orders import ExecutionKind, ExpiryReason, OrderEvent
from trading.simulator.server.usdm.order_wire import wire_status
from trading.simulator.server.wire import Json, num

EXPIRY_CODES = {
    None: "0",
    ExpiryReason.SELF_TRADE: "1",
    ExpiryReason.IOC_REMAINDER: "2",
    ExpiryReason.NOTHING_TO_CLOSE: "4",
    ExpiryReason.LIQUIDATION: "5",
    ExpiryReason.NO_LIQUIDITY: "9",
    ExpiryReason.FOK_UNFILLED: "10",
}
KINDS = {
    ExecutionKind.REPLACED: "AMENDMENT",
    ExecutionKind.TRADE_PREVENTION: "EXPIRED",
}


def order_update(event: OrderEvent, contract: Contract, sent_ms: int) -> Json:
    """ORDER_TRADE_UPDATE."""
    order, fill = as_futures(event.order), event.execution
    price, quantity = contract.price_text, contract.quantity_text
    kind = KINDS.get(event.kind, event.kind.value)
    if order.is_liquidation and event.kind is ExecutionKind.TRADE:
        kind = "CALCULATED"
    body: Json = {
        "s": order.symbol,
        "c": order.client_order_id,
        "S": order.side.value,
        "o": order.type.value,
        "f": order.wire_time_in_force.value,
        "q": quantity(order.quantity),
        "p": price(order.limit_price),
        "ap": price(order.average_price),
        "sp": price(order.stop_price),
        "x": kind,
        "X": wire_status(order),
        "i": order.order_id,
        "l": quantity(fill.quantity if fill else None),
        "z": quantity(order.filled_quantity),
        "L": price(fill.price if fill else None),
        "n": num(fill.fee) if fill else "0",
        "N": fill.fee_asset if fill else contract.margin_asset,
        "T": event.time_ms,
        "t": fill.trade_id if fill else 0,
        "b": "0",
        "a": "0",
        "m": fill.is_maker if fill else False,
        "R": order.reduce_only,
        "wt": order.working_price.value,
        "ot": order.original_type,
        "ps": order.position_side.value,
        "cp": order.close_position,
        "rp": num(fill.realized_pnl) if isinstance(fill, FuturesExecution) else "0",
        "pP": order.price_protect,
        "si": 0,
        "ss": 0,
        "V": order.self_trade_mode.value,
        "pm": order.price_match.value,
        "gtd": order.good_till_ms,
        "er": EXPIRY_CODES.get(order.expiry_reason, "0"),
    }
    if event.kind is ExecutionKind.REPLACED and order.modifications[-1].modify_id is not None:
        body["M"] = str(order.modifications[-1].modify_id)
    return {"e": "ORDER_TRADE_UPDATE", "E": sent_ms, "T": event.time_ms, "o": body}


def trade_lite(event: OrderEvent, contract: Contract, sent_ms: int) -> Json:
    """TRADE_LITE: the fill alone, ahead of the full event."""
    order, fill = event.order, event.execution
    assert fill is not None
    return {
        "e": "TRADE_LITE",
        "E": sent_ms,
        "T": event.time_ms,
        "s": order.symbol,
        "q": contract.quantity_text(order.quantity),
        "p": contract.price_text(order.limit_price),
        "m": fill.is_maker,
        "c": order.client_order_id,
        "S": order.side.value,
        "L": contract.price_text(fill.price),
        "l": contract.quantity_text(fill.quantity),
        "t": fill.trade_id,
        "i": order.order_id,
    }


def account_update(event: AccountEvent, contracts: dict[str, Contract], sent_ms: int) -> Json:
    body: Json = {
        "m": event.reason.value,
        "B": [
            {
                "a": wallet.asset,
                "wb": num(wallet.wallet),
                "cw": num(wallet.cross_wallet),
                "bc": num(wallet.change),
            }
            for wallet in event.wallets
        ],
        "P": [_position(each, contracts[each.symbol]) for each in event.positions],
    }
    if event.reason is AccountChange.FUNDING_FEE:
        body["S"] = event.symbol
        if not event.positions:
            del body["P"]
    return {"e": "ACCOUNT_UPDATE", "E": sent_ms, "T": event.time_ms, "a": body}


def margin_call(event: MarginCallEvent, contracts: dict[str, Contract], sent_ms: int) -> Json:
    body: Json = {"e": "MARGIN_CALL", "E": sent_ms}
    if event.cross_wallet is not None:
        body["cw"] = num(event.cross_wallet)
    rows = []
    for each in event.positions:
        state = each.state
        row = {
            "s": state.symbol,
            "ps": state.side.value,
            "pa": contracts[state.symbol].quantity_text(state.amount),
            "mt": "ISOLATED" if state.is_isolated else "CROSSED",
            "iw": num(state.isolated_wallet),
            "mp": num(each.mark_price),
            "up": num(state.unrealized_pnl),
            "mm": num(each.maintenance_margin),
        }
        rows.append(row)
    return body | {"p": rows}


def config_update(event: ConfigEvent, sent_ms: int) -> Json:
    body: Json = {"e": "ACCOUNT_CONFIG_UPDATE", "E": sent_ms, "T": event.time_ms}
    if event.symbol is not None:
        return body | {"ac": {"s": event.symbol, "l": event.leverage}}
    return body | {"ai": {"j": event.multi_assets}}


def algo_update(event: AlgoEvent, contract: Contract, sent_ms: int) -> Json:
    algo = event.algo
    wanted, born = algo.wanted, algo.order
    price, quantity = contract.price_text, contract.quantity_text
    return {
        "e": "ALGO_UPDATE",
        "E": sent_ms,
        "T": event.time_ms,
        "o": {
            "caid": algo.client_algo_id,
            "aid": algo.algo_id,
            "at": "CONDITIONAL",
            "o": wanted.type.value,
            "s": algo.symbol,
            "S": wanted.side.value,
            "ps": wanted.position_side.value,
            "f": wanted.time_in_force.value,
            "q": quantity(wanted.quantity),
            "X": event.status.value,
            "ai": "" if born is None else str(born.order_id),
            "ap": price(None if born is None else born.average_price),
            "aq": quantity(None if born is None else born.filled_quantity),
            "act": "0" if born is None else born.type.value,
            "tp": price(wanted.trigger_price),
            "p": price(wanted.limit_price),
            "V": wanted.self_trade_mode.value,
            "wt": wanted.working_price.value,
            "pm": wanted.price_match.value,
            "cp": wanted.close_position,
            "pP": wanted.price_protect,
            "R": wanted.reduce_only or wanted.close_position,
            "tt": algo.triggered_ms,
            "gtd": wanted.good_till_ms,
            "rm": algo.reject_reason,
            "ia": False,
        },
    }


def trigger_rejected(event: AlgoEvent, sent_ms: int) -> Json:
    """CONDITIONAL_ORDER_TRIGGER_REJECT."""
    algo = event.algo
    body = {"s": algo.symbol, "i": algo.algo_id, "r": algo.reject_reason}
    return {
        "e": "CONDITIONAL_ORDER_TRIGGER_REJECT",
        "E": sent_ms,
        "T": event.time_ms,
        "or": body,
    }


def _position(state: PositionState, contract: Contract) -> Json:
    return {
        "s": state.symbol,
        "pa": contract.quantity_text(state.amount),
        "ep": num(state.entry_price),
        "bep": num(state.break_even_price),
        "cr": num(state.realized_pnl),
        "up": num(state.unrealized_pnl),
        "mt": "isolated" if state.is_isolated else "cross",
        "iw": num(state.isolated_wallet),
        "ps": state.side.value,
    }
