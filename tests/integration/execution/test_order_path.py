"""From a proposal to a position, its stop and its end, over a real store."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from order_path import START_MS, OrderPath, trader

from trading.execution.config import ExecutionConfig
from trading.model.decision import AgentDecision, ProposalOutcome
from trading.model.order import OrderType
from trading.storage.decision_repository import DecisionRepository


async def test_a_filled_entry_has_a_stop_of_the_size_of_its_position(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        result = await path.service.propose(path.proposal())
        assert result.outcome is ProposalOutcome.ACCEPTED, result
        assert result.filled_quantity > 0
        (stop,) = path.open_stops("BTCUSDT")
        assert stop.client_order_id == result.stop_client_order_id
        position = (await path.service.portfolio()).positions[0]
        # The fee is taken in BTC, so the position is smaller than what was bought.
        assert position.quantity == result.filled_quantity * Decimal("0.999")
        assert stop.quantity == position.quantity.quantize(Decimal("0.00001"), "ROUND_DOWN")
        assert position.quantity == path.held("BTC")


async def test_equity_falls_by_the_fee_and_the_spread_only(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        before = (await path.service.portfolio()).equity
        await path.service.propose(path.proposal())
        after = (await path.service.portfolio()).equity
        assert Decimal(0) < before - after < Decimal(2)


def decision_on(spike_id: str) -> AgentDecision:
    return AgentDecision(
        agent_name="strategy_executor",
        agent_role="executor",
        decision_type="execution",
        decision="enter",
        confidence=0.9,
        reasoning="test",
        input_data={},
        output_data={},
        execution_time_ms=1.0,
        spike_event_id=spike_id,
    )


async def test_a_hit_stop_closes_the_position_into_a_trade(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        proposal = path.proposal()
        await path.service.propose(proposal)
        with path.database() as connection:
            DecisionRepository(connection).record(decision_on(proposal.spike_id), START_MS)
        await path.tick("BTCUSDT", 48_000.0)
        assert not (await path.service.portfolio()).positions
        (trade,) = path.rows("SELECT * FROM trades")
        assert trade["exit_reason"] == "stop_loss"
        assert Decimal(trade["pnl"]) < 0
        (spike,) = path.rows("SELECT * FROM spike_events WHERE id = ?", proposal.spike_id)
        assert (spike["outcome"], spike["status"]) == ("unprofitable", "traded")
        assert spike["trade_id"] == trade["id"]
        (decision,) = path.rows("SELECT * FROM agent_decisions")
        assert decision["trade_id"] == trade["id"]
        cash = path.held("USDT")
        assert cash - 10_000 == Decimal(trade["pnl"])


async def test_a_reached_take_profit_sells_and_leaves_no_stop(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal())
        await path.tick("BTCUSDT", 52_500.0)
        (trade,) = path.rows("SELECT * FROM trades")
        assert trade["exit_reason"] == "take_profit"
        assert Decimal(trade["pnl"]) > 0
        assert not path.exchange.open_orders("replay")
        assert path.held("USDT") - 10_000 == Decimal(trade["pnl"])


async def test_a_take_profit_that_finds_no_buyer_puts_the_stop_back(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal(notional=Decimal(2_000)))
        # Our price is far above the book: the immediate-or-cancel sell finds no buyer.
        path.prices["BTCUSDT"] = 60_000.0
        await path.advance(100)
        (stop,) = path.open_stops("BTCUSDT")
        assert stop.quantity <= path.held("BTC")
        (position,) = (await path.service.portfolio()).positions
        assert position.stop_client_order_id == stop.client_order_id


async def test_partial_fills_are_protected_from_the_first_one_on(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        resting = path.proposal(entry_type=OrderType.LIMIT, limit_price=Decimal(49_900))
        result = await path.service.propose(resting)
        assert result.outcome is ProposalOutcome.ACCEPTED
        assert not path.open_stops("BTCUSDT")
        sizes = []
        for _ in range(3):
            await path.tick("BTCUSDT", 49_899.0, quantity=0.004)
            stops = path.open_stops("BTCUSDT")
            sizes.append(sum(stop.quantity for stop in stops))
            assert len(stops) <= 1
            assert sizes[-1] <= path.held("BTC")
            assert path.held("BTC") - sizes[-1] < Decimal("0.00001")
        assert sizes == sorted(sizes)
        assert sizes[0] > 0


async def test_an_entry_that_rests_too_long_is_cancelled_and_frees_its_reservation(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal(limit_price=Decimal(49_500)))
        assert (await path.service.portfolio()).reserved_exposure > 0
        await path.advance(29_999)
        assert path.exchange.open_orders("replay")
        await path.advance(1)
        assert not path.exchange.open_orders("replay")
        assert (await path.service.portfolio()).reserved_exposure == 0


async def test_closing_a_position_sells_all_of_it_and_its_stop_is_gone(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal())
        result = await path.service.close_position("BTCUSDT", "operator")
        assert result.outcome is ProposalOutcome.ACCEPTED
        assert not path.exchange.open_orders("replay")
        assert path.held("BTC") < Decimal("0.00001")
        assert path.rows("SELECT exit_reason FROM trades") == [{"exit_reason": "operator"}]
        again = await path.service.close_position("BTCUSDT", "operator")
        assert (again.outcome, again.rule) == (ProposalOutcome.REFUSED, "no_position")


async def test_the_same_proposal_twice_is_one_order(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        proposal = path.proposal()
        first = await path.service.propose(proposal)
        second = await path.service.propose(proposal.model_copy(update={"notional": Decimal(500)}))
        assert second.client_order_id == first.client_order_id
        assert len(path.rows("SELECT * FROM orders WHERE purpose = 'ENTRY'")) == 1
        assert len([r for r in path.client.submitted if r.purpose == "ENTRY"]) == 1


async def test_a_stop_limit_is_placed_where_it_is_configured(tmp_path: Path) -> None:
    config = ExecutionConfig(protective_stop_type="STOP_LOSS_LIMIT")
    async with OrderPath(tmp_path, execution=config) as path:
        await path.service.propose(path.proposal())
        (stop,) = path.open_stops("BTCUSDT")
        assert stop.type is OrderType.STOP_LOSS_LIMIT
        assert stop.limit_price < stop.trigger_price


async def test_refusals_are_recorded_with_rule_limit_and_value(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, risk=trader(max_concurrent_positions=1)) as path:
        await path.service.propose(path.proposal("BTCUSDT"))
        result = await path.service.propose(path.proposal("ETHUSDT"))
        assert (result.outcome, result.rule) == (
            ProposalOutcome.REFUSED,
            "max_concurrent_positions",
        )
        (event,) = path.rows("SELECT * FROM risk_events WHERE rule = ?", result.rule)
        assert (event["limit_value"], event["value"], event["symbol"]) == ("1", "2", "ETHUSDT")


async def test_a_preview_reserves_nothing_and_agrees_with_the_order(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        proposal = path.proposal()
        preview = await path.service.preview(proposal)
        assert preview.approved
        assert (await path.service.portfolio()).reserved_exposure == 0
        result = await path.service.propose(proposal)
        assert result.notional_approved == preview.notional
        refused = await path.service.preview(path.proposal(name="2"))
        assert (refused.approved, refused.rule) == (False, "one_position_per_symbol")


async def test_the_daily_loss_floor_trips_and_latches(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, risk=trader(max_daily_loss_pct=0.3)) as path:
        await path.advance(0)
        await path.service.propose(path.proposal(notional=Decimal(2_000)))
        await path.tick("BTCUSDT", 49_050.0)
        snapshot = path.breaker.snapshot
        assert (snapshot.status, snapshot.latch) == ("TRIGGERED", "MANUAL")
        assert "of equity today" in snapshot.reason


async def test_the_days_opening_equity_survives_a_restart(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, risk=trader(max_daily_loss_pct=0.4)) as path:
        await path.advance(0)
        await path.service.propose(path.proposal(notional=Decimal(2_000)))
        await path.tick("BTCUSDT", 49_200.0)
        assert path.breaker.snapshot.status == "SAFE"
        await path.crash_and_restart()
        await path.tick("BTCUSDT", 48_900.0)
        await path.tick("BTCUSDT", 48_700.0)
        assert path.breaker.snapshot.latch == "MANUAL"


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT"])
async def test_cash_and_positions_agree_with_the_exchange_after_a_round_trip(
    tmp_path: Path, symbol: str
) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal(symbol))
        portfolio = await path.service.portfolio()
        balances = path.exchange.balances("replay")
        for ours in portfolio.balances:
            assert ours == balances[ours.asset]
        await path.service.close_position(symbol, "done")
        portfolio = await path.service.portfolio()
        assert portfolio.balances[0] == path.exchange.balances("replay")["USDT"]
        assert portfolio.equity == path.held("USDT")
        assert portfolio.realized_pnl == path.held("USDT") - 10_000
