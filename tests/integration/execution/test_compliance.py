"""Compliance on the whole order path: refusals on record, exits untouched, a person's consent."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from order_path import START_MS, OrderPath

from trading.clock import DAY_MS, MINUTE_MS, iso, utc
from trading.errors import DecisionRejectedError, OrderNotFoundError
from trading.events import ApprovalRequested
from trading.model.breaker import Actor
from trading.model.decision import ProposalOutcome
from trading.model.operations import ENTRIES, Approval, ApprovalStatus
from trading.risk.compliance_config import ComplianceConfig
from trading.storage.control_repository import ControlRepository

SECOND_MS = 1_000


def rules(**settings: Any) -> ComplianceConfig:
    return ComplianceConfig.model_validate(settings)


def refusal(path: OrderPath) -> tuple[str, str, str]:
    """Rule, limit and value of the last risk event."""
    row = path.rows("SELECT rule, limit_value, value FROM risk_events ORDER BY id DESC LIMIT 1")[0]
    return row["rule"], row["limit_value"], row["value"]


NOW = utc(START_MS)  # 2023-11-14 22:13:20, a Tuesday
PERIOD = {"start": "2023-11-14T22:00Z", "end": "2023-11-14T23:00Z", "reason": "FOMC"}


@pytest.mark.parametrize(
    ("settings", "rule", "limit", "value"),
    [
        (
            {"trading_hours": [{"days": ["mon"], "start": "22:00", "end": "23:00"}]},
            "trading_hours",
            "mon 22:00–23:00 UTC",
            "Tue 22:13 UTC",
        ),
        (
            {"restricted_periods": [PERIOD]},
            "restricted_period",
            "none until 2023-11-14 23:00 UTC",
            "2023-11-14 22:13 UTC",
        ),
        ({"max_daily_volume_pct": 9.9}, "max_daily_volume_pct", "990.00", "999.98"),
        ({"approval_mode": "alert-only"}, "approval_mode", "alert-only", "an entry of 999.98"),
    ],
    ids=lambda value: value if isinstance(value, str) and "_" in value else "",
)
async def test_a_refusal_names_rule_limit_and_value_and_nothing_is_sent(
    tmp_path: Path, settings: dict[str, Any], rule: str, limit: str, value: str
) -> None:
    async with OrderPath(tmp_path, compliance=rules(**settings)) as path:
        proposal = path.proposal()
        assert (await path.service.preview(proposal)).rule in (rule, None)
        result = await path.service.propose(proposal)
        assert (result.outcome, result.rule) == (ProposalOutcome.REFUSED, rule)
        assert refusal(path) == (rule, limit, value)
        assert not path.client.submitted


async def test_the_day_has_so_many_entries_and_the_next_one_has_them_again(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, compliance=rules(max_daily_trades=2)) as path:
        for symbol in ("BTCUSDT", "ETHUSDT"):
            assert (await path.service.propose(path.proposal(symbol))).rule is None
        refused = await path.service.propose(path.proposal("SOLUSDT"))
        assert refused.rule == "max_daily_trades"
        assert refusal(path) == ("max_daily_trades", "2", "3")
        await path.crash_and_restart()
        again = await path.service.propose(path.proposal("SOLUSDT", "2"))
        assert again.rule == "max_daily_trades", "a restart does not begin a new day"
        await path.advance(DAY_MS - START_MS % DAY_MS)
        assert (await path.service.propose(path.proposal("SOLUSDT", "3"))).rule is None


async def test_two_entries_at_once_do_not_share_the_last_one_of_the_day(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, compliance=rules(max_daily_trades=1)) as path:
        proposals = [path.proposal(symbol) for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")]
        results = await asyncio.gather(*(path.service.propose(one) for one in proposals))
        assert sorted(result.rule or "" for result in results) == [
            "",
            "max_daily_trades",
            "max_daily_trades",
        ]


async def test_exits_and_protective_orders_pass_whatever_stands_against_entries(
    tmp_path: Path,
) -> None:
    forbidding = rules(
        restricted_periods=[{**PERIOD, "start": iso(START_MS + 1_000)}],
        trading_hours=[{"start": NOW.strftime("%H:%M"), "end": NOW.strftime("%H:14")}],
        max_daily_trades=1,
    )
    async with OrderPath(tmp_path, compliance=forbidding) as path:
        await path.service.propose(path.proposal())
        await path.service.operations.stop(ENTRIES, "test")
        await path.service.operations.stop("agent:risk_assessor", "test")
        await path.advance(MINUTE_MS)
        assert len(path.open_stops("BTCUSDT")) == 1
        refused = await path.service.propose(path.proposal("ETHUSDT"))
        assert refused.outcome is ProposalOutcome.REFUSED
        closed = await path.service.close_position("BTCUSDT", "test")
        assert closed.outcome is ProposalOutcome.ACCEPTED
        assert not path.open_stops("BTCUSDT")


async def test_what_another_process_halts_in_the_store_is_obeyed_at_the_next_entry(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path) as path:
        with path.database() as connection:
            ControlRepository(connection).set(ENTRIES, "by hand", START_MS, actor="operator")
        at_once = await path.service.propose(path.proposal())
        assert at_once.outcome is ProposalOutcome.REFUSED
        assert at_once.rule in ("breaker_halted", "entries_halted")
        await path.advance(100)
        assert (await path.service.propose(path.proposal("ETHUSDT"))).rule == "entries_halted"
        await path.service.operations.lift(ENTRIES, "again")
        assert (await path.service.propose(path.proposal("SOLUSDT"))).rule is None
        assert [order.symbol for order in path.client.submitted][:1] == ["SOLUSDT"]


# A person's consent ---------------------------------------------------------------------------


class Asked:
    """An entry that waits for a person."""

    def __init__(self, path: OrderPath) -> None:
        self.path = path
        self.approvals: list[Approval] = []
        path.bus.subscribe(ApprovalRequested, lambda event: self.approvals.append(event.approval))

    async def one(self, symbol: str = "BTCUSDT", **changes: Any) -> Approval:
        result = await self.path.service.propose(self.path.proposal(symbol, **changes))
        assert result.outcome is ProposalOutcome.AWAITING_APPROVAL, result
        assert not self.path.client.submitted
        return self.approvals[-1]


def kept_in(path: OrderPath) -> list[tuple[str, str, str, str]]:
    """Rule, limit, value and pair of each entry that did not get its person's word."""
    rows = path.rows("SELECT * FROM risk_events WHERE rule LIKE 'approval%' ORDER BY id")
    return [(row["rule"], row["limit_value"], row["value"], row["symbol"]) for row in rows]


