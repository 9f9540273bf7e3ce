"""A new order's parameters: each type's own set, no more and no less."""

from __future__ import annotations

from decimal import Decimal

import pytest

from trading.model.order import OrderType, Side, TimeInForce
from trading.simulator.server.params import Params
from trading.simulator.server.spot.order_request import parse_order
from trading.simulator.server.spot.stream_names import StreamKind, parse_stream
from trading.simulator.server.wire_errors import WireError

LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "95000.5",
}
MARKET = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.01"}
STOP = {**LIMIT, "type": "STOP_LOSS_LIMIT", "stopPrice": "94000"}


def test_a_complete_order_is_parsed() -> None:
    order = parse_order(Params(STOP | {"newClientOrderId": "x-1", "timestamp": "1"}))
    assert (order.side, order.type, order.time_in_force) == (
        Side.BUY,
        OrderType.STOP_LOSS_LIMIT,
        TimeInForce.GTC,
    )
    assert (order.limit_price, order.trigger_price) == (Decimal("95000.5"), Decimal(94000))
    assert order.client_order_id == "x-1"


@pytest.mark.parametrize(
    ("params", "change", "code", "text"),
    [
        (LIMIT, {"price": None}, -1102, "'price'"),
        (LIMIT, {"timeInForce": None}, -1102, "'timeInForce'"),
        (LIMIT, {"quantity": None}, -1102, "'quantity'"),
        (LIMIT, {"symbol": ""}, -1102, "'symbol'"),
        (LIMIT, {"stopPrice": "1"}, -1106, "'stopPrice' sent when not required"),
        (MARKET, {"icebergQty": "1"}, -1106, "'icebergQty'"),
        (LIMIT, {"icebergQty": "1", "timeInForce": "IOC"}, -1013, "must be GTC"),
        (LIMIT, {"trailingDelta": "50"}, -1106, "'trailingDelta'"),
        (LIMIT, {"strategyType": "999999"}, -1134, "less than 1000000"),
        (LIMIT, {"selfTradePreventionMode": "NONE"}, -1013, "does not allow"),
        (MARKET, {"timeInForce": "GTC"}, -1106, "'timeInForce'"),
        (MARKET, {"quoteOrderQty": "10"}, -1106, "'quoteOrderQty'"),
        (MARKET, {"quantity": None}, -1102, "'quantity'"),
        (STOP, {"stopPrice": None}, -1102, "'stopPrice'"),
        (LIMIT, {"quantity": "1e-05"}, -1100, "Illegal characters found in parameter 'quantity'"),
        (LIMIT, {"quantity": "-1"}, -1100, "'quantity'"),
        (LIMIT, {"price": "1.123456789"}, -1111, "Parameter 'price' has too much precision."),
        (LIMIT, {"newClientOrderId": "a:b"}, -1100, "'newClientOrderId'"),
        (LIMIT, {"side": "LONG"}, -1117, "Invalid side."),
        (LIMIT, {"type": "TRAILING"}, -1116, "Invalid orderType."),
        (LIMIT, {"timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
    ],
)
def test_a_wrong_parameter_has_binances_code_and_text(
    params: dict[str, str], change: dict[str, str | None], code: int, text: str
) -> None:
    changed = {k: v for k, v in {**params, **change}.items() if v is not None}
    with pytest.raises(WireError) as caught:
        parse_order(Params(changed))
    assert caught.value.code == code
    assert text in caught.value.message


@pytest.mark.parametrize(
    ("name", "kind", "period"),
    [
        ("btcusdt@aggTrade", StreamKind.AGG_TRADE, 0),
        ("btcusdt@trade", StreamKind.TRADE, 0),
        ("btcusdt@bookTicker", StreamKind.BOOK_TICKER, 0),
        ("btcusdt@kline_1m", StreamKind.KLINE, 20),
        ("btcusdt@kline_1s", StreamKind.KLINE, 10),
        ("btcusdt@kline_1M", StreamKind.KLINE, 20),
        ("btcusdt@kline_1d@+08:00", StreamKind.KLINE, 20),
        ("btcusdt@ticker_4h", StreamKind.WINDOW_TICKER, 10),
        ("!ticker_1h@arr", StreamKind.ALL_WINDOW_TICKERS, 10),
        ("btcusdt@depth", StreamKind.DEPTH, 10),
        ("btcusdt@depth@100ms", StreamKind.DEPTH, 1),
        ("btcusdt@depth20@100ms", StreamKind.PARTIAL_DEPTH, 1),
        ("btcusdt@miniTicker", StreamKind.MINI_TICKER, 10),
        ("btcusdt@ticker", StreamKind.TICKER, 10),
        ("!miniTicker@arr", StreamKind.ALL_MINI_TICKERS, 10),
        ("!miniTicker@arr@1000ms", StreamKind.ALL_MINI_TICKERS, 10),
    ],
)
def test_stream_names_are_understood(name: str, kind: StreamKind, period: int) -> None:
    spec = parse_stream(name)
    assert spec is not None
    assert (spec.kind, spec.period) == (kind, period)


@pytest.mark.parametrize(
    "name", ["btcusdt", "btcusdt@nothing", "btcusdt@kline_7m", "!ticker@arr", "!ticker_2h@arr"]
)
def test_an_unknown_stream_is_no_stream(name: str) -> None:
    assert parse_stream(name) is None
