"""Binance's JSON to our values and back. Raises the usual lookup and value errors when malformed.

Field names: binance-spot-api-docs, rest-api.md and user-data-stream.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from trading.exchange.binance.local_book import BookSnapshot
from trading.exchange.intervals import interval_ms
from trading.model.market import Bar, Book, BookLevel, Instrument
from trading.model.order import (
    AccountSnapshot,
    Balance,
    Fill,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
)

Json = Mapping[str, Any]

STATUSES: dict[str, OrderStatus] = {
    "NEW": OrderStatus.NEW,
    "PENDING_NEW": OrderStatus.NEW,
    "PENDING_CANCEL": OrderStatus.NEW,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
}


def order_params(request: OrderRequest) -> dict[str, str]:
    """Parameters of POST /api/v3/order; amounts as plain decimal strings, never 1E-5."""
    params = {
        "symbol": request.symbol,
        "side": request.side.value,
        "type": request.type.value,
        "quantity": plain(request.quantity),
        "newClientOrderId": request.client_order_id,
        "newOrderRespType": "FULL",
    }
    if request.limit_price is not None:
        params["price"] = plain(request.limit_price)
    if request.trigger_price is not None:
        params["stopPrice"] = plain(request.trigger_price)
    if request.time_in_force is not None:
        params["timeInForce"] = request.time_in_force.value
    return params


def plain(amount: Decimal) -> str:
    """``amount`` without an exponent."""
    return format(amount, "f")


def report_from_order(data: Json, trades: Sequence[Json] = ()) -> OrderReport:
    """An order as answered to a placement, a query or a cancel; ``trades`` are its myTrades rows.

    Fills inside the answer to a placement happened on arrival, so they took liquidity.
    """
    side = Side(data["side"])
    client_order_id = str(data.get("origClientOrderId") or data["clientOrderId"])
    time_ms = int(data.get("transactTime") or data.get("updateTime") or data["time"])
    own_fills = [
        Fill(
            trade_id=str(fill["tradeId"]),
            client_order_id=client_order_id,
            symbol=data["symbol"],
            side=side,
            price=Decimal(fill["price"]),
            quantity=Decimal(fill["qty"]),
            fee=Decimal(fill["commission"]),
            fee_asset=fill["commissionAsset"],
            is_maker=False,
            time_ms=time_ms,
        )
        for fill in data.get("fills", ())
    ]
    return OrderReport(
        client_order_id=client_order_id,
        venue_order_id=str(data["orderId"]),
        symbol=data["symbol"],
        side=side,
        type=OrderType(data["type"]),
        status=STATUSES[data["status"]],
        quantity=Decimal(data["origQty"]),
        filled_quantity=Decimal(data["executedQty"]),
        filled_notional=_not_negative(data["cummulativeQuoteQty"]),
        limit_price=_price(data.get("price")),
        trigger_price=_price(data.get("stopPrice")),
        time_ms=time_ms,
        fills=tuple(own_fills) or tuple(_fill_of_trade(t, client_order_id) for t in trades),
        reason=data.get("expiryReason"),
    )


def is_unfilled(order: Json) -> bool:
    """Whether an order, as answered by the venue, has no fill yet."""
    return Decimal(order["executedQty"]) == 0


def _fill_of_trade(trade: Json, client_order_id: str) -> Fill:
    return Fill(
        trade_id=str(trade["id"]),
        client_order_id=client_order_id,
        symbol=trade["symbol"],
        side=Side.BUY if trade["isBuyer"] else Side.SELL,
        price=Decimal(trade["price"]),
        quantity=Decimal(trade["qty"]),
        fee=Decimal(trade["commission"]),
        fee_asset=trade["commissionAsset"],
        is_maker=bool(trade["isMaker"]),
        time_ms=int(trade["time"]),
    )


def report_from_event(event: Json) -> OrderReport:
    """An ``executionReport`` of the user stream."""
    side = Side(event["S"])
    # On a cancel, c is the cancel's own id and C the order's.
    client_order_id = str(event["C"] or event["c"])
    fills: tuple[Fill, ...] = ()
    if event["x"] == "TRADE":
        fills = (
            Fill(
                trade_id=str(event["t"]),
                client_order_id=client_order_id,
                symbol=event["s"],
                side=side,
                price=Decimal(event["L"]),
                quantity=Decimal(event["l"]),
                fee=Decimal(event["n"]),
                fee_asset=event["N"] or "",
                is_maker=bool(event["m"]),
                time_ms=int(event["T"]),
            ),
        )
    reason = event.get("eR") or event["r"]
    return OrderReport(
        client_order_id=client_order_id,
        venue_order_id=str(event["i"]),
        symbol=event["s"],
        side=side,
        type=OrderType(event["o"]),
        status=STATUSES[event["X"]],
        quantity=Decimal(event["q"]),
        filled_quantity=Decimal(event["z"]),
        filled_notional=Decimal(event["Z"]),
        limit_price=_price(event["p"]),
        trigger_price=_price(event["P"]),
        time_ms=int(event["T"]),
        fills=fills,
        reason=None if reason == "NONE" else str(reason),
    )


def instrument(data: Json) -> Instrument:
    """One entry of exchangeInfo's ``symbols``.

    ``max_quantity`` is the smaller of the lot and market-lot limits, because a protective stop
    becomes a market order.
    """
    filters = {entry["filterType"]: entry for entry in data["filters"]}
    lot = filters["LOT_SIZE"]
    market_lot = filters.get("MARKET_LOT_SIZE", {"maxQty": "0"})
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {"minNotional": "0"}
    limits = [limit for row in (lot, market_lot) if (limit := Decimal(row["maxQty"])) > 0]
    return Instrument(
        symbol=data["symbol"],
        base_asset=data["baseAsset"],
        quote_asset=data["quoteAsset"],
        tick_size=Decimal(filters["PRICE_FILTER"]["tickSize"]).normalize(),
        step_size=Decimal(lot["stepSize"]).normalize(),
        min_quantity=Decimal(lot["minQty"]),
        max_quantity=min(limits),
        min_notional=Decimal(notional["minNotional"]),
        trading=data["status"] == "TRADING" and data.get("isSpotTradingAllowed", True),
    )


def account(data: Json) -> AccountSnapshot:
    balances = (
        Balance(asset=row["asset"], free=Decimal(row["free"]), locked=Decimal(row["locked"]))
        for row in data["balances"]
    )
    return AccountSnapshot(
        balances={balance.asset: balance for balance in balances},
        can_trade=bool(data["canTrade"]),
        time_ms=int(data["updateTime"]),
    )


def bar(symbol: str, interval: str, row: Sequence[Any]) -> Bar:
    """One row of klines."""
    return Bar(
        symbol=symbol,
        open_time_ms=int(row[0]),
        interval_ms=interval_ms(interval),
        open=float(row[1]),
        high=float(row[2]),
        low=float(row[3]),
        close=float(row[4]),
        volume=float(row[5]),
    )


def book(symbol: str, data: Json, time_ms: int) -> Book:
    """A depth snapshot, which carries no time of its own."""
    bids, asks = (
        tuple(
            BookLevel(price=Decimal(price), quantity=Decimal(quantity))
            for price, quantity in data[side]
        )
        for side in ("bids", "asks")
    )
    return Book(symbol=symbol, time_ms=time_ms, bids=bids, asks=asks)


def book_snapshot(data: Json) -> BookSnapshot:
    """A depth snapshot for a local book, with the id of the last update in it."""
    bids, asks = (
        tuple((float(price), float(quantity)) for price, quantity in data[side])
        for side in ("bids", "asks")
    )
    return BookSnapshot(lastUpdateId=int(data["lastUpdateId"]), bids=bids, asks=asks)


def _price(text: str | None) -> Decimal | None:
    price = Decimal(text or "0")
    return price or None


def _not_negative(text: str) -> Decimal:
    # The venue answers -1 where the figure is not available (very old orders).
    return max(Decimal(text), Decimal(0))
