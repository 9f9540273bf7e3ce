"""``liquidate`` sells every position by the depth of its book until the venue confirms it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from calm_market import deep_book
from order_path import PRICES, OrderPath, trader

from crews.cli.emergency_text import progress
from trading.errors import ExchangeConnectionError
from trading.execution.config import ExecutionConfig
from trading.execution.liquidation_config import LiquidationConfig
from trading.model.breaker import Actor
from trading.model.decision import ProposalOutcome
from trading.model.market import Book, BookLevel
from trading.model.operations import ENTRIES, LIQUIDATION, LiquidationReport, LiquidationStatus
from trading.model.order import AccountSnapshot, Balance, OrderPurpose, OrderType
from trading.simulator.config import BookShapeConfig, SimulatorConfig

THIN = SimulatorConfig(
    initial_balances={"USDT": Decimal(10_000)}, book=BookShapeConfig(level_notional=Decimal(60))
)


def settings(**liquidation: Any) -> ExecutionConfig:
    quick = {"slice_pause_ms": 5, "patience_s": 5, "give_up_after_s": 10}
    return ExecutionConfig(
        liquidation=LiquidationConfig.model_validate({**quick, **liquidation}),
        stop_retry_ms=10,
        sweep_retry_ms=10,
        reconcile_retry_ms=100,
    )


async def deep(symbol: str, depth: int) -> Book:
    return deep_book(symbol, PRICES[symbol])


async def enter(path: OrderPath, symbols: Iterable[str]) -> None:
    for symbol in symbols:
        result = await path.service.propose(path.proposal(symbol))
        assert result.outcome is ProposalOutcome.ACCEPTED, result
        assert len(path.open_stops(symbol)) == 1


async def liquidated(path: OrderPath, reason: str = "test") -> LiquidationReport:
    """Ask for it and let the market go on until it is over."""
    operations = path.service.operations
    await operations.liquidate(reason)
    return await ended(path)


async def ended(path: OrderPath) -> LiquidationReport:
    for _ in range(600):
        report = await path.service.operations.liquidation()
        if report is not None and report.status is not LiquidationStatus.RUNNING:
            return report
        await asyncio.sleep(0.02)
        for symbol, price in path.prices.items():
            path.clock.advance_to(path.clock.now_ms() + 20)
            path.venue.push_tick(path.last_tick(symbol, price))
        await path.service.advance(path.clock.now_ms())
    raise AssertionError("it did not end")


async def test_every_position_is_sold_in_orders_that_the_book_can_take(tmp_path: Path) -> None:
    async with OrderPath(
        tmp_path,
        execution=settings(slice_depth_pct=0.1),
        simulator=THIN,
        risk=trader(max_slippage_pct=5),
    ) as path:
        path.service._parts.sizer._order_book = deep  # it was, when they were bought
        await enter(path, PRICES)
        report = await liquidated(path, "exchange behaves oddly")
        assert report.status is LiquidationStatus.FLAT, report
        assert report.reason == "exchange behaves oddly"
        assert {position.symbol for position in report.positions} == set(PRICES)
        for position in report.positions:
            assert position.quantity - position.sold < position.quantity / 1000
            assert position.slippage_pct is not None
            assert position.slippage_pct >= 0
            assert position.orders > 1, "in slices"
            assert path.held(position.symbol.removesuffix("USDT")) < position.quantity / 1000
            assert not path.open_stops(position.symbol)
        assert report.slippage_cost > 0
        sells = [order for order in path.client.submitted if order.purpose is OrderPurpose.EXIT]
        assert len(sells) == sum(position.orders for position in report.positions)


async def test_it_halts_entries_first_and_they_stay_halted(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, execution=settings()) as path:
        await enter(path, ["BTCUSDT"])
        await liquidated(path)
        controls = path.service.operations.controls()
        assert controls.entries_halted
        assert controls.get(LIQUIDATION) is None, "it is over"
        refused = await path.service.propose(path.proposal("ETHUSDT"))
        assert refused.rule == "entries_halted"


async def test_open_entries_are_cancelled_and_protective_stops_are_not_touched_before_a_sale(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path, execution=settings()) as path:
        await enter(path, ["BTCUSDT"])
        resting = path.proposal("ETHUSDT", limit_price=Decimal(1_990))
        assert (await path.service.propose(resting)).filled_quantity == 0
        done = await path.service.operations.cancel_orders("test")
        assert len(done.cancelled) == 1
        assert not done.open
        assert len(path.open_stops("BTCUSDT")) == 1
        again = await path.service.operations.cancel_orders("test")
        assert not again.cancelled


async def test_asked_twice_it_is_one_liquidation_and_asked_again_there_is_nothing_to_sell(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path, execution=settings()) as path:
        await enter(path, ["BTCUSDT"])
        operations = path.service.operations
        first, second = await operations.liquidate("a"), await operations.liquidate("b")
        assert second.started_at_ms == first.started_at_ms
        assert second.reason == "a"
        await ended(path)
        sold = len(path.client.submitted)
        report = await liquidated(path, "c")
        assert report.status is LiquidationStatus.FLAT
        assert report.positions == ()
        assert len(path.client.submitted) == sold


async def test_faults_of_every_kind_delay_it_and_nothing_is_sold_twice(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, execution=settings()) as path:
        await enter(path, PRICES)
        bought = {symbol: path.held(symbol.removesuffix("USDT")) for symbol in PRICES}
        path.client.fail_cancels = 2
        path.client.lose_answers = 1
        path.client.lose_orders = 1
        path.client.refuse_connections = 1
        report = await liquidated(path)
        assert report.status is LiquidationStatus.FLAT, report
        for position in report.positions:
            assert Decimal(0) < position.sold <= bought[position.symbol]


async def test_it_needs_neither_redis_nor_a_breaker_that_allows_entries(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, execution=settings()) as path:
        await enter(path, PRICES)
        path.objection = "Redis does not answer"
        path.breaker.trigger("Redis is lost", actor=Actor.SYSTEM, latch=True)
        report = await liquidated(path)
        assert report.status is LiquidationStatus.FLAT, report
        assert len(report.positions) == len(PRICES)


async def test_what_cannot_be_sold_is_named_and_keeps_its_stop(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, execution=settings(give_up_after_s=0.3)) as path:
        await enter(path, ["BTCUSDT", "ETHUSDT"])

        async def no_book(symbol: str, depth: int = 20) -> Book:
            if symbol == "BTCUSDT":
                raise ExchangeConnectionError("connection reset")
            levels = (BookLevel(price=Decimal(2_000), quantity=Decimal(9)),)
            return Book(symbol=symbol, time_ms=0, bids=levels, asks=levels)

        path.client.order_book = no_book
        report = await liquidated(path)
        assert report.status is LiquidationStatus.NOT_FLAT
        assert [problem.split(":")[0] for problem in report.problems] == ["BTCUSDT"]
        assert {p.symbol: p.closed for p in report.positions} == {"BTCUSDT": False, "ETHUSDT": True}
        assert {p.symbol: p.problem for p in report.positions} == {
            "BTCUSDT": "connection reset",
            "ETHUSDT": "",
        }
        (stop,) = path.open_stops("BTCUSDT")
        assert stop.type is OrderType.STOP_LOSS


async def test_what_the_account_holds_beside_our_positions_ends_it_at_once_and_is_named(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path, execution=settings(give_up_after_s=600)) as path:
        await enter(path, ["BTCUSDT"])
        account = path.client.account
        foreign = Balance(asset="ETH", free=Decimal(3), locked=Decimal(0))

        async def with_a_coin_of_somebody_else() -> AccountSnapshot:
            now = await account()
            return now.model_copy(update={"balances": {**now.balances, "ETH": foreign}})

        path.client.account = with_a_coin_of_somebody_else  # type: ignore[method-assign]
        report = await liquidated(path)
        assert report.status is LiquidationStatus.NOT_FLAT
        assert [position.closed for position in report.positions] == [True]
        (problem,) = report.problems
        assert "ETH +3" in problem
        assert "breaker clear" in problem
        assert path.service.operations.books_objection() in problem
        assert progress(report).startswith("1 of 1 positions sold; ")


async def test_a_core_that_dies_meanwhile_goes_on_with_it(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, execution=settings()) as path:
        await enter(path, PRICES)
        path.client.fail_cancels = 1_000
        await path.service.operations.liquidate("test")
        await asyncio.sleep(0.05)
        path.client.fail_cancels = 0
        await path.crash_and_restart()
        assert path.service.operations.controls().get(ENTRIES) is not None
        report = await ended(path)
        assert report.status is LiquidationStatus.FLAT
        for symbol, price in PRICES.items():
            assert path.held(symbol.removesuffix("USDT")) * int(price) < 1, "dust"


async def test_where_nothing_is_held_nothing_is_counted(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, execution=settings()) as path:
        assert progress(await liquidated(path)) == "nothing to sell"