SEMI_AUTO = rules(approval_mode="semi-auto", approval_timeout_s=60)


async def test_an_approved_entry_is_sent_once_however_often_it_is_approved(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, compliance=SEMI_AUTO) as path:
        approval = await Asked(path).one()
        await path.advance(40 * SECOND_MS)  # longer than the crew's own deadline
        first = await path.service.operations.approve(approval.id, "looks fine")
        second = await path.service.operations.approve(approval.id, "again")
        assert first.result is not None
        assert first.result.outcome is ProposalOutcome.ACCEPTED
        assert second.result == first.result
        assert [order.purpose for order in path.client.submitted].count("ENTRY") == 1
        assert len(path.open_stops("BTCUSDT")) == 1, "protected like any other"
        kinds = path.rows("SELECT actor FROM audit_log WHERE kind = 'approval' ORDER BY seq")
        assert [row["actor"] for row in kinds] == ["core", "operator", "core"]


async def test_an_order_waits_and_holds_no_exposure(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, compliance=SEMI_AUTO) as path:
        asked = Asked(path)
        approval = await asked.one()
        same = await path.service.propose(approval.proposal)
        assert same.outcome is ProposalOutcome.AWAITING_APPROVAL
        assert len(asked.approvals) == 1, "asked once, however often it is proposed"
        assert (await path.service.portfolio()).reserved_exposure == 0


async def test_a_refused_one_is_never_sent(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, compliance=SEMI_AUTO) as path:
        approval = await Asked(path).one()
        operations = path.service.operations
        assert (await operations.refuse(approval.id, "no")).status is ApprovalStatus.REFUSED
        assert (await operations.refuse(approval.id, "no")).status is ApprovalStatus.REFUSED
        with pytest.raises(DecisionRejectedError, match="is refused: no"):
            await operations.approve(approval.id, "yes after all")
        assert kept_in(path) == [("approval", "a person's consent", "refused", "BTCUSDT")]
        again = await path.service.propose(approval.proposal)
        assert (again.outcome, again.rule) == (ProposalOutcome.REFUSED, "approval")
        assert not path.client.submitted


