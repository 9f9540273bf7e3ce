"""USD-M futures' JSON to our values and back. Raises the usual lookup and value errors.

Field names: the official client binance-sdk-derivatives-trading-usds-futures. Orders with a trigger
are *algo orders* there, which bear an order of their own when the trigger is reached; for us both
are one order under our id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from trading.exchange.binance.convert import STATUSES, Json, plain
from trading.model.futures import FundingPayment, FuturesPosition
from trading.model.market import Instrument
from trading.model.order import (
    ZERO,
    AccountSnapshot,
    Balance,
    Fill,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
)

CONDITIONAL_TYPES = {
    OrderType.STOP_LOSS: "STOP_MARKET",
    OrderType.STOP_LOSS_LIMIT: "STOP",
    OrderType.TAKE_PROFIT: "TAKE_PROFIT_MARKET",
    OrderType.TAKE_PROFIT_LIMIT: "TAKE_PROFIT",
}
TYPES = {name: kind for kind, name in CONDITIONAL_TYPES.items()} | {
    "MARKET": OrderType.MARKET,
    "LIMIT": OrderType.LIMIT,
}
POST_ONLY = "GTX"
ALGO_STATUSES = {
    "NEW": OrderStatus.NEW,
    "TRIGGERING": OrderStatus.NEW,
    "TRIGGERED": OrderStatus.NEW,
    "FINISHED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
}


def order_params(request: OrderRequest) -> dict[str, str]:
    """Parameters of POST /fapi/v1/order, or of algoOrder for an order with a trigger.

    What does not increase risk may only reduce a position, whatever else has happened to it.
    """
    params = {
        "symbol": request.symbol,
        "side": request.side.value,
        "quantity": plain(request.quantity),
        "newOrderRespType": "RESULT",
    }
    if not request.purpose.increases_risk:
        params["reduceOnly"] = "true"
    if request.limit_price is not None:
        params["price"] = plain(request.limit_price)
    if request.type is OrderType.LIMIT_MAKER:
        params |= {"type": "LIMIT", "timeInForce": POST_ONLY}
    else:
        params["type"] = CONDITIONAL_TYPES.get(request.type, request.type.value)
    if request.time_in_force is not None:
        params["timeInForce"] = request.time_in_force.value
    if request.trigger_price is None:
        return params | {"newClientOrderId": request.client_order_id}
    return params | {
        "algoType": "CONDITIONAL",
        "triggerPrice": plain(request.trigger_price),
        "clientAlgoId": request.client_order_id,
    }


def report_from_order(
    data: Json, trades: Sequence[Json] = (), *, client_order_id: str = ""
) -> OrderReport:
    """An order as answered to a placement, a query or a cancel; ``trades`` are its userTrades.

    ``client_order_id``: the id of the algo order that bore it, if one did.
    """
    order_id = client_order_id or str(data["clientOrderId"])
    fills = tuple(_fill_of_trade(trade, order_id) for trade in trades)
    filled = Decimal(data["executedQty"])
    return OrderReport(
        client_order_id=order_id,
        venue_order_id=str(data["orderId"]),
        symbol=data["symbol"],
        side=Side(data["side"]),
        type=_type(data.get("origType") or data["type"], data.get("timeInForce")),
        status=STATUSES[data["status"]],
        quantity=Decimal(data["origQty"]),
        filled_quantity=filled,
        filled_notional=_notional(data, fills, filled),
        limit_price=_price(data.get("price")),
        trigger_price=_price(data.get("stopPrice")),
        time_ms=int(data["updateTime"]),
        fills=fills,
    )


def _notional(data: Json, fills: Iterable[Fill], filled: Decimal) -> Decimal:
    """The exact sum of the fills where all are there, else what the venue says of it."""
    known = list(fills)
    if sum((fill.quantity for fill in known), ZERO) == filled:
        return sum((fill.notional for fill in known), ZERO)
    if "cumQuote" in data:
        return Decimal(data["cumQuote"])
    return Decimal(data["avgPrice"]) * filled


def report_from_algo(data: Json) -> OrderReport:
    """An algo order that has borne no order (yet)."""
    return OrderReport(
        client_order_id=str(data["clientAlgoId"]),
        venue_order_id=f"algo-{data['algoId']}",
        symbol=data["symbol"],
        side=Side(data["side"]),
        type=_type(data["orderType"], None),
        status=ALGO_STATUSES[data["algoStatus"]],
        quantity=Decimal(data["quantity"]),
        limit_price=_price(data.get("price")),
        trigger_price=_price(data["triggerPrice"]),
        time_ms=int(data["updateTime"]),
    )


def report_from_event(event: Json) -> OrderReport:
    """The ``o`` of an ORDER_TRADE_UPDATE."""
    side, quantity = Side(event["S"]), Decimal(event["z"])
    fills: tuple[Fill, ...] = ()
    if event["x"] in ("TRADE", "CALCULATED") and Decimal(event["l"]) > 0:
        fills = (
            Fill(
                trade_id=str(event["t"]),
                client_order_id=str(event["c"]),
                symbol=event["s"],
                side=side,
                price=Decimal(event["L"]),
                quantity=Decimal(event["l"]),
                fee=max(Decimal(event["n"]), ZERO),
                fee_asset=event["N"] or "",
                is_maker=bool(event["m"]),
                time_ms=int(event["T"]),
            ),
        )
    return OrderReport(
        client_order_id=str(event["c"]),
        venue_order_id=str(event["i"]),
        symbol=event["s"],
        side=side,
        type=_type(event["ot"], event["f"]),
        status=STATUSES[event["X"]],
        quantity=Decimal(event["q"]),
        filled_quantity=quantity,
        filled_notional=Decimal(event["ap"]) * quantity,
        limit_price=_price(event["p"]),
        trigger_price=_price(event["sp"]),
        time_ms=int(event["T"]),
        fills=fills,
    )


def report_from_algo_event(event: Json, time_ms: int) -> OrderReport:
    """The ``o`` of an ALGO_UPDATE."""
    filled = Decimal(event["aq"] or 0)
    return OrderReport(
        client_order_id=str(event["caid"]),
        venue_order_id=str(event["ai"] or f"algo-{event['aid']}"),
        symbol=event["s"],
        side=Side(event["S"]),
        type=_type(event["o"], None),
        status=ALGO_STATUSES[event["X"]],
        quantity=Decimal(event["q"]),
        filled_quantity=filled,
        filled_notional=filled * Decimal(event["ap"] or 0),
        limit_price=_price(event["p"]),
        trigger_price=_price(event["tp"]),
        time_ms=time_ms,
        reason=str(event["rm"]) or None,
    )


def instrument(data: Json) -> Instrument:
    """One entry of exchangeInfo's ``symbols``."""
    filters = {entry["filterType"]: entry for entry in data["filters"]}
    lot = filters["LOT_SIZE"]
    market_lot = filters.get("MARKET_LOT_SIZE", lot)
    return Instrument(
        symbol=data["symbol"],
        base_asset=data["baseAsset"],
        quote_asset=data["quoteAsset"],
        tick_size=Decimal(filters["PRICE_FILTER"]["tickSize"]).normalize(),
        step_size=Decimal(lot["stepSize"]).normalize(),
        min_quantity=Decimal(lot["minQty"]),
        max_quantity=min(Decimal(lot["maxQty"]), Decimal(market_lot["maxQty"])),
        min_notional=Decimal(filters["MIN_NOTIONAL"]["notional"]),
        trading=data["status"] == "TRADING",
    )


