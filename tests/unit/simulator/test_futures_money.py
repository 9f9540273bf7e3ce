"""Margin, funding, liquidation; and whatever happens, no money and no quantity appears."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from futures_market import BOTH, SYMBOL, FuturesBench, build_bench
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trading.model.order import OrderStatus, Side
from trading.simulator.futures import clearing
from trading.simulator.futures.account_settings import ADD, REDUCE, AccountSettings
from trading.simulator.futures.accounts import FuturesPosition
from trading.simulator.futures.events import AccountChange, MarginCallEvent
from trading.simulator.futures.liquidation import Liquidator
from trading.simulator.futures.orders import ConditionalType, FuturesExecution, FuturesTimeInForce
from trading.simulator.futures.settlement import FuturesSettlement
from trading.simulator.orders import ExchangeRejection, ExpiryReason, SimOrder

BUY, SELL = Side.BUY, Side.SELL
HOUR_MS = 3_600_000
INITIAL = 20_000

prices = st.integers(800, 1200).map(lambda tenths: tenths / 10)
quantities = st.integers(1, 900).map(lambda tenths: str(Decimal(tenths) / 10))
names = st.sampled_from(("alice", "bob"))
actions = st.one_of(
    st.tuples(st.just("tick"), prices, st.sampled_from((1_000, 60_000, HOUR_MS))),
    st.tuples(st.just("tick"), prices, st.just(1_000)),
    st.tuples(
        st.just("order"),
        names,
        st.sampled_from(list(Side)),
        quantities,
        st.none() | st.integers(9_600, 10_400).map(lambda cents: str(Decimal(cents) / 100)),
        st.sampled_from(list(FuturesTimeInForce)),
        st.booleans(),
    ),
    st.tuples(
        st.just("algo"),
        st.sampled_from(list(Side)),
        st.sampled_from(list(ConditionalType)),
        quantities,
        st.integers(900, 1100).map(lambda tenths: Decimal(tenths) / 10),
        st.booleans(),
    ),
    st.tuples(st.just("cancel"), names),
    st.tuples(st.just("leverage"), names, st.integers(1, 75)),
    st.tuples(st.just("type"), names, st.booleans()),
    st.tuples(st.just("margin"), names, st.integers(1, 3_000), st.sampled_from((ADD, REDUCE))),
)
histories = st.lists(actions, max_size=25)


def act(bench: FuturesBench, action: tuple[Any, ...]) -> None:
    change = AccountSettings(bench.exchange)
    match action:
        case ("tick", price, after_ms):
            bench.tick(price, after_ms=after_ms)
        case ("order", account, side, quantity, price, tif, reduce_only):
            bench.order(side, quantity, price, account=account, tif=tif, reduce_only=reduce_only)
        case ("algo", side, kind, quantity, price, closes):
            trails = kind is ConditionalType.TRAILING_STOP_MARKET
            bench.algo(
                side,
                kind,
                quantity=None if closes else Decimal(quantity),
                close_position=closes,
                trigger_price=None if trails else price,
                limit_price=price if kind.has_limit_price else None,
                callback_rate=Decimal(2) if trails else None,
            )
        case ("cancel", account):
            bench.exchange.cancel_all(account, SYMBOL)
        case ("leverage", account, leverage):
            change.leverage(account, SYMBOL, leverage)
        case ("type", account, isolated):
            change.margin_type(account, SYMBOL, isolated=isolated)
        case ("margin", account, amount, kind):
            change.position_margin(account, SYMBOL, BOTH, Decimal(amount), kind)


def check_books(bench: FuturesBench) -> None:
    """Totals are conserved, and wallets follow from the income that the accounts were told of."""
    ledger = bench.exchange.ledger
    assert ledger.total("USDT") == INITIAL
    assert ledger.net_quantity(SYMBOL) == 0
    for name in ("alice", "bob"):
        account, position = bench.account(name), bench.position(name)
        assert bench.wallet(name) == 10_000 + sum(each.amount for each in account.incomes)
        assert position.isolated_wallet >= 0 or position.amount
        assert position.amount or not position.cost
        traded = sum(
            (1 if order.side is BUY else -1) * order.filled_quantity
            for order in bench.exchange.all_orders(name)
        )
        assert position.amount == traded
        for order in bench.exchange.open_orders(name):
            assert not order.status.is_final
            assert not (order.only_closes and not position.amount)


def run(history: list[tuple[Any, ...]]) -> FuturesBench:
    bench = build_bench()
    for action in history:
        try:
            act(bench, action)
        except ExchangeRejection:
            continue
        finally:
            check_books(bench)
    return bench


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories)
def test_money_and_quantity_are_conserved(history: list[tuple[Any, ...]]) -> None:
    run(history)


@pytest.mark.long
@settings(max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories)
def test_money_and_quantity_are_conserved_over_thousands_of_histories(
    history: list[tuple[Any, ...]],
) -> None:
    run(history)


@settings(max_examples=15, deadline=None)
@given(histories)
def test_the_same_history_gives_the_same_events(history: list[tuple[Any, ...]]) -> None:
    assert run(history).events == run(history).events


class FeeForgotten(FuturesSettlement):
    def settle(self, order: SimOrder, *args: Any, **kwargs: Any) -> FuturesExecution:
        execution = super().settle(order, *args, **kwargs)
        self._ledger.fees[execution.fee_asset] -= execution.fee
        return execution


class ProfitPaidTwice(FuturesSettlement):
    def settle(self, order: SimOrder, *args: Any, **kwargs: Any) -> FuturesExecution:
        execution = super().settle(order, *args, **kwargs)
        account = self._ledger.account(order.account_id)
        account.wallets[execution.fee_asset] += execution.realized_pnl
        return execution


@pytest.mark.parametrize("mutant", [FeeForgotten, ProfitPaidTwice])
def test_a_settlement_that_makes_or_loses_money_is_found_out(
    mutant: type[FuturesSettlement], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clearing, "FuturesSettlement", mutant)
    trades = [
        ("order", "alice", side, "1", None, FuturesTimeInForce.GTC, False) for side in (BUY, SELL)
    ]
    with pytest.raises(AssertionError):
        run(trades)


def test_a_ledger_that_keeps_rounded_entry_prices_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exact = FuturesPosition.trade

    def rounded(position: FuturesPosition, quantity: Decimal, price: Decimal) -> Decimal:
        pnl = exact(position, quantity, price)
        position.cost = position.amount * round(position.entry_price, 2)
        return pnl

    monkeypatch.setattr(FuturesPosition, "trade", rounded)
    with pytest.raises(AssertionError):
        run([("order", "alice", BUY, "15", None, FuturesTimeInForce.GTC, False)])


def long_of(bench: FuturesBench, contracts: str = "45") -> Decimal:
    """A long of alice's; returns its margin balance's distance from 10,000."""
    bench.order(BUY, contracts)
    return bench.wallet() - 10_000


def test_funding_is_paid_by_longs_to_the_crowd_at_its_time() -> None:
    bench = build_bench()
    long_of(bench)
    before, amount = bench.wallet(), bench.position().amount
    bench.tick(100.0, after_ms=4 * HOUR_MS)
    settlement = bench.exchange.prices[SYMBOL].settlements[-1]
    paid = amount * settlement.mark_price * settlement.rate
    assert settlement.time_ms % (8 * HOUR_MS) == 0
    assert bench.wallet() == pytest.approx(before - paid)
    event = bench.account_events()[-1]
    assert (event.reason, event.symbol, event.positions) == (
        AccountChange.FUNDING_FEE,
        SYMBOL,
        (),
    )


def fall_until_liquidated(bench: FuturesBench) -> Decimal:
    """Index prices fall by half a per cent a second; returns the last mark price."""
    price = 100.0
    while bench.position().amount:
        price *= 0.995
        bench.tick(price)
        assert price > 1, "never liquidated"
    return bench.exchange.mark(SYMBOL)


def test_a_cross_account_is_liquidated_when_its_margin_is_gone() -> None:
    bench = build_bench()
    for _ in range(30):  # the book is thin
        long_of(bench, "40")
        bench.tick(100.0)
    resting = bench.order(BUY, "1", "96")
    expected = bench.exchange.margin.liquidation_price(bench.account(), bench.position())
    mark = fall_until_liquidated(bench)
    assert expected * Decimal("0.98") < mark < expected
    assert resting.expiry_reason is ExpiryReason.LIQUIDATION or resting.executions
    assert bench.forced[-1].side is SELL
    assert 0 <= bench.wallet() < 10_000
    order = next(o for o in bench.exchange.all_orders("alice") if o.is_liquidation)
    assert order.status is OrderStatus.FILLED
    assert order.client_order_id.startswith("autoclose-")
    check_books(bench)


def test_a_liquidation_is_seen_on_the_tape_and_pushes_the_price() -> None:
    bench = build_bench()
    for _ in range(30):
        long_of(bench, "40")
        bench.tick(100.0)
    before = bench.exchange.tape(SYMBOL).last
    assert before is not None
    fall_until_liquidated(bench)
    last = bench.exchange.tape(SYMBOL).last
    assert last is not None
    assert last.tick.is_seller_aggressor
    assert bench.exchange.prices[SYMBOL]._impact < 0


def test_an_isolated_position_loses_its_own_margin_and_no_more() -> None:
    bench = build_bench()
    AccountSettings(bench.exchange).margin_type("alice", SYMBOL, isolated=True)
    long_of(bench)
    margin, wallet = bench.position().isolated_wallet, bench.wallet()
    assert margin == pytest.approx(Decimal(45) * 102 / 20, rel=Decimal("0.02"))
    bench.tick(80.0)
    assert bench.position().amount == 0
    assert bench.wallet() == pytest.approx(wallet - margin)
    assert bench.exchange.ledger.insurance["USDT"] < 0  # the fall went past the margin
    check_books(bench)


def test_more_isolated_margin_moves_the_liquidation_away() -> None:
    bench = build_bench()
    change = AccountSettings(bench.exchange)
    change.margin_type("alice", SYMBOL, isolated=True)
    long_of(bench)
    account, position = bench.account(), bench.position()
    near = bench.exchange.margin.liquidation_price(account, position)
    change.position_margin("alice", SYMBOL, BOTH, Decimal(300), ADD)
    far = bench.exchange.margin.liquidation_price(account, position)
    assert far < near - 6
    with pytest.raises(ExchangeRejection):
        change.position_margin("alice", SYMBOL, BOTH, Decimal(400), REDUCE)
    bench.tick(float(near) - 1)
    assert position.amount == 45


def test_an_account_is_called_once_before_it_is_liquidated() -> None:
    bench = build_bench()
    AccountSettings(bench.exchange).margin_type("alice", SYMBOL, isolated=True)
    long_of(bench)
    liquidation = bench.exchange.margin.liquidation_price(bench.account(), bench.position())
    for distance in (1.0, 0.1, 0.1, 5.0, 0.1):
        bench.tick(float(liquidation) + distance)
    calls = [event for event in bench.events if isinstance(event, MarginCallEvent)]
    assert bench.position().amount == 45
    assert len(calls) == 2
    assert calls[0].cross_wallet is None


def check_that_no_account_stays_below_its_maintenance(bench: FuturesBench) -> None:
    for _ in range(20):
        long_of(bench, "45")
        bench.tick(100.0)
    for price in (97.0, 94.0, 91.0, 88.0, 85.0):
        bench.tick(price)
        figures = bench.exchange.margin.in_asset(bench.account(), "USDT")
        assert figures.cross_balance >= figures.cross_maintenance_margin


def test_no_account_stays_below_its_maintenance_margin() -> None:
    check_that_no_account_stays_below_its_maintenance(build_bench())


def test_an_exchange_that_never_liquidates_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Liquidator, "check", lambda *_args: None)
    with pytest.raises(AssertionError):
        check_that_no_account_stays_below_its_maintenance(build_bench())


def test_the_crowd_is_liquidated_more_the_deeper_the_fall() -> None:
    def forced_in_a_fall_to(price: float) -> float:
        bench = build_bench()
        for _ in range(200):
            bench.tick(100.0, quantity=100.0, after_ms=60_000)
        bench.forced.clear()
        bench.tick(price, quantity=100.0)
        assert {each.side for each in bench.forced} <= {SELL}
        return float(sum(each.quantity * each.average_price for each in bench.forced))

    small, middle, deep = (forced_in_a_fall_to(price) for price in (98.0, 90.0, 75.0))
    assert 0 < small < middle / 2 < deep / 4
