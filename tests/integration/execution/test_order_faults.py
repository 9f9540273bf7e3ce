"""Sends whose outcome is not known: nothing is sent twice, and nothing is forgotten."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from order_path import OrderPath

from trading.execution.desk import OrderDesk
from trading.model.decision import ProposalOutcome
from trading.model.order import OrderReport, OrderStatus


def entries(path: OrderPath) -> int:
    return sum(request.purpose == "ENTRY" for request in path.client.submitted)


async def test_a_lost_answer_is_resolved_by_query_and_never_sent_again(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, quiet_stream=True) as path:
        path.client.lose_answers = 1
        result = await path.service.propose(path.proposal())
        assert result.outcome is ProposalOutcome.UNKNOWN
        assert path.service.unknown_orders == 1
        assert (await path.service.portfolio()).reserved_exposure > 0
        await path.advance(600)
        assert path.service.unknown_orders == 0
        assert (await path.service.portfolio()).reserved_exposure == 0
        assert len(path.open_stops("BTCUSDT")) == 1
        assert entries(path) == 1


async def test_not_found_right_after_the_send_is_no_rejection(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, quiet_stream=True) as path:
        path.client.lose_answers = 1
        path.client.hide_queries = 3
        await path.service.propose(path.proposal())
        for _ in range(3):
            await path.advance(1_000)
            assert path.service.unknown_orders == 1
            assert (await path.service.portfolio()).reserved_exposure > 0
        await path.advance(4_000)
        assert path.service.unknown_orders == 0
        assert path.held("BTC") > 0
        assert len(path.open_stops("BTCUSDT")) == 1


async def test_a_desk_that_takes_not_found_for_a_rejection_fails_that_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the test above: without the grace the exposure is freed too early."""
    async with OrderPath(tmp_path, quiet_stream=True) as path:

        async def hasty(desk: OrderDesk, order_id: str) -> object:
            desk._conclude(order_id, OrderStatus.REJECTED, "not found")
            return desk.find(order_id)

        monkeypatch.setattr(OrderDesk, "_not_found", hasty)
        path.client.lose_answers = 1
        path.client.hide_queries = 1
        await path.service.propose(path.proposal())
        await path.advance(1_000)
        assert (await path.service.portfolio()).reserved_exposure == 0
        assert path.held("BTC") > 0


async def test_an_order_that_never_arrived_frees_its_exposure_after_the_grace(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path) as path:
        path.client.lose_orders = 1
        result = await path.service.propose(path.proposal())
        assert result.outcome is ProposalOutcome.UNKNOWN
        await path.advance(4_900)
        assert path.service.unknown_orders == 1
        for _ in range(4):
            await path.advance(1_000)
        assert path.service.unknown_orders == 0
        assert (await path.service.portfolio()).reserved_exposure == 0
        assert path.rows("SELECT status FROM orders") == [{"status": "REJECTED"}]


async def test_a_refused_connection_is_a_definite_refusal(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        path.client.refuse_connections = 1
        result = await path.service.propose(path.proposal())
        assert result.outcome is ProposalOutcome.REFUSED
        assert path.service.unknown_orders == 0
        assert (await path.service.portfolio()).reserved_exposure == 0


async def test_reports_that_repeat_or_come_late_count_once(tmp_path: Path) -> None:
    seen: list[OrderReport] = []
    async with OrderPath(tmp_path, quiet_stream=True) as path:
        path.venue.user_stream.attach(seen.append)
        await path.service.propose(path.proposal(notional=Decimal(2_000)))
        quantity = (await path.service.portfolio()).positions[0].quantity
        for report in [*reversed(seen), *seen]:
            path.service.on_report(report)
        await path.service.settle()
        portfolio = await path.service.portfolio()
        assert portfolio.positions[0].quantity == quantity == path.held("BTC")
        assert portfolio.balances[0].total == path.held("USDT")
        fills = path.rows("SELECT * FROM fills")
        assert len({(fill["client_order_id"], fill["trade_id"]) for fill in fills}) == len(fills)


async def test_a_crash_between_journal_and_answer_is_resolved_after_the_restart(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path, quiet_stream=True) as path:
        path.client.lose_answers = 1
        await path.service.propose(path.proposal())
        await path.crash_and_restart()
        await path.advance(1_000)
        assert path.service.unknown_orders == 0
        assert len(path.open_stops("BTCUSDT")) == 1
        assert (await path.service.portfolio()).positions[0].quantity == path.held("BTC")
        assert entries(path) == 1


async def test_a_crash_before_the_send_leaves_nothing_reserved_after_the_restart(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path) as path:

        async def die() -> None:
            raise SystemExit

        path.client.before_wire = die
        with pytest.raises(SystemExit):
            await path.service._parts.gateway.submit_entry(path.proposal())
        path.client.before_wire = None
        assert path.rows("SELECT status FROM orders") == [{"status": "PENDING"}]
        await path.crash_and_restart()
        assert path.service.unknown_orders == 1
        for _ in range(12):
            await path.advance(1_000)
        assert path.service.unknown_orders == 0
        assert path.rows("SELECT status FROM orders") == [{"status": "REJECTED"}]
        assert entries(path) == 0


async def test_a_caller_that_goes_away_does_not_interrupt_a_send(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:

        async def slow() -> None:
            await asyncio.sleep(0.05)

        path.client.before_wire = slow
        task = asyncio.create_task(path.service.propose(path.proposal()))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(10):
            while not path.open_stops("BTCUSDT"):  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.01)
        assert len(path.open_stops("BTCUSDT")) == 1
        assert path.service.unknown_orders == 0
