"""Binance's JSON to our values; the examples are those of the venue's documentation."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.errors import ExchangeError
from trading.exchange.binance import convert
from trading.model.order import (
    OrderPurpose,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)

# What Binance accepts as a number; anything else is answered with -1100.
LEGAL_NUMBER = re.compile(r"^([0-9]{1,20})(\.[0-9]{1,20})?$")

TRADE_EVENT: dict[str, Any] = {
    "e": "executionReport", "E": 1795248525385, "s": "BTCUSDT", "c": "x1", "S": "BUY",
    "o": "LIMIT", "f": "GTC", "q": "0.01000000", "p": "95000.00000000", "P": "0.00000000",
    "F": "0.00000000", "g": -1, "C": "", "x": "TRADE", "X": "PARTIALLY_FILLED", "r": "NONE",
    "i": 4293153, "l": "0.00400000", "z": "0.00400000", "L": "95000.00000000",
    "n": "0.00000400", "N": "BTC", "T": 1795248525384, "t": 57, "I": 8641984, "w": True,
    "m": False, "M": False, "O": 1795248525384, "Z": "380.00000000", "Y": "380.00000000",
    "Q": "0.00000000", "W": 1795248525384, "V": "EXPIRE_MAKER",
}  # fmt: skip

CANCEL_ANSWER: dict[str, Any] = {
    "symbol": "BTCUSDT", "origClientOrderId": "x1", "orderId": 4, "orderListId": -1,
    "clientOrderId": "cancel1", "transactTime": 1795248525384, "price": "90000.00000000",
    "origQty": "0.01000000", "executedQty": "0.00000000", "origQuoteOrderQty": "0.00000000",
    "cummulativeQuoteQty": "0.00000000", "status": "CANCELED", "timeInForce": "GTC",
    "type": "LIMIT", "side": "BUY", "selfTradePreventionMode": "EXPIRE_MAKER",
}  # fmt: skip

SYMBOL: dict[str, Any] = {
    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
    "isSpotTradingAllowed": True,
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000",
         "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000",
         "stepSize": "0.00001000"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "120.00000000",
         "stepSize": "0.00000000"},
        {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True,
         "maxNotional": "9000000.00000000"},
    ],
}  # fmt: skip


def test_a_trade_event_brings_exactly_its_own_fill() -> None:
    report = convert.report_from_event(TRADE_EVENT)
    assert (report.client_order_id, report.status) == ("x1", OrderStatus.PARTIALLY_FILLED)
    assert (report.filled_quantity, report.filled_notional) == (Decimal("0.004"), Decimal(380))
    (fill,) = report.fills
    assert (fill.trade_id, fill.price, fill.fee, fill.fee_asset) == (
        "57",
        Decimal(95000),
        Decimal("0.000004"),
        "BTC",
    )
    assert report.trigger_price is None
    assert report.reason is None


def test_a_cancel_names_the_order_and_not_the_cancel_request() -> None:
    event = TRADE_EVENT | {"x": "CANCELED", "X": "CANCELED", "c": "cancel1", "C": "x1", "N": None}
    assert convert.report_from_event(event).client_order_id == "x1"
    assert convert.report_from_event(event).fills == ()
    assert convert.report_from_order(CANCEL_ANSWER).client_order_id == "x1"


@pytest.mark.parametrize(
    ("wire", "ours"),
    [
        ("PENDING_NEW", OrderStatus.NEW),
        ("EXPIRED_IN_MATCH", OrderStatus.EXPIRED),
        ("REJECTED", OrderStatus.REJECTED),
    ],
)
def test_states_that_we_do_not_have_become_their_nearest(wire: str, ours: OrderStatus) -> None:
    assert convert.report_from_event(TRADE_EVENT | {"X": wire}).status is ours


def test_the_reason_of_an_expiry_is_kept() -> None:
    event = TRADE_EVENT | {"x": "EXPIRED", "X": "EXPIRED", "eR": "INSUFFICIENT_LIQUIDITY"}
    assert convert.report_from_event(event).reason == "INSUFFICIENT_LIQUIDITY"


def test_an_instrument_takes_the_smaller_of_both_lot_limits() -> None:
    instrument = convert.instrument(SYMBOL)
    assert (instrument.tick_size, instrument.step_size) == (Decimal("0.01"), Decimal("0.00001"))
    assert instrument.max_quantity == 120
    assert instrument.min_notional == 5
    assert instrument.trading
    assert not convert.instrument(SYMBOL | {"status": "HALT"}).trading


def test_a_bar_of_an_unknown_interval_is_refused_with_the_venues_number() -> None:
    with pytest.raises(ExchangeError) as error:
        convert.bar("BTCUSDT", "7m", [0, "1", "1", "1", "1", "1"])
    assert error.value.code == -1120


@given(
    quantity=st.decimals(min_value="1E-8", max_value="1E9", places=8),
    price=st.decimals(min_value="1E-8", max_value="1E9", places=8),
)
def test_every_amount_leaves_in_the_form_the_venue_accepts(
    quantity: Decimal, price: Decimal
) -> None:
    request = OrderRequest(
        client_order_id="sg-1",
        symbol="BTCUSDT",
        side=Side.SELL,
        type=OrderType.STOP_LOSS_LIMIT,
        quantity=quantity.normalize(),
        limit_price=price.normalize(),
        trigger_price=price,
        time_in_force=TimeInForce.GTC,
        purpose=OrderPurpose.PROTECTIVE_STOP,
    )
    params = convert.order_params(request)
    for name, amount in (("quantity", quantity), ("price", price), ("stopPrice", price)):
        assert LEGAL_NUMBER.match(params[name])
        assert Decimal(params[name]) == amount


def test_the_venue_would_refuse_what_str_makes_of_a_small_decimal() -> None:
    """The broken variant: without ``plain`` the check above must fail."""
    assert not LEGAL_NUMBER.match(str(Decimal("0.00000010").normalize()))
