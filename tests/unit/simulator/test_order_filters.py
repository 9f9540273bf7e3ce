"""exchangeInfo filters refuse with -1013 and the filter's name."""

from __future__ import annotations

from decimal import Decimal

import pytest
from simulated_market import SYMBOL, Market

from trading.model.order import OrderType, Side
from trading.simulator.orders import ExchangeRejection, NewOrder


@pytest.mark.parametrize(
    ("order_type", "quantity", "price", "filter_name"),
    [
        (OrderType.LIMIT, "1", "98.5", "PRICE_FILTER"),
        (OrderType.LIMIT, "1.05", "98", "LOT_SIZE"),
        (OrderType.LIMIT, "0", "98", "LOT_SIZE"),
        (OrderType.LIMIT, "1000.1", "98", "LOT_SIZE"),
        (OrderType.MARKET, "2000", None, "LOT_SIZE"),
        (OrderType.LIMIT, "0.1", "40", "NOTIONAL"),
        (OrderType.LIMIT, "1", "501", "PERCENT_PRICE_BY_SIDE"),
        (OrderType.LIMIT, "1", "19", "PERCENT_PRICE_BY_SIDE"),
    ],
)
def test_an_order_off_the_rules_is_refused_by_the_filter(
    market: Market, order_type: OrderType, quantity: str, price: str | None, filter_name: str
) -> None:
    with pytest.raises(ExchangeRejection, match=f"Filter failure: {filter_name}") as caught:
        market.order(Side.BUY, order_type, quantity, price=price)
    assert caught.value.code == -1013


def test_open_orders_are_limited_for_each_account(market: Market) -> None:
    for price in range(90, 96):
        market.order(Side.BUY, OrderType.LIMIT, "1", price=str(price))
    with pytest.raises(ExchangeRejection, match="Filter failure: MAX_NUM_ORDERS"):
        market.order(Side.BUY, OrderType.LIMIT, "1", price="89")
    market.order(Side.BUY, OrderType.LIMIT, "1", price="89", account="bob")


def test_waiting_trigger_orders_are_limited(market: Market) -> None:
    for trigger in ("70", "71", "72"):
        market.order(Side.SELL, OrderType.STOP_LOSS, "1", trigger=trigger)
    with pytest.raises(ExchangeRejection, match="Filter failure: MAX_NUM_ALGO_ORDERS"):
        market.order(Side.SELL, OrderType.STOP_LOSS, "1", trigger="73")


def test_an_unlisted_pair_and_an_unknown_account_are_refused(market: Market) -> None:
    with pytest.raises(ExchangeRejection, match="Invalid symbol") as caught:
        market.exchange.submit("alice", NewOrder("XYZUSDT", Side.BUY, OrderType.MARKET))
    assert caught.value.code == -1121
    with pytest.raises(ExchangeRejection) as caught:
        market.exchange.submit("mallory", NewOrder(SYMBOL, Side.BUY, OrderType.MARKET))
    assert caught.value.code == -2015


def test_a_test_order_is_checked_and_leaves_no_trace(market: Market) -> None:
    good = NewOrder(SYMBOL, Side.BUY, OrderType.MARKET, "t", quantity=market.free("ABC") / 100)
    market.exchange.submit("alice", good, test_only=True)
    assert market.exchange.all_orders("alice", SYMBOL) == ()
    assert market.events == []


def with_filters(market: Market, **changes: object) -> None:
    filters = market.exchange.config.filters.model_copy(update=changes)
    market.exchange.config = market.exchange.config.model_copy(update={"filters": filters})


def test_market_orders_have_a_bound_of_their_own(market: Market) -> None:
    with_filters(market, market_quantity_share=Decimal("0.001"))
    with pytest.raises(ExchangeRejection, match="Filter failure: MARKET_LOT_SIZE"):
        market.order(Side.BUY, OrderType.MARKET, "1.1")
    market.order(Side.BUY, OrderType.LIMIT, "1.1", price="101")


def test_a_position_may_be_bounded_with_what_is_ordered(market: Market) -> None:
    with_filters(market, max_position=Decimal(103))
    market.order(Side.BUY, OrderType.LIMIT, "2", price="98")
    with pytest.raises(ExchangeRejection, match="Filter failure: MAX_POSITION"):
        market.order(Side.BUY, OrderType.LIMIT, "1.1", price="98")
    market.order(Side.BUY, OrderType.LIMIT, "1", price="98")