def position(data: Json) -> FuturesPosition:
    """One entry of positionRisk."""
    liquidation = Decimal(data["liquidationPrice"])
    return FuturesPosition(
        symbol=data["symbol"],
        quantity=Decimal(data["positionAmt"]),
        entry_price=Decimal(data["entryPrice"]),
        mark_price=Decimal(data["markPrice"]),
        unrealized_pnl=Decimal(data["unRealizedProfit"]),
        liquidation_price=liquidation if liquidation > 0 else None,
    )


def account(
    data: Json, positions: Iterable[FuturesPosition], instruments: dict[str, Instrument]
) -> AccountSnapshot:
    """The account as a spot account would show it (see ``BinanceFuturesClient``).

    Positions in contracts that are not in ``instruments`` count at what they were opened for.

    Raises ValueError for a short position: nothing here opens one.
    """
    totals = {row["asset"]: Decimal(row["walletBalance"]) for row in data["assets"]}
    held: dict[str, Decimal] = {}
    for each in positions:
        contract = instruments.get(each.symbol)
        if contract is None:
            continue
        if each.quantity < 0:
            raise ValueError(f"the account is short in {each.symbol}: {each.quantity}")
        quote = contract.quote_asset
        totals[quote] = totals.get(quote, ZERO) - each.entry_notional
        held[contract.base_asset] = held.get(contract.base_asset, ZERO) + each.quantity
    available = {row["asset"]: Decimal(row["availableBalance"]) for row in data["assets"]}
    balances = {}
    for asset, total in totals.items():
        worth = max(total, ZERO)
        free = min(worth, max(available.get(asset, ZERO), ZERO))
        balances[asset] = Balance(asset=asset, free=free, locked=worth - free)
    for asset, quantity in held.items():
        balances[asset] = Balance(asset=asset, free=quantity, locked=ZERO)
    time_ms = int(data["updateTime"])
    return AccountSnapshot(balances=balances, can_trade=bool(data["canTrade"]), time_ms=time_ms)


def funding(rows: Iterable[Json]) -> tuple[FundingPayment, ...]:
    """Payments of the income history, oldest first."""
    found = (
        FundingPayment(
            id=f"{row['time']}-{row['tranId']}",
            symbol=row["symbol"],
            asset=row["asset"],
            amount=Decimal(row["income"]),
            time_ms=int(row["time"]),
        )
        for row in rows
    )
    return tuple(sorted(found, key=lambda one: (one.time_ms, one.id)))


def _fill_of_trade(trade: Json, client_order_id: str) -> Fill:
    return Fill(
        trade_id=str(trade["id"]),
        client_order_id=client_order_id,
        symbol=trade["symbol"],
        side=Side(trade["side"]),
        price=Decimal(trade["price"]),
        quantity=Decimal(trade["qty"]),
        fee=max(Decimal(trade["commission"]), ZERO),
        fee_asset=trade["commissionAsset"],
        is_maker=bool(trade["maker"]),
        time_ms=int(trade["time"]),
    )


def _type(name: str, time_in_force: Any) -> OrderType:
    # Liquidations and the like are no orders of ours; any type will do for the warning.
    kind = TYPES.get(name, OrderType.MARKET)
    return OrderType.LIMIT_MAKER if kind is OrderType.LIMIT and time_in_force == POST_ONLY else kind


def _price(text: str | None) -> Decimal | None:
    return Decimal(text or "0") or None
