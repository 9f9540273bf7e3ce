"""Whatever accounts do, no money and no quantity appears or vanishes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated_market import SYMBOL, Market, build_market, wanted

from trading.model.order import OrderType, Side, TimeInForce
from trading.simulator import spot_matching
from trading.simulator.orders import (
    ExchangeRejection,
    Execution,
    NewOrder,
    SelfTradeMode,
    SimOrder,
)
from trading.simulator.settlement import Settlement

ASSETS = ("USDT", "ABC")
INITIAL = {"USDT": Decimal(10_000), "ABC": Decimal(100)}
ACCOUNTS = ("alice", "bob")

prices = st.integers(80, 120)
quantities = st.integers(1, 60).map(lambda tenths: Decimal(tenths) / 10)
ticks = st.tuples(st.just("tick"), prices, quantities)
cancels = st.tuples(st.just("cancel"), st.sampled_from(ACCOUNTS), st.integers(1, 30))
amendments = st.tuples(st.just("amend"), st.integers(1, 30), quantities)
orders = st.tuples(
    st.just("order"),
    st.sampled_from(ACCOUNTS),
    st.sampled_from(list(Side)),
    st.sampled_from(list(OrderType)),
    quantities,
    prices,
    prices,
    st.sampled_from(list(TimeInForce)),
    st.sampled_from(list(SelfTradeMode)),
    st.sampled_from([None, None, 100, 900]),  # trailing delta
    st.sampled_from([None, None, "0.5", "1.5"]),  # iceberg
)
lists = st.tuples(
    st.just("list"),
    st.sampled_from(ACCOUNTS),
    st.sampled_from([None, Side.BUY, Side.SELL]),  # of the working order
    st.sampled_from(list(Side)),
    st.sampled_from([OrderType.LIMIT_MAKER, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT]),
    st.sampled_from([OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT]),
    quantities,
    prices,
    prices,
    prices,
    st.booleans(),
    st.booleans(),
)
histories = st.lists(
    st.one_of(ticks, ticks, orders, orders, lists, lists, cancels, amendments), max_size=40
)


def leg(side: Side, order_type: OrderType, quantity: Decimal | None, price: int) -> NewOrder:
    return wanted(
        side,
        order_type,
        None if quantity is None else str(quantity),
        price=str(price) if order_type.has_limit_price else None,
        trigger=str(price) if order_type.has_trigger else None,
    )


def act(market: Market, action: tuple[Any, ...]) -> None:
    match action:
        case ("tick", price, quantity):
            market.tick(float(price), float(quantity))
        case ("cancel", account, order_id):
            market.exchange.cancel(account, SYMBOL, order_id=order_id)
        case ("amend", order_id, quantity):
            order = market.exchange.query("alice", SYMBOL, order_id=order_id)
            market.exchange.amend(order, quantity, None)
        case ("order", account, side, kind, quantity, price, trigger, tif, mode, delta, iceberg):
            market.order(
                side,
                kind,
                str(quantity),
                account=account,
                price=str(price) if kind.has_limit_price else None,
                trigger=str(trigger) if kind.has_trigger else None,
                tif=tif if kind.has_limit_price and kind is not OrderType.LIMIT_MAKER else None,
                mode=mode,
                trailing=delta if kind.has_trigger else None,
                iceberg=iceberg if kind.has_limit_price and tif is TimeInForce.GTC else None,
            )
        case (
            "list",
            account,
            working_side,
            side,
            profit,
            stop,
            quantity,
            entry,
            a,
            b,
            single,
            pays,
        ):
            high, low = max(a, b), min(a, b)
            stop_price, profit_price = (high, low) if side is Side.BUY else (low, high)
            pays = pays and (working_side, side) == (Side.BUY, Side.SELL)
            sold = None if pays else quantity
            pair = [leg(side, profit, sold, profit_price), leg(side, stop, sold, stop_price)]
            if side is Side.BUY:
                pair.reverse()
            working = None
            if working_side is not None:
                working = leg(working_side, OrderType.LIMIT, quantity, entry)
                pair = pair[:1] if single else pair
            market.order_list(*pair, working=working, account=account, pays=pays)


def check_books(market: Market) -> None:
    """Totals are conserved, and balances follow from the executions alone."""
    ledger = market.exchange._ledger
    for asset in ASSETS:
        assert ledger.total(asset) == 2 * INITIAL[asset]
    fees: defaultdict[str, Decimal] = defaultdict(Decimal)
    for account in ACCOUNTS:
        expected = dict(INITIAL)
        for order in market.exchange.all_orders(account, SYMBOL):
            sign = 1 if order.side is Side.BUY else -1
            assert 0 <= order.filled_quantity <= order.quantity
            assert order.remaining >= 0
            assert order.locked >= 0
            assert not (order.status.is_final and order.locked)
            assert order.filled_quantity == sum(e.quantity for e in order.executions)
            for execution in order.executions:
                rate = Decimal("0.001") if execution.is_maker else Decimal("0.002")
                received = execution.quantity if sign > 0 else execution.quantity * execution.price
                assert execution.fee == received * rate
                expected["ABC"] += sign * execution.quantity
                expected["USDT"] -= sign * execution.quantity * execution.price
                expected[execution.fee_asset] -= execution.fee
                fees[execution.fee_asset] += execution.fee
        balances = market.exchange.balances(account)
        open_orders = market.exchange.open_orders(account)
        for order in open_orders:
            assert not order.status.is_final
        for asset, side in (("USDT", Side.BUY), ("ABC", Side.SELL)):
            assert balances[asset].total == expected[asset]
            held = sum((o.locked for o in open_orders if o.side is side), Decimal(0))
            assert balances[asset].locked == held
    assert {asset: ledger.fees[asset] for asset in ASSETS} == {a: fees[a] for a in ASSETS}


def run(history: list[tuple[Any, ...]]) -> Market:
    market = build_market()
    for action in history:
        try:
            act(market, action)
        except ExchangeRejection:
            continue
        finally:
            check_books(market)
    return market


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories)
def test_money_and_quantity_are_conserved(history: list[tuple[Any, ...]]) -> None:
    run(history)


@settings(max_examples=20, deadline=None)
@given(histories)
def test_the_same_history_gives_the_same_events(history: list[tuple[Any, ...]]) -> None:
    assert run(history).events == run(history).events


class FeePaidTwice(Settlement):
    def settle(self, order: SimOrder, *args: Any, **kwargs: Any) -> Execution:
        execution = super().settle(order, *args, **kwargs)
        self._ledger.account(order.account_id).debit(execution.fee_asset, execution.fee)
        return execution


class FeeForgotten(Settlement):
    def settle(self, order: SimOrder, *args: Any, **kwargs: Any) -> Execution:
        execution = super().settle(order, *args, **kwargs)
        self._ledger.fees[execution.fee_asset] -= execution.fee
        return execution


class LockKept(Settlement):
    def release(self, order: SimOrder, amount: Decimal | None = None) -> None:
        order.locked -= order.locked if amount is None else amount


class PairLockedTwice(Settlement):
    def lock_pair(self, orders: Sequence[SimOrder]) -> None:
        for order in orders:
            self._ledger.account(order.account_id).lock("ABC", order.quantity)
        orders[0].locked = orders[0].quantity


@pytest.mark.parametrize(
    ("mutant", "finish"),
    [
        (FeePaidTwice, lambda m: m.order(Side.BUY, OrderType.MARKET, "1")),
        (FeeForgotten, lambda m: m.order(Side.BUY, OrderType.MARKET, "1")),
        (LockKept, lambda m: m.exchange.cancel("alice", SYMBOL, order_id=1)),
        (
            PairLockedTwice,
            lambda m: m.order_list(
                wanted(Side.SELL, OrderType.LIMIT_MAKER, "1", price="110"),
                wanted(Side.SELL, OrderType.STOP_LOSS, "1", trigger="90"),
            ),
        ),
    ],
)
def test_an_engine_that_loses_or_makes_money_is_found_out(
    mutant: type[Settlement],
    finish: Callable[[Market], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spot_matching, "Settlement", mutant)
    market = build_market()
    market.order(Side.BUY, OrderType.LIMIT, "1", price="98")
    finish(market)
    assert not market.events[0].order.status.is_final  # type: ignore[union-attr]
    with pytest.raises(AssertionError):
        check_books(market)
