"""Futures orders: positions, closing orders, hedge mode, conditional orders."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from futures_market import LONG, SHORT, SYMBOL, build_bench

from trading.model.order import OrderStatus, Side
from trading.simulator.futures.account_settings import AccountSettings
from trading.simulator.futures.matching import FuturesEngine
from trading.simulator.futures.orders import (
    AlgoStatus,
    ConditionalType,
    FuturesTimeInForce,
    PriceMatch,
    WorkingPrice,
)
from trading.simulator.orders import (
    ExchangeRejection,
    ExecutionKind,
    ExpiryReason,
    OrderEvent,
    SelfTradeMode,
    SimOrder,
)

BUY, SELL = Side.BUY, Side.SELL
TAKER, MAKER = Decimal("0.0005"), Decimal("0.0002")


def refused(act: Callable[[], object]) -> int:
    with pytest.raises(ExchangeRejection) as refusal:
        act()
    return refusal.value.code


def test_a_taker_walks_the_book_and_pays_the_takers_fee() -> None:
    bench = build_bench()
    order = bench.order(BUY, "15")
    assert [each.quantity for each in order.executions] == [Decimal("9.8"), Decimal("5.2")]
    assert order.executions[0].price < order.executions[1].price
    assert bench.wallet() == 10_000 - sum(e.fee for e in order.executions)
    assert order.executions[0].fee == order.executions[0].price * Decimal("9.8") * TAKER
    assert bench.position().amount == 15


def test_an_order_that_closes_more_than_there_is_turns_the_position() -> None:
    bench = build_bench()
    bought = bench.order(BUY, "5")
    sold = bench.order(SELL, "8")
    assert bench.position().amount == -3
    assert bench.position().entry_price == sold.average_price
    realized = 5 * (sold.average_price - bought.average_price)
    fees = sum(e.fee for order in (bought, sold) for e in order.executions)
    assert bench.wallet() == 10_000 + realized - fees


def test_a_reduce_only_order_never_opens() -> None:
    bench = build_bench()
    assert refused(lambda: bench.order(SELL, "1", reduce_only=True)) == -2022
    bench.order(BUY, "5")
    assert refused(lambda: bench.order(BUY, "1", reduce_only=True)) == -2022
    order = bench.order(SELL, "9", reduce_only=True)
    assert order.filled_quantity == 5
    assert (order.status, order.expiry_reason) == (
        OrderStatus.EXPIRED,
        ExpiryReason.NOTHING_TO_CLOSE,
    )
    assert bench.position().amount == 0


def check_that_resting_closers_do_not_outlive_the_position() -> None:
    bench = build_bench()
    bench.order(BUY, "5")
    resting = [bench.order(SELL, "5", price, reduce_only=True) for price in ("102", "103")]
    bench.tick(102.5, quantity=1000)
    assert [order.status for order in resting] == [OrderStatus.FILLED, OrderStatus.EXPIRED]
    bench.tick(104.0, quantity=1000)
    assert bench.position().amount == 0


def test_resting_closing_orders_do_not_outlive_the_position() -> None:
    check_that_resting_closers_do_not_outlive_the_position()


def test_an_engine_that_lets_closing_orders_open_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def everything(_engine: FuturesEngine, _order: SimOrder, quantity: Decimal) -> Decimal:
        return quantity

    monkeypatch.setattr(FuturesEngine, "_allowed", everything)
    monkeypatch.setattr(FuturesEngine, "knock_out", lambda *_args: None)
    with pytest.raises(AssertionError):
        check_that_resting_closers_do_not_outlive_the_position()


def test_in_hedge_mode_long_and_short_stand_side_by_side() -> None:
    bench = build_bench()
    AccountSettings(bench.exchange).hedge_mode("alice", hedged=True)
    assert refused(lambda: bench.order(BUY, "1")) == -4061
    bench.order(BUY, "5", position_side=LONG)
    bench.order(SELL, "3", position_side=SHORT)
    assert (bench.position(side=LONG).amount, bench.position(side=SHORT).amount) == (5, -3)
    assert refused(lambda: bench.order(SELL, "1", position_side=LONG, reduce_only=True)) == -1106
    closed = bench.order(SELL, "9", position_side=LONG)
    assert (closed.filled_quantity, bench.position(side=LONG).amount) == (5, 0)
    assert bench.position(side=SHORT).amount == -3
    assert refused(lambda: bench.order(SELL, "1", position_side=LONG)) == -2022


def test_the_position_mode_cannot_change_under_a_position_or_an_order() -> None:
    bench = build_bench()
    settings = AccountSettings(bench.exchange)
    assert refused(lambda: settings.hedge_mode("alice", hedged=False)) == -4059
    order = bench.order(BUY, "1", "96")
    assert refused(lambda: settings.hedge_mode("alice", hedged=True)) == -4067
    bench.exchange.cancel(order)
    bench.order(BUY, "1")
    assert refused(lambda: settings.hedge_mode("alice", hedged=True)) == -4068


def test_post_only_and_fill_or_kill_are_refused_rather_than_half_done() -> None:
    bench = build_bench()
    assert refused(lambda: bench.order(BUY, "1", "102", tif=FuturesTimeInForce.GTX)) == -5022
    assert refused(lambda: bench.order(BUY, "15", "101.1", tif=FuturesTimeInForce.FOK)) == -5021
    assert bench.exchange.all_orders("alice") == ()
    resting = bench.order(BUY, "1", "99.5", tif=FuturesTimeInForce.GTX)
    assert resting.status is OrderStatus.NEW
    bench.tick(99.0, quantity=1000)
    assert resting.executions[0].fee == resting.executions[0].price * MAKER


def test_a_price_match_takes_its_price_from_the_book() -> None:
    bench = build_bench()
    bids, asks = bench.exchange.depth(SYMBOL).bids, bench.exchange.depth(SYMBOL).asks
    queued = bench.order(BUY, "1", "1", price_match=PriceMatch.QUEUE)
    assert queued.limit_price == bids[0].price
    taken = bench.order(SELL, "2", "1", price_match=PriceMatch.QUEUE_5)
    assert taken.limit_price == asks[4].price
    taken = bench.order(BUY, "1", "1", price_match=PriceMatch.OPPONENT)
    assert (taken.limit_price, taken.status) == (asks[0].price, OrderStatus.FILLED)


def test_self_trade_prevention_follows_the_takers_mode() -> None:
    bench = build_bench()
    maker = bench.order(BUY, "2", "99.8")
    taker = bench.order(SELL, "2", "99.8", self_trade_mode=SelfTradeMode.EXPIRE_TAKER)
    assert (maker.status, taker.status) == (OrderStatus.NEW, OrderStatus.EXPIRED)
    bench.order(SELL, "2", "99.8", self_trade_mode=SelfTradeMode.EXPIRE_BOTH)
    assert maker.expiry_reason is ExpiryReason.SELF_TRADE
    assert bench.position().amount == 0


def test_a_modified_order_keeps_its_place_only_when_it_just_shrinks() -> None:
    bench = build_bench()
    first = bench.order(SELL, "2", "100.5", account="bob")
    second = bench.order(SELL, "2", "100.5", account="bob")
    bench.exchange.modify(first, Decimal("100.5"), Decimal(1), PriceMatch.NONE, None)
    bench.order(BUY, "1")
    assert (first.status, second.filled_quantity) == (OrderStatus.FILLED, 0)
    third = bench.order(SELL, "2", "100.5", account="bob")
    bench.exchange.modify(second, Decimal("100.6"), Decimal(2), PriceMatch.NONE, None)
    bench.exchange.modify(second, Decimal("100.5"), Decimal(2), PriceMatch.NONE, None)
    bench.order(BUY, "2")
    assert (second.filled_quantity, third.status) == (0, OrderStatus.FILLED)
    unchanged = (second.limit_price, second.quantity, PriceMatch.NONE, None)
    assert refused(lambda: bench.exchange.modify(second, *unchanged)) == -5027
    kinds = [e.kind for e in bench.events if isinstance(e, OrderEvent) and e.order is not first]
    assert kinds.count(ExecutionKind.REPLACED) == 3


def test_an_order_good_till_a_date_expires_at_it() -> None:
    bench = build_bench()
    order = bench.order(BUY, "1", "98", tif=FuturesTimeInForce.GTD, good_till_ms=5_000)
    bench.exchange.expire(4_999)
    assert order.status is OrderStatus.NEW
    bench.exchange.expire(5_000)
    assert order.expiry_reason is ExpiryReason.DATE_REACHED


@pytest.mark.parametrize(
    ("side", "kind", "trigger", "below", "reached"),
    [
        (SELL, ConditionalType.STOP_MARKET, "95", 95.2, 94.8),
        (SELL, ConditionalType.TAKE_PROFIT_MARKET, "105", 104.0, 105.5),
        (BUY, ConditionalType.STOP_MARKET, "105", 104.0, 105.5),
        (BUY, ConditionalType.TAKE_PROFIT_MARKET, "95", 95.2, 94.8),
    ],
)
def test_a_conditional_order_becomes_real_when_its_price_comes(
    side: Side, kind: ConditionalType, trigger: str, below: float, reached: float
) -> None:
    bench = build_bench()
    algo = bench.algo(side, kind, quantity=Decimal(1), trigger_price=Decimal(trigger))
    assert bench.exchange.open_orders("alice") == ()
    bench.tick(below)
    assert algo.status is AlgoStatus.NEW
    bench.tick(reached)
    assert algo.status is AlgoStatus.FINISHED
    assert algo.order is not None
    assert (algo.order.original_type, algo.order.filled_quantity) == (kind.value, 1)


def test_a_trigger_by_mark_price_ignores_the_last_price() -> None:
    bench = build_bench()
    options = {"quantity": Decimal(1), "trigger_price": Decimal(99)}
    by_last = bench.algo(SELL, ConditionalType.STOP_MARKET, **options)
    by_mark = bench.algo(
        SELL, ConditionalType.STOP_MARKET, working_price=WorkingPrice.MARK_PRICE, **options
    )
    bench.exchange.prices[SYMBOL].push(-0.02)  # the contract alone falls
    bench.tick(100.0)
    assert (by_last.status, by_mark.status) == (AlgoStatus.FINISHED, AlgoStatus.NEW)


def test_a_trailing_stop_follows_the_price_and_turns_with_it() -> None:
    bench = build_bench()
    algo = bench.algo(
        SELL,
        ConditionalType.TRAILING_STOP_MARKET,
        quantity=Decimal(1),
        callback_rate=Decimal(2),
        activate_price=Decimal(103),
    )
    for price in (101.0, 97.0, 103.5, 108.0, 106.5):
        bench.tick(price)
        assert algo.status is AlgoStatus.NEW
    bench.tick(105.0)
    assert algo.status is AlgoStatus.FINISHED


def test_a_conditional_order_that_closes_the_position_expires_with_it() -> None:
    bench = build_bench()
    bench.order(BUY, "5")
    algo = bench.algo(
        SELL, ConditionalType.STOP_MARKET, close_position=True, trigger_price=Decimal(95)
    )
    bench.order(SELL, "5")
    assert algo.status is AlgoStatus.EXPIRED


def test_a_trigger_that_cannot_be_paid_is_rejected_with_its_reason() -> None:
    bench = build_bench()
    algo = bench.algo(
        BUY, ConditionalType.STOP_MARKET, quantity=Decimal(9_000), trigger_price=Decimal(101)
    )
    bench.tick(102.0)
    assert (algo.status, algo.reject_reason) == (
        AlgoStatus.REJECTED,
        "Quantity greater than max quantity.",
    )


def test_a_trigger_on_the_wrong_side_is_refused() -> None:
    bench = build_bench()
    options = {"quantity": Decimal(1), "trigger_price": Decimal(101)}
    assert refused(lambda: bench.algo(SELL, ConditionalType.STOP_MARKET, **options)) == -2021


def test_more_than_the_margin_carries_is_refused() -> None:
    bench = build_bench()
    assert refused(lambda: bench.order(BUY, "2100", "99")) == -2019
    first = bench.order(BUY, "1900", "99")  # 9,405 of margin at 20 times
    assert refused(lambda: bench.order(BUY, "300", "99")) == -2019
    bench.order(SELL, "1800", "101.5")  # the other side needs no margin of its own
    bench.exchange.cancel(first)
    assert refused(lambda: bench.order(SELL, "300", "101.5")) == -2019


def test_a_position_past_the_bracket_of_its_leverage_is_refused() -> None:
    bench = build_bench()
    AccountSettings(bench.exchange).leverage("alice", SYMBOL, 75)
    assert refused(lambda: bench.order(BUY, "101", "99.9")) == -2027
    bench.order(BUY, "99", "99.9")
