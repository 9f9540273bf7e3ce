"""OPO and OPOCO lists: what the working order buys is set aside, and is what the others sell."""

from __future__ import annotations

from decimal import Decimal

import pytest
from simulated_market import SYMBOL, build_market, wanted

from trading.model.order import OrderStatus, OrderType, Side
from trading.simulator.orders import ExpiryReason
from trading.simulator.settlement import Settlement

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
ENTRY = wanted(BUY, OrderType.LIMIT, "2", price="98")
TAKE = wanted(SELL, OrderType.LIMIT_MAKER, price="110")
STOP = wanted(SELL, OrderType.STOP_LOSS, trigger="90")


def test_what_is_bought_is_set_aside_and_then_sold() -> None:
    market = build_market()
    working, sale = market.order_list(TAKE, working=ENTRY, pays=True).orders
    assert (sale.quantity, market.locked("ABC")) == (0, 0)
    market.tick(98.0, 2.4)  # 1.1 were queued ahead
    assert working.status is OrderStatus.PARTIALLY_FILLED
    assert market.locked("ABC") == D("1.3")
    market.tick(97.0)
    assert (sale.quantity, sale.is_pending, market.locked("ABC")) == (D(2), False, D(2))
    assert market.free("ABC") == D(100) - D("0.002")  # the fee came out of what was free
    market.tick(111.0)
    assert (sale.status, market.locked("ABC")) == (OrderStatus.FILLED, 0)


def test_without_anything_else_the_fee_comes_out_of_what_was_bought() -> None:
    market = build_market()
    market.exchange.open_account("carol", {"USDT": D(1000)})
    _working, sale = market.order_list(TAKE, working=ENTRY, pays=True, account="carol").orders
    market.tick(97.0)
    assert sale.quantity == D("1.9")  # 1.998, in whole steps
    assert market.locked("ABC", "carol") == D("1.9")
    assert market.free("ABC", "carol") == D("0.098")


def test_a_pair_is_paid_for_once() -> None:
    market = build_market()
    _working, take, stop = market.order_list(TAKE, STOP, working=ENTRY, pays=True).orders
    market.tick(97.0)
    assert (take.quantity, stop.quantity, market.locked("ABC")) == (D(2), D(2), D(2))
    market.tick(89.0)
    assert (take.status, stop.status) == (OrderStatus.EXPIRED, OrderStatus.FILLED)
    assert market.locked("ABC") == 0


def test_a_list_that_is_cancelled_half_way_gives_back_what_was_set_aside() -> None:
    market = build_market()
    _working, sale = market.order_list(TAKE, working=ENTRY, pays=True).orders
    market.tick(98.0, 2.4)
    market.exchange.cancel("alice", SYMBOL, order_id=sale.order_id)
    assert market.locked("ABC") == 0
    assert market.exchange.open_orders("alice") == ()


def test_a_sale_that_is_too_small_for_the_filters_expires_and_gives_back() -> None:
    market = build_market()
    market.exchange.open_account("carol", {"USDT": D(1000)})
    entry = wanted(BUY, OrderType.LIMIT, "0.1", price="98")
    _working, sale = market.order_list(TAKE, working=entry, pays=True, account="carol").orders
    market.tick(97.0)
    assert (sale.status, sale.expiry_reason) == (OrderStatus.EXPIRED, ExpiryReason.REFUSED_LATER)
    assert (market.locked("ABC", "carol"), market.free("ABC", "carol")) == (0, D("0.0999"))


def test_an_engine_that_sets_nothing_aside_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settlement, "set_aside", lambda *_: None)
    for behaviour in (
        test_what_is_bought_is_set_aside_and_then_sold,
        test_a_pair_is_paid_for_once,
    ):
        with pytest.raises(AssertionError):
            behaviour()
