"""Accounts' orders at one price trade in the order in which they came; better prices first."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated_market import Market, build_market

from trading.model.order import OrderType, Side
from trading.simulator import exchange
from trading.simulator.orders import ExchangeRejection, OrderEvent, SimOrder, UserEvent
from trading.simulator.spot_matching import SpotEngine


def maker_order(market: Market) -> list[str]:
    return [
        event.order.client_order_id
        for event in market.events
        if isinstance(event, OrderEvent) and event.execution and event.execution.is_maker
    ]


def check_priority_against_takers(market: Market) -> None:
    for name in ("first", "second", "third"):
        market.order(Side.SELL, OrderType.LIMIT, "1", price="100", account="bob", client_id=name)
    market.order(Side.BUY, OrderType.MARKET, "3")
    assert maker_order(market) == ["first", "second", "third"]


def check_priority_against_the_tape(market: Market) -> None:
    market.order(Side.BUY, OrderType.LIMIT, "1", price="98", client_id="first")
    market.order(Side.BUY, OrderType.LIMIT, "1", price="98", account="bob", client_id="second")
    market.order(Side.BUY, OrderType.LIMIT, "1", price="99", account="bob", client_id="better")
    market.tick(98.0, 2.6)  # 1.1 were queued before the first, so 1.5 reach our orders
    assert maker_order(market) == ["better", "first", "second"]


def test_takers_meet_the_earlier_of_two_equal_orders_first() -> None:
    check_priority_against_takers(build_market())


def test_the_tape_fills_better_prices_first_and_equal_ones_in_order_of_time() -> None:
    check_priority_against_the_tape(build_market())


class LastComeFirstServed(SpotEngine):
    def _rest(self, order: SimOrder) -> None:
        super()._rest(order)
        side = self._resting.side(order.side)
        side.sort(key=lambda other: -other.order_id)


@pytest.mark.parametrize("check", [check_priority_against_takers, check_priority_against_the_tape])
def test_an_engine_without_time_priority_is_found_out(
    check: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "SpotEngine", LastComeFirstServed)
    with pytest.raises(AssertionError):
        check(build_market())  # type: ignore[operator]


resting = st.tuples(
    st.just("limit"),
    st.sampled_from(["alice", "bob"]),
    st.sampled_from(list(Side)),
    st.integers(1, 30).map(lambda tenths: str(Decimal(tenths) / 10)),
    st.integers(94, 106).map(str),
)
takers = st.tuples(
    st.just("market"),
    st.sampled_from(["alice", "bob"]),
    st.sampled_from(list(Side)),
    st.integers(1, 30).map(lambda tenths: str(Decimal(tenths) / 10)),
)
prints = st.tuples(st.just("print"), st.integers(94, 106), st.integers(1, 40))


def check_priority_in(history: list[tuple[Any, ...]]) -> None:
    """When a resting order trades, nobody with a better price, or there before it, still waits."""
    market = build_market()

    def look(event: UserEvent) -> None:
        if not isinstance(event, OrderEvent) or not (event.execution and event.execution.is_maker):
            return
        mine = event.order
        sign = 1 if mine.side is Side.BUY else -1
        for account in ("alice", "bob"):
            for other in market.exchange.open_orders(account):
                if other.side is not mine.side or other.order_id == mine.order_id:
                    continue
                ahead = sign * (other.limit_price - mine.limit_price)  # type: ignore[operator]
                assert ahead <= 0
                assert ahead < 0 or other.order_id > mine.order_id

    market.exchange.add_user_listener(look)
    for action in history:
        with contextlib.suppress(ExchangeRejection):
            match action:
                case ("limit", account, side, quantity, price):
                    market.order(side, OrderType.LIMIT, quantity, price=price, account=account)
                case ("market", account, side, quantity):
                    market.order(side, OrderType.MARKET, quantity, account=account)
                case ("print", price, tenths):
                    market.tick(float(price), tenths / 10)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(resting, resting, takers, prints), max_size=40))
def test_no_order_trades_before_a_better_or_an_earlier_one(history: list[tuple[Any, ...]]) -> None:
    check_priority_in(history)


@pytest.mark.parametrize("taker", [("market", "alice", Side.SELL, "1"), ("print", 100, 10)])
def test_a_history_without_time_priority_is_found_out(
    taker: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "SpotEngine", LastComeFirstServed)
    first = ("limit", "bob", Side.BUY, "1", "100")
    with pytest.raises(AssertionError):
        check_priority_in([first, first, taker])
