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
