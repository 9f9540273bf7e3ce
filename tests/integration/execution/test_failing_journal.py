"""A journal that takes no orders: nothing is sent, and the breaker knows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from order_path import OrderPath

from trading.errors import StoreError
from trading.model.breaker import BreakerStatus, Latch
from trading.model.operations import ENTRIES
from trading.model.order import OrderType


@pytest.mark.parametrize("purpose", ["ENTRY", "PROTECTIVE_STOP"])
async def test_a_journal_that_takes_no_orders_is_a_lost_store(tmp_path: Path, purpose: str) -> None:
    async with OrderPath(tmp_path) as path:
        with path.database() as connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE INSERT ON orders "
                f"WHEN NEW.purpose = '{purpose}' BEGIN SELECT RAISE(FAIL, 'disk full'); END"
            )
        await path.service.propose(path.proposal(entry_type=OrderType.MARKET))
        for _ in range(3):
            await path.advance(2_000)
        snapshot = path.breaker.snapshot
        assert snapshot.status is BreakerStatus.TRIGGERED
        assert snapshot.latch is Latch.MANUAL
        assert snapshot.epoch == 1  # tried again and again, tripped once


@pytest.fixture
async def full(tmp_path: Path) -> AsyncIterator[OrderPath]:
    """Nothing that an operator stops can be stored."""
    async with OrderPath(tmp_path) as path:
        with path.database() as connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE INSERT ON operating_controls "
                "BEGIN SELECT RAISE(FAIL, 'disk full'); END"
            )
        yield path


async def test_a_halt_of_entries_that_is_not_stored_holds_and_says_so(full: OrderPath) -> None:
    with pytest.raises(StoreError, match=r"in force in the running core.*disk full"):
        await full.service.operations.stop(ENTRIES, "test")
    result = await full.service.propose(full.proposal(entry_type=OrderType.MARKET))
    assert result.rule == "entries_halted"


async def test_a_liquidation_that_cannot_be_stored_says_that_nothing_is_sold(
    full: OrderPath,
) -> None:
    with pytest.raises(StoreError, match="nothing is sold, and stops stay"):
        await full.service.operations.liquidate("test")


class TestAStoreThatRefusesWhatHasHappened:
    """The stop of a position fills while nothing can be written."""

    @pytest.fixture
    async def path(self, tmp_path: Path) -> AsyncIterator[OrderPath]:
        async with OrderPath(tmp_path) as path:
            await path.service.propose(path.proposal(entry_type=OrderType.MARKET))
            await path.advance(1_000)
            assert path.open_stops("BTCUSDT")
            self.refuse(path, True)
            await path.tick("BTCUSDT", 40_000)
            await path.advance(1_000)
            assert not path.open_stops("BTCUSDT"), "it has filled"
            yield path

    def refuse(self, path: OrderPath, refused: bool) -> None:
        journal = path.service._parts.journal
        journal._connection.execute(f"PRAGMA query_only = {int(refused)}")

    def stored(self, path: OrderPath) -> tuple[int, int, set[str]]:
        return (
            len(path.rows("SELECT * FROM trades")),
            len(path.rows("SELECT * FROM positions")),
            {str(row["status"]) for row in path.rows("SELECT status FROM orders")},
        )

    async def test_it_gets_the_fill_and_the_trade_as_soon_as_it_works_again(
        self, path: OrderPath
    ) -> None:
        assert path.breaker.snapshot.latch is Latch.MANUAL
        assert self.stored(path)[0] == 0
        self.refuse(path, False)
        await path.advance(10_000)
        trades, positions, statuses = self.stored(path)
        assert (trades, positions, statuses) == (1, 0, {"FILLED"})
        assert not path.service._parts.journal.owes

    async def test_no_entry_is_journalled_before_it(self, path: OrderPath) -> None:
        journal = path.service._parts.journal
        assert journal.owes
        with pytest.raises(StoreError):
            journal.write("another", lambda: None)

    async def test_a_core_that_dies_before_learns_it_from_the_venue(self, path: OrderPath) -> None:
        await path.crash_and_restart()
        await path.advance(10_000)
        assert self.stored(path) == (1, 0, {"FILLED"})

    async def test_what_contradicts_the_store_does_not_hold_up_the_rest(
        self, path: OrderPath
    ) -> None:
        journal = path.service._parts.journal
        self.refuse(path, False)
        journal._owed.insert(0, ("an order twice", (lambda: _insert_twice(path),)))
        await path.advance(10_000)
        assert self.stored(path)[0] == 1


def _insert_twice(path: OrderPath) -> None:
    connection = path.service._parts.journal._connection
    connection.execute("INSERT INTO orders SELECT * FROM orders LIMIT 1")
