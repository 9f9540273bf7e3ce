"""Whatever accounts do, no money and no quantity appears or vanishes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated_market import SYMBOL, Market, build_market

from trading.model.order import OrderType, Side, TimeInForce
from trading.simulator import matching
from trading.simulator.orders import ExchangeRejection, Execution, SimOrder
from trading.simulator.settlement import Settlement

ASSETS = ("USDT", "ABC")
INITIAL = {"USDT": Decimal(10_000), "ABC": Decimal(100)}
ACCOUNTS = ("alice", "bob")

prices = st.integers(80, 120)
quantities = st.integers(1, 60).map(lambda tenths: Decimal(tenths) / 10)
ticks = st.tuples(st.just("tick"), prices, quantities)
cancels = st.tuples(st.just("cancel"), st.sampled_from(ACCOUNTS), st.integers(1, 30))
orders = st.tuples(
    st.just("order"),
    st.sampled_from(ACCOUNTS),
    st.sampled_from(list(Side)),
    st.sampled_from(list(OrderType)),
    quantities,
    prices,
    prices,
    st.sampled_from(list(TimeInForce)),
)
histories = st.lists(st.one_of(ticks, orders, orders, cancels), max_size=40)


def act(market: Market, action: tuple[Any, ...]) -> None:
    match action:
        case ("tick", price, quantity):
            market.tick(float(price), float(quantity))
        case ("cancel", account, order_id):
            market.exchange.cancel(account, SYMBOL, order_id=order_id)
        case ("order", account, side, order_type, quantity, price, trigger, tif):
            needs_tif = order_type.has_limit_price and order_type is not OrderType.LIMIT_MAKER
            market.order(
                side,
                order_type,
                str(quantity),
                account=account,
                price=str(price) if order_type.has_limit_price else None,
                trigger=str(trigger) if order_type.has_trigger else None,
                tif=tif if needs_tif else None,
            )


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
    def release(self, order: SimOrder) -> None:
        order.locked = Decimal(0)


@pytest.mark.parametrize(
    ("mutant", "finish"),
    [
        (FeePaidTwice, lambda m: m.order(Side.BUY, OrderType.MARKET, "1")),
        (FeeForgotten, lambda m: m.order(Side.BUY, OrderType.MARKET, "1")),
        (LockKept, lambda m: m.exchange.cancel("alice", SYMBOL, order_id=1)),
    ],
)
def test_an_engine_that_loses_or_makes_money_is_found_out(
    mutant: type[Settlement],
    finish: Callable[[Market], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matching, "Settlement", mutant)
    market = build_market()
    market.order(Side.BUY, OrderType.LIMIT, "1", price="98")
    finish(market)
    assert not market.events[0].order.status.is_final  # type: ignore[union-attr]
    with pytest.raises(AssertionError):
        check_books(market)
