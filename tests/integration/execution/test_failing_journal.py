"""A journal that takes no orders: nothing is sent, and the breaker knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from order_path import OrderPath

from trading.model.breaker import BreakerStatus, Latch
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
