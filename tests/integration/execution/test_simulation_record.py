"""Every run on virtual money leaves its begin, its trades and its end in the store."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from order_path import OrderPath

from trading.storage.database import open_database
from trading.storage.simulation_repository import SimulationRepository, SimulationSession


def sessions(path: OrderPath) -> list[SimulationSession]:
    connection = open_database(path.storage, durable=False, check=False)
    try:
        return SimulationRepository(connection).latest()
    finally:
        connection.close()


async def test_a_session_holds_the_balances_and_the_trades_of_its_run(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.record_simulation("a test market", resumed=False)
        await path.service.propose(path.proposal())
        await path.service.close_position("BTCUSDT", "the trader")
        await path.service.settle()
        running = sessions(path)[0]
        assert (running.status, running.final_balance) == ("running", None)
        equity = (await path.service.portfolio()).equity
    (ended,) = sessions(path)
    assert ended.status == "completed"
    assert ended.market == "a test market"
    assert ended.virtual_balance == 10_000
    assert ended.final_balance == equity
    assert ended.total_trades == 1
    assert ended.profit_loss == equity - 10_000
    assert ended.fees > 0


async def test_a_core_that_restarts_goes_on_with_the_session(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.record_simulation("m", resumed=False)
        await path.crash_and_restart()
        await path.service.record_simulation("m", resumed=True)
        assert [one.status for one in sessions(path)] == ["running"]
    assert [one.status for one in sessions(path)] == ["completed"]


async def test_a_session_that_never_ended_is_marked_when_the_next_begins(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.record_simulation("m", resumed=False)
        await path.crash_and_restart()
        await path.service.record_simulation("m", resumed=False)
        assert [one.status for one in sessions(path)] == ["running", "interrupted"]
        assert sessions(path)[1].virtual_balance == Decimal(10_000)
