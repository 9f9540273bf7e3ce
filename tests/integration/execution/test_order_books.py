"""Our books and the venue's account, and fills that were not heard of."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from order_path import OrderPath

from trading.model.breaker import Actor
from trading.model.market import Tick
from trading.model.order import OrderReport, OrderRequest


def answer_without_fills(path: OrderPath) -> None:
    """From now on the venue's answers to orders leave out what was filled."""
    submit = path.client.submit_order

    async def without_fills(request: OrderRequest, on_wire: Callable[[], None]) -> OrderReport:
        return (await submit(request, on_wire)).model_copy(update={"fills": ()})

    path.client.submit_order = without_fills  # type: ignore[method-assign]


async def test_a_missing_balance_trips_and_latches_once_it_is_confirmed(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal())
        await path.advance(0)
        assert path.service.reconciled
        for stop in path.open_stops("BTCUSDT"):
            path.exchange.cancel("replay", "BTCUSDT", client_order_id=stop.client_order_id)
        path.exchange.open_account("replay", {"USDT": path.held("USDT")})
        path.service.on_gap("test")
        await path.service.settle()
        assert path.breaker.snapshot.status == "SAFE"
        await path.advance(2_000)
        assert (path.breaker.snapshot.status, path.breaker.snapshot.latch) == (
            "TRIGGERED",
            "MANUAL",
        )
        assert not path.service.reconciled
        path.breaker.clear(
            actor=Actor.OPERATOR, reason="sold by hand", epoch=path.breaker.snapshot.epoch
        )
        await path.service.settle()
        assert path.service.reconciled
        assert not (await path.service.portfolio()).positions


@pytest.mark.parametrize("fault", ["fail_account", "empty_account"])
async def test_an_unreadable_account_is_not_flat(tmp_path: Path, fault: str) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal())
        setattr(path.client, fault, True)
        path.service.on_gap("test")
        await path.service.settle()
        portfolio = await path.service.portfolio()
        assert len(portfolio.positions) == 1
        assert portfolio.free > 0
        assert not path.service.reconciled
        assert path.breaker.snapshot.status == "SAFE"


async def test_a_new_account_forgets_the_old_ones_orders_and_positions(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal("BTCUSDT"))
        await path.service.propose(path.proposal("ETHUSDT", limit_price=Decimal(1_990)))
        await path.service.stop(cancel_entries=False)
        for order in path.exchange.open_orders("replay"):
            path.exchange.cancel("replay", order.symbol, client_order_id=order.client_order_id)
        path.exchange.open_account("replay", {"USDT": Decimal(10_000)})
        path.service = path._service()
        await path.service.forget_account("a new account")
        await path.service.start()
        portfolio = await path.service.portfolio()
        assert not portfolio.positions
        assert portfolio.equity == 10_000
        assert path.service.reconciled


async def test_fills_that_come_after_the_end_of_their_trade_correct_it_once(
    tmp_path: Path,
) -> None:
    seen: list[OrderReport] = []
    async with OrderPath(tmp_path, quiet_stream=True) as path:
        path.venue.user_stream.attach(seen.append)
        answer_without_fills(path)
        await path.service.propose(path.proposal())
        await path.service.close_position("BTCUSDT", "operator")
        for report in seen:
            path.service.on_report(report)
        await path.service.settle()
        (trade,) = path.rows("SELECT * FROM trades")
        assert Decimal(trade["pnl"]) == path.held("USDT") - 10_000
        assert trade["exit_reason"] == "operator"
        portfolio = await path.service.portfolio()
        assert not portfolio.positions
        assert portfolio.realized_pnl == Decimal(trade["pnl"])
        assert portfolio.balances[0].total == path.held("USDT")


async def test_fills_that_nobody_reported_are_asked_for(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, quiet_stream=True) as path:
        answer_without_fills(path)
        await path.service.propose(path.proposal())
        assert not path.rows("SELECT * FROM fills")
        await path.advance(600)
        (position,) = (await path.service.portfolio()).positions
        booked = sum(Decimal(row["quantity"]) for row in path.rows("SELECT quantity FROM fills"))
        assert position.quantity == path.held("BTC")
        assert booked > position.quantity


async def test_fills_missing_from_before_a_restart_are_asked_for(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, quiet_stream=True) as path:
        answer_without_fills(path)
        await path.service.propose(path.proposal())
        await path.service.close_position("BTCUSDT", "operator")
        await path.crash_and_restart()
        await path.advance(600)
        (trade,) = path.rows("SELECT * FROM trades")
        assert Decimal(trade["pnl"]) == path.held("USDT") - 10_000


async def test_a_fill_during_a_comparison_is_not_taken_for_coins_of_somebody_else(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path, quiet_stream=True) as path:
        await path.service.propose(path.proposal(limit_price=Decimal(49_900)))
        await path.crash_and_restart()
        # The next comparison is the first again.
        path.service._parts.trust._reconciler._based.clear()
        account = path.client.account

        async def fill_before_the_answer():  # type: ignore[no-untyped-def]
            path.venue.push_tick(Tick("BTCUSDT", 49_800.0, 500.0, path.clock.now_ms()))
            return await account()

        path.client.account = fill_before_the_answer  # type: ignore[method-assign]
        path.service.on_gap("test")
        await path.service.settle()
        path.client.account = account  # type: ignore[method-assign]
        for _ in range(3):
            await path.advance(2_000)
        (position,) = (await path.service.portfolio()).positions
        assert position.quantity == path.held("BTC")
        assert path.service._parts.books.account.external["BTC"] == 0
        assert path.service.reconciled
