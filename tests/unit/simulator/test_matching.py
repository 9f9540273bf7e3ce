"""Each order type, partial fills, fees and locks of the matching engine."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pydantic import ValidationError
from simulated_market import SYMBOL, Market, build_market, simple_config

from trading.model.order import OrderStatus, OrderType, Side, TimeInForce
from trading.simulator.config import FeeTier, SimulatorConfig
from trading.simulator.orders import (
    BalanceEvent,
    ExchangeRejection,
    ExecutionKind,
    ExpiryReason,
    OrderEvent,
)

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


def kinds(market: Market) -> list[ExecutionKind]:
    return [event.kind for event in market.events if isinstance(event, OrderEvent)]


def test_a_market_order_walks_the_book_and_slips(market: Market) -> None:
    order = market.order(BUY, OrderType.MARKET, "2.5")
    assert [(e.price, e.quantity) for e in order.executions] == [
        (D(101), D("1.0")),
        (D(102), D("1.0")),
        (D(103), D("0.5")),
    ]
    assert order.status is OrderStatus.FILLED
    assert order.filled_notional == D("254.5")
    assert market.free("USDT") == D(10_000) - D("254.5")


def test_the_fee_is_taken_from_the_received_asset(market: Market) -> None:
    bought = market.order(BUY, OrderType.MARKET, "1")
    assert (bought.executions[0].fee, bought.executions[0].fee_asset) == (D("0.002"), "ABC")
    assert market.free("ABC") == D(101) - D("0.002")
    sold = market.order(SELL, OrderType.MARKET, "1", account="bob")
    assert (sold.executions[0].fee, sold.executions[0].fee_asset) == (D("0.198"), "USDT")
    assert market.free("USDT", "bob") == D(10_099) - D("0.198")


def test_an_account_that_has_traded_enough_pays_less_and_no_other_does() -> None:
    tier = FeeTier(from_notional=D(100), maker_fee_rate=D(0), taker_fee_rate=D("0.0005"))
    market = build_market(simple_config().model_copy(update={"fee_tiers": (tier,)}))
    first, second = (market.order(BUY, OrderType.MARKET, "1") for _ in range(2))
    assert (first.executions[0].fee, second.executions[0].fee) == (D("0.002"), D("0.0005"))
    assert market.exchange.fee_rates("alice") == (D(0), D("0.0005"))
    assert market.exchange.fee_rates("bob") == (D("0.001"), D("0.002"))


def test_fee_tiers_must_rise() -> None:
    tiers = [{"from_notional": n, "maker_fee_rate": 0, "taker_fee_rate": 0} for n in (5, 5)]
    with pytest.raises(ValidationError, match="must rise"):
        SimulatorConfig.model_validate({"fee_tiers": tiers})


def test_liquidity_taken_is_gone_until_the_next_tick(market: Market) -> None:
    market.order(BUY, OrderType.MARKET, "1")
    assert market.order(BUY, OrderType.MARKET, "1").filled_notional == D(102)
    market.tick(100.0)
    assert market.order(BUY, OrderType.MARKET, "1").filled_notional == D(101)


def test_a_market_order_bigger_than_the_book_expires_with_what_it_got(market: Market) -> None:
    order = market.order(BUY, OrderType.MARKET, "9")
    assert order.status is OrderStatus.EXPIRED
    assert order.filled_quantity == D(5)
    assert order.expiry_reason is ExpiryReason.NO_LIQUIDITY


def test_a_market_order_by_quote_amount_spends_at_most_that(market: Market) -> None:
    order = market.order(BUY, OrderType.MARKET, quote="160")
    assert order.quantity == order.filled_quantity == D("1.5")
    assert order.filled_notional == D(101) + D(51)


def test_a_market_order_without_funds_is_rejected_and_changes_nothing(market: Market) -> None:
    before = market.exchange.balances("alice")
    with pytest.raises(ExchangeRejection, match="insufficient balance") as caught:
        market.order(SELL, OrderType.MARKET, "101")
    assert caught.value.code == -2010
    assert market.exchange.balances("alice") == before
    assert market.events == []


def test_a_resting_limit_order_locks_its_money_and_a_cancel_returns_it(market: Market) -> None:
    order = market.order(BUY, OrderType.LIMIT, "2", price="98")
    assert order.status is OrderStatus.NEW
    assert market.locked("USDT") == D(196)
    assert market.free("USDT") == D(10_000 - 196)
    market.exchange.cancel("alice", SYMBOL, order_id=order.order_id)
    assert order.status is OrderStatus.CANCELED
    assert market.locked("USDT") == 0
    assert market.free("USDT") == D(10_000)


def test_a_limit_order_gets_better_prices_and_the_difference_back(market: Market) -> None:
    order = market.order(BUY, OrderType.LIMIT, "1.5", price="103")
    assert order.filled_notional == D(101) + D(51)
    assert order.status is OrderStatus.FILLED
    assert market.locked("USDT") == 0
    assert market.free("USDT") == D(10_000 - 152)


def test_a_crossing_limit_order_takes_what_it_can_and_rests_with_the_remainder(
    market: Market,
) -> None:
    order = market.order(BUY, OrderType.LIMIT, "1.5", price="101")
    assert order.status is OrderStatus.PARTIALLY_FILLED
    assert order.remaining == D("0.5")
    assert market.locked("USDT") == D("50.5")
    assert market.exchange.depth(SYMBOL, 1).bids[0].price == D(101)


def test_a_trade_through_the_price_fills_a_resting_order_as_maker(market: Market) -> None:
    order = market.order(BUY, OrderType.LIMIT, "2", price="98")
    market.tick(97.0, 0.1)
    assert order.status is OrderStatus.FILLED
    assert order.executions[0].is_maker
    assert order.filled_notional == D(196)
    assert order.executions[0].fee == D("0.002")


def test_a_trade_at_the_price_fills_only_what_exceeds_the_queue_ahead(market: Market) -> None:
    order = market.order(BUY, OrderType.LIMIT, "2", price="98")
    assert order.queue_ahead == D("1.1")
    market.tick(98.0, 1.0)
    assert order.filled_quantity == 0
    market.tick(98.0, 0.4)
    assert order.filled_quantity == D("0.3")
    market.tick(98.0, 5.0)
    assert order.status is OrderStatus.FILLED


def test_a_post_only_order_that_would_take_is_rejected(market: Market) -> None:
    with pytest.raises(ExchangeRejection, match="would immediately match and take"):
        market.order(BUY, OrderType.LIMIT_MAKER, "1", price="101")
    assert market.order(BUY, OrderType.LIMIT_MAKER, "1", price="100").status is OrderStatus.NEW


def test_the_rest_of_an_ioc_order_expires(market: Market) -> None:
    order = market.order(BUY, OrderType.LIMIT, "2", price="101", tif=TimeInForce.IOC)
    assert order.status is OrderStatus.EXPIRED
    assert order.filled_quantity == D(1)
    assert order.expiry_reason is ExpiryReason.IOC_REMAINDER
    assert market.locked("USDT") == 0


def test_a_fok_order_fills_wholly_or_not_at_all(market: Market) -> None:
    too_big = market.order(BUY, OrderType.LIMIT, "2.1", price="102", tif=TimeInForce.FOK)
    assert (too_big.status, too_big.filled_quantity) == (OrderStatus.EXPIRED, D(0))
    assert too_big.expiry_reason is ExpiryReason.FOK_UNFILLED
    fits = market.order(BUY, OrderType.LIMIT, "2", price="102", tif=TimeInForce.FOK)
    assert fits.status is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("order_type", "side", "trigger", "still_waits_at", "fires_at"),
    [
        (OrderType.STOP_LOSS, SELL, "90", 91.0, 90.0),
        (OrderType.STOP_LOSS, BUY, "110", 109.0, 110.0),
        (OrderType.TAKE_PROFIT, SELL, "110", 109.0, 111.0),
        (OrderType.TAKE_PROFIT, BUY, "90", 91.0, 89.0),
    ],
)
def test_a_trigger_order_waits_for_its_price_and_then_takes(
    market: Market,
    order_type: OrderType,
    side: Side,
    trigger: str,
    still_waits_at: float,
    fires_at: float,
) -> None:
    order = market.order(side, order_type, "1", trigger=trigger)
    market.tick(still_waits_at)
    assert order.waits_for_trigger
    market.tick(fires_at)
    assert order.status is OrderStatus.FILLED
    assert not order.executions[0].is_maker


@pytest.mark.parametrize(
    ("order_type", "side", "trigger"),
    [
        (OrderType.STOP_LOSS, SELL, "100"),
        (OrderType.STOP_LOSS, BUY, "99"),
        (OrderType.TAKE_PROFIT, SELL, "99"),
        (OrderType.TAKE_PROFIT, BUY, "101"),
    ],
)
def test_a_trigger_on_the_wrong_side_of_the_market_is_rejected(
    market: Market, order_type: OrderType, side: Side, trigger: str
) -> None:
    with pytest.raises(ExchangeRejection, match="Order would trigger immediately"):
        market.order(side, order_type, "1", trigger=trigger)


def test_a_stop_sells_below_its_trigger_when_the_market_gaps(market: Market) -> None:
    order = market.order(SELL, OrderType.STOP_LOSS, "1", trigger="90")
    market.tick(80.0)
    assert order.filled_notional == D(79)


def test_a_stop_limit_that_is_jumped_over_rests_at_its_limit(market: Market) -> None:
    order = market.order(SELL, OrderType.STOP_LOSS_LIMIT, "1", trigger="90", price="88")
    market.tick(80.0)
    assert (order.status, order.working_ms) == (OrderStatus.NEW, market.clock.now_ms())
    market.tick(89.0)
    assert order.status is OrderStatus.FILLED
    assert order.filled_notional == D(88)


def test_a_triggered_buy_spends_no_more_than_there_is(market: Market) -> None:
    order = market.order(BUY, OrderType.STOP_LOSS, "3", trigger="110")
    market.order(BUY, OrderType.LIMIT, "98.6", price="98")  # 7.2 + the stop's 330 remain
    market.tick(115.0)
    assert order.status is OrderStatus.EXPIRED
    assert order.filled_quantity == D("2.8")
    assert market.free("USDT") == D("337.2") - order.filled_notional
    assert market.locked("USDT") == D("9662.8")


def test_own_orders_never_trade_with_each_other(market: Market) -> None:
    resting = market.order(SELL, OrderType.LIMIT, "1", price="101")
    taker = market.order(BUY, OrderType.LIMIT, "2", price="101")
    assert resting.status is OrderStatus.EXPIRED
    assert resting.expiry_reason is ExpiryReason.SELF_TRADE
    assert taker.filled_quantity == D(1)
    assert ExecutionKind.TRADE_PREVENTION in kinds(market)
    assert market.locked("ABC") == 0


def test_two_accounts_trade_at_the_makers_price(market: Market) -> None:
    maker = market.order(SELL, OrderType.LIMIT, "1", price="100", account="bob")
    taker = market.order(BUY, OrderType.LIMIT, "1", price="105")
    assert maker.status is taker.status is OrderStatus.FILLED
    assert maker.filled_notional == taker.filled_notional == D(100)
    assert maker.executions[0].trade_id == taker.executions[0].trade_id
    assert (maker.executions[0].fee, taker.executions[0].fee) == (D("0.1"), D("0.002"))


def test_events_come_as_new_then_trades_each_with_balances(market: Market) -> None:
    market.order(BUY, OrderType.MARKET, "1.5", client_id="m")
    assert [type(event) for event in market.events] == [OrderEvent, BalanceEvent] * 3
    assert kinds(market) == [ExecutionKind.NEW, ExecutionKind.TRADE, ExecutionKind.TRADE]
    statuses = [e.order.status for e in market.events if isinstance(e, OrderEvent)]
    assert statuses == [OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED]


def test_a_listener_can_query_the_order_of_the_event_it_gets(market: Market) -> None:
    seen: list[OrderStatus] = []

    def look(event: object) -> None:
        if isinstance(event, OrderEvent):
            found = market.exchange.query("alice", SYMBOL, client_order_id="m")
            seen.append(found.status)

    market.exchange.add_user_listener(look)
    market.order(BUY, OrderType.MARKET, "1", client_id="m")
    assert seen == [OrderStatus.NEW, OrderStatus.FILLED]


def test_a_client_id_is_unique_among_open_orders_only(market: Market) -> None:
    first = market.order(BUY, OrderType.LIMIT, "1", price="98", client_id="same")
    with pytest.raises(ExchangeRejection, match="Duplicate order sent"):
        market.order(BUY, OrderType.LIMIT, "1", price="97", client_id="same")
    market.exchange.cancel("alice", SYMBOL, client_order_id="same")
    second = market.order(BUY, OrderType.LIMIT, "1", price="97", client_id="same")
    assert market.exchange.query("alice", SYMBOL, client_order_id="same") is second
    assert market.exchange.query("alice", SYMBOL, order_id=first.order_id) is first


def test_a_rejected_order_is_not_known_afterwards(market: Market) -> None:
    with pytest.raises(ExchangeRejection):
        market.order(BUY, OrderType.LIMIT_MAKER, "1", price="102", client_id="r")
    with pytest.raises(ExchangeRejection, match="Order does not exist") as caught:
        market.exchange.query("alice", SYMBOL, client_order_id="r")
    assert caught.value.code == -2013


def test_a_done_or_foreign_order_cannot_be_cancelled(market: Market) -> None:
    done = market.order(BUY, OrderType.MARKET, "1")
    open_order = market.order(BUY, OrderType.LIMIT, "1", price="98")
    for account, order in (("alice", done), ("bob", open_order)):
        with pytest.raises(ExchangeRejection, match="Unknown order sent") as caught:
            market.exchange.cancel(account, SYMBOL, order_id=order.order_id)
        assert caught.value.code == -2011


def test_cancel_all_cancels_resting_and_waiting_orders(market: Market) -> None:
    market.order(BUY, OrderType.LIMIT, "1", price="98")
    market.order(SELL, OrderType.STOP_LOSS, "1", trigger="90")
    canceled = market.exchange.cancel_all("alice", SYMBOL)
    assert {order.status for order in canceled} == {OrderStatus.CANCELED}
    assert market.exchange.open_orders("alice") == ()
    assert (market.locked("USDT"), market.locked("ABC")) == (0, 0)


def test_the_report_of_an_order_carries_all_its_fills(market: Market) -> None:
    report = market.order(BUY, OrderType.MARKET, "1.5", client_id="m").to_report()
    assert report.status is OrderStatus.FILLED
    assert report.average_price == D(152) / D("1.5")
    assert sum(fill.quantity for fill in report.fills) == report.filled_quantity
