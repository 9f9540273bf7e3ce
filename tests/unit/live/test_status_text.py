"""``status`` and ``breaker status`` write amounts for people."""

from __future__ import annotations

from decimal import Decimal

import pytest

from crews.cli.status_text import breaker_table, instance_table
from trading.api.schemas import BreakerView, CoreStatus
from trading.model.breaker import BreakerSnapshot, BreakerStatus
from trading.model.decision import TradeProposal
from trading.model.metrics import MarketSnapshot, Metric
from trading.model.operations import Approval


@pytest.mark.parametrize(
    ("value", "limit", "unit", "written"),
    [
        (1_062_450_122.52, 500_000_000.0, "USD", "1,062,450,123 of 500,000,000 USD"),
        (2.434, 10.0, "%", "2.43 of 10 %"),
    ],
)
def test_the_nearest_limit_is_written_in_full(
    value: float, limit: float, unit: str, written: str
) -> None:
    metric = Metric(
        name="some_limit", value=value, hard_limit=limit, soft_limit=1, unit=unit, ready=True
    )
    market = MarketSnapshot(
        time_ms=1,
        metrics=(metric,),
        prices={},
        breadth_falling=0,
        breadth_tracked=12,
        feed_age_ms=5,
        healthy=True,
        problem="",
    )
    snapshot = BreakerSnapshot(
        status=BreakerStatus.SAFE, epoch=0, changed_at_ms=1, size_multiplier=1
    )
    cells = [
        str(cell)
        for column in breaker_table(BreakerView(snapshot=snapshot, market=market)).columns
        for cell in column.cells
    ]
    assert any(cell.startswith(f"some_limit {written} (") for cell in cells), cells


def test_status_lists_the_entries_that_wait_for_a_person() -> None:
    proposal = TradeProposal.model_construct()
    waiting = Approval.model_construct(
        id=7,
        symbol="LINKUSDT",
        quantity=Decimal("76.850"),
        limit_price=Decimal("13.01"),
        expires_at_ms=1_760_000_000_000,
        proposal=proposal,
    )
    status = CoreStatus.model_construct(
        time_ms=1,
        venue="sim",
        dry_run=False,
        account="sim",
        process_id=1,
        started_at_ms=1,
        portfolio=None,
        components=(),
        counters={},
        approvals=(waiting,),
    )
    names, values = ([str(c) for c in column.cells] for column in instance_table(status).columns)
    shown = dict(zip(names, values, strict=True))["approval 7"]
    assert "buy 76.85 LINKUSDT at most at 13.01" in shown
    assert "`approvals approve 7`" in shown