async def test_nobody_can_approve_what_has_expired(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, compliance=SEMI_AUTO) as path:
        approval = await Asked(path).one()
        assert approval.expires_at_ms == path.clock.now_ms() + 60 * SECOND_MS
        await path.advance(60 * SECOND_MS)
        (stored,) = await path.service.operations.approvals(10)
        assert stored.status is ApprovalStatus.EXPIRED
        assert kept_in(path) == [("approval", "a person's consent", "expired", "BTCUSDT")]
        with pytest.raises(DecisionRejectedError, match="expired"):
            await path.service.operations.approve(approval.id, "too late")
        with pytest.raises(OrderNotFoundError):
            await path.service.operations.approve(99, "which one?")


@pytest.mark.parametrize(
    ("meanwhile", "rule"),
    [
        ("a trip", "breaker_halted"),
        ("a trip that was cleared", "epoch"),
        ("stale data", "data_stale"),
        ("the day's last entry", "max_daily_trades"),
        ("a halt of entries", "entries_halted"),
        ("a paused agent", "agent_paused"),
    ],
)
async def test_every_gate_is_asked_again_when_a_person_has_approved(
    tmp_path: Path, meanwhile: str, rule: str
) -> None:
    config = SEMI_AUTO.model_copy(update={"max_daily_trades": 1})
    async with OrderPath(tmp_path, compliance=config) as path:
        asked = Asked(path)
        approval, other = await asked.one(), await asked.one("ETHUSDT")
        match meanwhile:
            case "a trip":
                path.breaker.trigger("fall")
            case "a trip that was cleared":
                epoch = path.breaker.trigger("fall").epoch
                path.breaker.clear(actor=Actor.OPERATOR, reason="no", epoch=epoch, force=True)
            case "stale data":
                path.fresh = False
            case "the day's last entry":
                await path.service.operations.approve(other.id, "this one")
            case "a halt of entries":
                await path.service.operations.stop(ENTRIES, "test")
            case "a paused agent":
                await path.service.operations.stop("agent:market_scanner", "test")
        sent = len(path.client.submitted)
        result = (await path.service.operations.approve(approval.id, "go")).result
        assert result is not None
        assert (result.outcome, result.rule) == (ProposalOutcome.REFUSED, rule)
        assert len(path.client.submitted) == sent


async def test_a_pause_of_an_agent_that_only_explains_stops_no_entry(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.operations.stop("agent:risk_manager", "test")
        result = await path.service.propose(path.proposal())
        assert result.outcome is ProposalOutcome.ACCEPTED, result


async def test_a_price_that_ran_away_since_it_was_asked_is_not_approved(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, compliance=SEMI_AUTO) as path:
        approval = await Asked(path).one()
        path.prices["BTCUSDT"] *= 1.03
        with pytest.raises(DecisionRejectedError, match="moved 3"):
            await path.service.operations.approve(approval.id, "go")
        (row,) = kept_in(path)
        assert row == ("approval_price_moved", "2.0 %", "3.00 %", "BTCUSDT")
        assert not path.client.submitted


async def test_an_approved_order_is_no_larger_than_what_the_person_saw(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, compliance=SEMI_AUTO) as path:
        path.breaker.set_warning("careful", actor=Actor.RULE)
        approval = await Asked(path).one()
        assert approval.notional < 501, "a warning halves sizes"
        epoch = path.breaker.snapshot.epoch
        path.breaker.clear(actor=Actor.OPERATOR, reason="calm", epoch=epoch, force=True)
        await path.service.operations.approve(approval.id, "go")
        (entry,) = [order for order in path.client.submitted if order.purpose == "ENTRY"]
        assert entry.quantity <= approval.quantity


async def test_a_waiting_entry_outlives_a_restart(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, compliance=SEMI_AUTO) as path:
        approval = await Asked(path).one()
        await path.crash_and_restart()
        approved = await path.service.operations.approve(approval.id, "go")
        assert approved.result is not None
        assert approved.result.filled_quantity > Decimal(0)
