"""OCO, OTO and OTOCO lists: who gives way to whom, and whose money is held."""

from __future__ import annotations

from decimal import Decimal

import pytest
from simulated_market import SYMBOL, Market, wanted

from trading.model.order import OrderStatus, OrderType, Side, TimeInForce
from trading.simulator.order_lists import OrderLists
from trading.simulator.orders import (
    ExchangeRejection,
    ExpiryReason,
    ListEvent,
    ListProgress,
    NewOrder,
    SimOrder,
)

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
TAKE = wanted(SELL, OrderType.LIMIT_MAKER, "1", price="110", client_id="take")
STOP = wanted(SELL, OrderType.STOP_LOSS, "1", trigger="90", client_id="stop")


def progress(market: Market) -> list[ListProgress]:
    return [event.progress for event in market.events if isinstance(event, ListEvent)]


def test_a_pair_locks_its_money_once(market: Market) -> None:
    market.order_list(TAKE, STOP)
    assert market.locked("ABC") == D(1)
    market.exchange.cancel_all("alice", SYMBOL)
    assert (market.locked("ABC"), market.free("ABC")) == (0, D(100))


def test_a_buying_pair_locks_for_its_dearer_order(market: Market) -> None:
    market.order_list(
        wanted(BUY, OrderType.STOP_LOSS_LIMIT, "2", trigger="105", price="107"),
        wanted(BUY, OrderType.LIMIT_MAKER, "2", price="95"),
    )
    assert market.locked("USDT") == D(214)
    market.tick(94.0)
    assert market.locked("USDT") == 0
    assert market.free("USDT") == D(10_000 - 190)


def test_a_fill_of_one_order_expires_the_other(market: Market) -> None:
    pair = market.order_list(TAKE, STOP)
    take, stop = pair.orders
    market.tick(111.0)
    assert take.status is OrderStatus.FILLED
    assert (stop.status, stop.expiry_reason) == (OrderStatus.EXPIRED, ExpiryReason.SIBLING_ACTED)
    assert pair.done
    assert progress(market) == [ListProgress.STARTED, ListProgress.DONE]


def test_a_partial_fill_expires_the_other_too(market: Market) -> None:
    take, stop = market.order_list(TAKE, STOP).orders
    market.tick(110.0, 1.3)  # 1.0 were queued ahead
    assert take.status is OrderStatus.PARTIALLY_FILLED
    assert stop.status is OrderStatus.EXPIRED
    assert market.locked("ABC") == D("0.7")


def test_a_triggered_stop_takes_the_pairs_money_along(market: Market) -> None:
    take, stop = market.order_list(TAKE, STOP).orders
    market.tick(89.0)
    assert (take.status, stop.status) == (OrderStatus.EXPIRED, OrderStatus.FILLED)
    assert (market.locked("ABC"), market.free("ABC")) == (0, D(99))


def test_cancelling_one_order_cancels_the_list(market: Market) -> None:
    pair = market.order_list(TAKE, STOP)
    market.exchange.cancel("alice", SYMBOL, client_order_id="stop")
    assert [order.status for order in pair.orders] == [OrderStatus.CANCELED] * 2
    assert pair.done


@pytest.mark.parametrize(
    ("above", "below", "complaint"),
    [
        (STOP, TAKE, "stop loss order in a sell OCO must be below"),
        (wanted(SELL, OrderType.LIMIT_MAKER, "1", price="99"), STOP, "relationship of the prices"),
        (TAKE, wanted(SELL, OrderType.TAKE_PROFIT, "1", trigger="105"), "take profit order"),
        (TAKE, wanted(SELL, OrderType.LIMIT, "1", price="95"), "not supported in OCO"),
    ],
)
def test_a_pair_on_the_wrong_side_of_the_market_is_refused_whole(
    market: Market, above: NewOrder, below: NewOrder, complaint: str
) -> None:
    with pytest.raises(ExchangeRejection, match=complaint):
        market.order_list(above, below)
    assert market.exchange.open_orders("alice") == ()
    assert market.exchange.order_lists("alice") == ()
    assert market.locked("ABC") == 0


def test_a_pair_without_funds_is_refused_whole(market: Market) -> None:
    dear = wanted(SELL, OrderType.LIMIT_MAKER, "101", price="110")
    with pytest.raises(ExchangeRejection, match="insufficient balance"):
        market.order_list(dear, wanted(SELL, OrderType.STOP_LOSS, "101", trigger="90"))
    assert market.exchange.open_orders("alice") == ()


def test_what_follows_a_working_order_waits_for_its_last_fill(market: Market) -> None:
    entry = wanted(BUY, OrderType.LIMIT, "1", price="98")
    working, pending = market.order_list(STOP, working=entry).orders
    assert pending.is_pending
    assert market.locked("ABC") == 0
    market.tick(98.0, 1.5)  # 1.1 were queued ahead
    assert working.status is OrderStatus.PARTIALLY_FILLED
    assert pending.is_pending
    market.tick(97.0)
    assert working.status is OrderStatus.FILLED
    assert not pending.is_pending
    assert market.locked("ABC") == D(1)
    market.tick(89.0)
    assert pending.status is OrderStatus.FILLED


def test_a_pair_follows_a_working_order_and_keeps_its_rules(market: Market) -> None:
    entry = wanted(BUY, OrderType.LIMIT, "1", price="102")
    order_list = market.order_list(TAKE, STOP, working=entry)
    working, take, stop = order_list.orders
    assert working.status is OrderStatus.FILLED
    assert [take.is_pending, stop.is_pending] == [False, False]
    market.tick(112.0)
    assert (take.status, stop.status) == (OrderStatus.FILLED, OrderStatus.EXPIRED)
    assert order_list.done


def test_what_was_pending_expires_with_an_unfilled_working_order(market: Market) -> None:
    entry = wanted(BUY, OrderType.LIMIT, "1", price="98", tif=TimeInForce.IOC)
    working, pending = market.order_list(STOP, working=entry).orders
    assert working.status is pending.status is OrderStatus.EXPIRED
    assert pending.expiry_reason is ExpiryReason.WORKING_ORDER_GONE


def test_a_pending_order_that_cannot_be_placed_later_expires(market: Market) -> None:
    entry = wanted(BUY, OrderType.LIMIT, "1", price="102")
    too_high = wanted(SELL, OrderType.STOP_LOSS, "1", trigger="101")
    _working, pending = market.order_list(too_high, working=entry).orders
    assert pending.status is OrderStatus.EXPIRED
    assert pending.expiry_reason is ExpiryReason.REFUSED_LATER


def test_open_lists_are_limited(market: Market) -> None:
    filters = market.exchange.config.filters.model_copy(update={"max_order_lists": 1})
    market.exchange.config = market.exchange.config.model_copy(update={"filters": filters})
    market.order_list(TAKE, STOP)
    with pytest.raises(ExchangeRejection, match="MAX_NUM_ORDER_LISTS"):
        market.order_list(
            wanted(SELL, OrderType.LIMIT_MAKER, "1", price="110"),
            wanted(SELL, OrderType.STOP_LOSS, "1", trigger="90"),
        )


def test_lists_whose_orders_ignore_each_other_are_found_out(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(_lists: OrderLists, _order: SimOrder, _now_ms: int) -> None:
        return

    monkeypatch.setattr(OrderLists, "before_it_acts", nothing)
    _take, stop = market.order_list(TAKE, STOP).orders
    market.tick(110.0, 1.3)  # 1.0 were queued ahead
    with pytest.raises(AssertionError):
        assert stop.status is OrderStatus.EXPIRED
