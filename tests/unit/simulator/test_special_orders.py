"""Self-trade prevention, icebergs, trailing triggers and amendments."""

from __future__ import annotations

from decimal import Decimal

import pytest
from simulated_market import Market

from trading.model.order import OrderStatus, OrderType, Side, TimeInForce
from trading.simulator.orders import (
    ExchangeRejection,
    ExecutionKind,
    OrderEvent,
    SelfTradeMode,
)

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
NEW, PARTLY, FILLED, EXPIRED = (
    OrderStatus.NEW,
    OrderStatus.PARTIALLY_FILLED,
    OrderStatus.FILLED,
    OrderStatus.EXPIRED,
)


def makers(market: Market) -> list[str]:
    return [
        event.order.client_order_id
        for event in market.events
        if isinstance(event, OrderEvent) and event.execution and event.execution.is_maker
    ]


@pytest.mark.parametrize(
    ("mode", "taker", "maker", "prevented"),
    [
        (SelfTradeMode.EXPIRE_MAKER, NEW, EXPIRED, (None, D(3))),
        (SelfTradeMode.EXPIRE_TAKER, EXPIRED, NEW, (D(1), None)),
        (SelfTradeMode.EXPIRE_BOTH, EXPIRED, EXPIRED, (D(1), D(3))),
        (SelfTradeMode.DECREMENT, EXPIRED, NEW, (D(1), D(1))),
        (SelfTradeMode.TRANSFER, EXPIRED, NEW, (D(1), D(1))),
    ],
)
def test_the_takers_mode_decides_what_is_lost_instead_of_a_self_trade(
    market: Market,
    mode: SelfTradeMode,
    taker: OrderStatus,
    maker: OrderStatus,
    prevented: tuple[Decimal | None, Decimal | None],
) -> None:
    resting = market.order(SELL, OrderType.LIMIT, "3", price="100")
    taking = market.order(BUY, OrderType.LIMIT, "1", price="100", mode=mode)
    assert (taking.status, resting.status) == (taker, maker)
    match = taking.prevented_matches[0]
    assert (match.taker_prevented, match.maker_prevented) == prevented
    assert match is resting.prevented_matches[0]
    assert resting.executions == taking.executions == []
    kept = resting.remaining if not resting.status.is_final else D(0)
    assert market.locked("ABC") == kept
    kinds = [e.kind for e in market.events if isinstance(e, OrderEvent)]
    assert ExecutionKind.TRADE_PREVENTION in kinds


def test_a_fok_order_does_not_count_what_self_trade_prevention_takes(market: Market) -> None:
    market.order(SELL, OrderType.LIMIT, "1", price="100")
    fok = market.order(
        BUY,
        OrderType.LIMIT,
        "2",
        price="101",
        tif=TimeInForce.FOK,
        mode=SelfTradeMode.DECREMENT,
    )
    assert (fok.status, fok.filled_quantity) == (EXPIRED, 0)


def test_an_iceberg_shows_a_part_and_queues_again_with_each_next(market: Market) -> None:
    for name, iceberg in (("ice", "1"), ("plain", None)):
        market.order(
            SELL,
            OrderType.LIMIT,
            "2",
            price="100",
            account="bob",
            client_id=name,
            iceberg=iceberg,
        )
    assert market.exchange.depth("ABCUSDT", 1).asks[0].quantity == D(3)
    market.order(BUY, OrderType.MARKET, "3.5")
    assert makers(market) == ["ice", "plain", "ice"]
    ice = market.exchange.query("bob", "ABCUSDT", client_order_id="ice")
    assert (ice.filled_quantity, ice.visible_quantity) == (D("1.5"), D("0.5"))


def test_a_trailing_stop_follows_the_best_price_and_fires_on_the_turn(market: Market) -> None:
    stop = market.order(SELL, OrderType.STOP_LOSS, "1", trailing=1000)
    for price in (105.0, 120.0, 109.0):
        market.tick(price)
        assert stop.waits_for_trigger
    market.tick(108.0)
    assert stop.status is FILLED


def test_a_trailing_order_with_a_trigger_follows_only_from_there_on(market: Market) -> None:
    order = market.order(BUY, OrderType.STOP_LOSS, "1", trigger="110", trailing=500)
    for price in (90.0, 99.0, 110.0, 114.0, 106.0, 111.0):
        market.tick(price)
        assert order.waits_for_trigger, price
    market.tick(112.0)
    assert order.status is FILLED


def test_an_amended_order_is_smaller_and_keeps_its_place(market: Market) -> None:
    first = market.order(BUY, OrderType.LIMIT, "2", price="100", client_id="first", account="bob")
    market.order(BUY, OrderType.LIMIT, "1", price="100", client_id="second", account="bob")
    amendment = market.exchange.amend(first, D("0.5"), "renamed")
    assert (amendment.old_quantity, amendment.new_quantity) == (D(2), D("0.5"))
    assert market.locked("USDT", "bob") == D(150)
    market.order(SELL, OrderType.LIMIT, "1", price="100")
    assert makers(market) == ["renamed", "second"]
    found = market.exchange.query("bob", "ABCUSDT", client_order_id="renamed")
    assert found.status is FILLED


@pytest.mark.parametrize(("quantity", "code"), [("2", -2038), ("3", -2038), ("0.05", -1013)])
def test_an_amendment_that_does_not_shrink_an_order_is_refused(
    market: Market, quantity: str, code: int
) -> None:
    order = market.order(BUY, OrderType.LIMIT, "2", price="98")
    with pytest.raises(ExchangeRejection) as caught:
        market.exchange.amend(order, D(quantity), None)
    assert caught.value.code == code
    assert order.quantity == D(2)


def test_amendments_are_limited(market: Market) -> None:
    order = market.order(BUY, OrderType.LIMIT, "20", price="98")
    for quantity in range(19, 9, -1):
        market.exchange.amend(order, D(quantity), None)
    with pytest.raises(ExchangeRejection, match="MAX_NUM_ORDER_AMENDS"):
        market.exchange.amend(order, D(9), None)


@pytest.mark.parametrize(
    ("options", "filter_name"),
    [
        ({"iceberg": "0.1"}, "ICEBERG_PARTS"),
        ({"iceberg": "0.15"}, "LOT_SIZE"),
    ],
)
def test_icebergs_have_filters_of_their_own(
    market: Market, options: dict[str, str], filter_name: str
) -> None:
    with pytest.raises(ExchangeRejection, match=f"Filter failure: {filter_name}"):
        market.order(BUY, OrderType.LIMIT, "20", price="98", **options)


@pytest.mark.parametrize("delta", [9, 2001])
def test_trailing_distances_are_bounded(market: Market, delta: int) -> None:
    with pytest.raises(ExchangeRejection, match="Filter failure: TRAILING_DELTA"):
        market.order(SELL, OrderType.STOP_LOSS, "1", trailing=delta)
