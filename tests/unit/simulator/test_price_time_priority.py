"""Accounts' orders at one price trade in the order in which they came; better prices first."""

from __future__ import annotations

import pytest
from simulated_market import Market, build_market

from trading.model.order import OrderType, Side
from trading.simulator import exchange as exchange_module
from trading.simulator.matching import MatchingEngine
from trading.simulator.orders import OrderEvent, SimOrder


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


class LastComeFirstServed(MatchingEngine):
    def _rest(self, order: SimOrder) -> None:
        super()._rest(order)
        side = self._resting.side(order.side)
        side.sort(key=lambda other: -other.order_id)


@pytest.mark.parametrize("check", [check_priority_against_takers, check_priority_against_the_tape])
def test_an_engine_without_time_priority_is_found_out(
    check: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "MatchingEngine", LastComeFirstServed)
    with pytest.raises(AssertionError):
        check(build_market())  # type: ignore[operator]
