"""Loss limits, pauses, approvals and refusals over the whole order path."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from order_path import OrderPath, trader

from trading.errors import RiskLimitError
from trading.model.breaker import Actor, BreakerStatus, Latch
from trading.model.decision import ProposalOutcome
from trading.model.order import OrderPurpose

DAY_MS = 86_400_000


async def lose(path: OrderPath, name: str, fall: float = 0.019) -> None:
    """Buy, see the price fall, sell, and let the price come back."""
    price = path.prices["BTCUSDT"]
    await path.service.propose(path.proposal(name=name, notional=Decimal(2_000)))
    await path.tick("BTCUSDT", price * (1 - fall))
    await path.service.close_position("BTCUSDT", "test")
    await path.tick("BTCUSDT", price)


async def test_a_weeks_losses_latch_the_breaker_once_and_keep_refusing(tmp_path: Path) -> None:
    risk = trader(max_weekly_loss_pct=1.0, max_daily_loss_pct=50, max_drawdown_pct=50)
    async with OrderPath(tmp_path, risk=risk) as path:
        await path.advance(0)
        for number in range(3):
            await lose(path, str(number))
        await path.advance(1_000)
        assert path.breaker.snapshot.status is BreakerStatus.TRIGGERED
        assert path.breaker.snapshot.latch is Latch.MANUAL
        assert "this week" in path.breaker.snapshot.reason
        epoch = path.breaker.snapshot.epoch
        path.breaker.clear(actor=Actor.OPERATOR, reason="seen", epoch=epoch, force=True)
        await path.crash_and_restart()
        await path.advance(1_000)
        assert path.breaker.snapshot.status is BreakerStatus.SAFE
        assert (await path.service.propose(path.proposal(name="9"))).rule == "max_weekly_loss_pct"
        await path.advance(7 * DAY_MS)
        assert (await path.service.propose(path.proposal(name="10"))).rule is None


async def test_a_drawdown_counts_anew_once_an_operator_goes_on(tmp_path: Path) -> None:
    risk = trader(max_weekly_loss_pct=50, max_daily_loss_pct=50, max_drawdown_pct=1.0)
    async with OrderPath(tmp_path, risk=risk) as path:
        await path.advance(0)
        for number in range(3):
            await lose(path, str(number))
        await path.advance(1_000)
        snapshot = path.breaker.snapshot
        assert snapshot.latch is Latch.MANUAL
        assert "since the peak" in snapshot.reason
        path.breaker.clear(actor=Actor.OPERATOR, reason="seen", epoch=snapshot.epoch, force=True)
        await path.advance(0)
        assert (await path.service.propose(path.proposal(name="9"))).rule is None


async def test_losses_in_a_row_make_a_pause(tmp_path: Path) -> None:
    risk = trader(max_losing_streak=2, losing_streak_pause_minutes=30)
    async with OrderPath(tmp_path, risk=risk) as path:
        await lose(path, "1")
        await lose(path, "2")
        assert (await path.service.propose(path.proposal(name="3"))).rule == "max_losing_streak"
        await path.advance(31 * 60_000)
        assert (await path.service.propose(path.proposal(name="4"))).rule is None


async def test_an_entry_that_was_not_approved_cannot_be_sent(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal(limit_price=Decimal(49_500)))
        (entry,) = path.service._parts.desk.live(purpose=OrderPurpose.ENTRY)
        sent = len(path.client.submitted)
        with pytest.raises(RiskLimitError, match="unapproved"):
            await path.service._parts.desk.send(entry)
        assert len(path.client.submitted) == sent


async def test_every_refusal_is_a_row_with_rule_limit_and_value(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        for changes in ({"stop_loss_pct": 11.0}, {"confidence": 0.1}, {"epoch": 7}):
            await path.service.propose(path.proposal(name=str(changes), **changes))
        path.breaker.trigger("test", actor=Actor.RULE)
        await path.service.propose(path.proposal(name="halted"))
        rows = path.rows("SELECT rule, limit_value, value FROM risk_events ORDER BY id")
        assert [tuple(row.values()) for row in rows] == [
            ("max_stop_loss_pct", "10.0", "11.0"),
            ("min_confidence", "0.6", "0.1"),
            ("epoch", "0", "7"),
            ("breaker_halted", "entries allowed", "TRIGGERED"),
        ]


async def test_no_limit_keeps_a_position_open(tmp_path: Path) -> None:
    """Every rule would refuse an entry now; the exit goes out."""
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal())
        nothing_allowed = trader(
            max_concurrent_positions=1, max_orders_per_minute=1, max_portfolio_exposure_pct=1
        )
        path.service._parts.limits._config = nothing_allowed
        refused = await path.service.propose(path.proposal("ETHUSDT"))
        assert refused.outcome is ProposalOutcome.REFUSED
        sold = await path.service.close_position("BTCUSDT", "test")
        assert sold.outcome is ProposalOutcome.ACCEPTED


async def test_a_flood_of_proposals_is_refused_unread(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, risk=trader(max_proposals_per_minute=3)) as path:
        rules = [
            (await path.service.propose(path.proposal(name=str(n), confidence=0.1))).rule
            for n in range(5)
        ]
        assert rules == [*["min_confidence"] * 3, *["max_proposals_per_minute"] * 2]
