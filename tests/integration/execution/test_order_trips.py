"""What a trip does on the order path, to entries, stops and positions."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from order_path import OrderPath

from trading.model.breaker import Actor
from trading.model.decision import ProposalOutcome
from trading.risk.breaker_config import CircuitBreakerConfig, PositionsPolicy


def entries(path: OrderPath) -> int:
    return sum(request.purpose == "ENTRY" for request in path.client.submitted)


def trip(path: OrderPath) -> None:
    path.breaker.trigger("test", actor=Actor.OPERATOR)


async def test_a_trip_cancels_entries_and_keeps_protective_stops(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal("BTCUSDT"))
        await path.service.propose(path.proposal("ETHUSDT", limit_price=Decimal(1_990)))
        trip(path)
        await path.service.settle()
        (order,) = path.exchange.open_orders("replay")
        assert (order.symbol, order.type.has_trigger) == ("BTCUSDT", True)
        (event,) = path.rows("SELECT * FROM circuit_breaker_events WHERE kind = 'trip'")
        assert (event["orders_cancelled"], event["positions_affected"]) == (1, 1)


async def test_the_sweep_is_repeated_until_every_cancel_is_confirmed(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal("ETHUSDT", limit_price=Decimal(1_990)))
        path.client.fail_cancels = 3
        trip(path)
        await path.service.settle()
        assert path.exchange.open_orders("replay")
        for _ in range(4):
            await path.advance(500)
        assert not path.exchange.open_orders("replay")


async def test_an_entry_of_unknown_outcome_is_found_and_cancelled_by_the_sweep(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path, quiet_stream=True) as path:
        path.client.lose_answers = 1
        path.client.hide_queries = 2
        await path.service.propose(path.proposal("ETHUSDT", limit_price=Decimal(1_990)))
        trip(path)
        await path.service.settle()
        for _ in range(4):
            await path.advance(500)
        assert not path.exchange.open_orders("replay")
        assert path.service.unknown_orders == 0


async def test_a_trip_tightens_stops_and_never_loosens_them(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal("BTCUSDT", stop_loss_pct=8.0, take_profit_pct=9.0))
        await path.service.propose(path.proposal("ETHUSDT", stop_loss_pct=1.0))
        (near,) = path.open_stops("ETHUSDT")
        trip(path)
        await path.service.settle()
        (far,) = path.open_stops("BTCUSDT")
        assert far.trigger_price == Decimal("49000.00")
        (kept,) = path.open_stops("ETHUSDT")
        assert kept.trigger_price == near.trigger_price


@pytest.mark.parametrize("policy", list(PositionsPolicy))
async def test_each_policy_does_with_positions_what_it_says(
    tmp_path: Path, policy: PositionsPolicy
) -> None:
    config = CircuitBreakerConfig(positions_policy=policy, tight_stop_pct=0.5)
    async with OrderPath(tmp_path, breaker=config) as path:
        await path.service.propose(path.proposal())
        trip(path)
        await path.service.settle()
        stops = [stop.trigger_price for stop in path.open_stops("BTCUSDT")]
        if policy is PositionsPolicy.CLOSE_AT_MARKET:
            assert not stops
            assert path.held("BTC") < Decimal("0.00001")
        elif policy is PositionsPolicy.KEEP_WITH_TIGHT_STOPS:
            assert stops == [Decimal("49750.00")]
        else:
            assert stops[0] < Decimal("49100")


async def test_nothing_enters_while_triggered_and_positions_can_be_closed(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal())
        trip(path)
        await path.service.settle()
        refused = await path.service.propose(path.proposal("ETHUSDT"))
        assert (refused.outcome, refused.rule) == (ProposalOutcome.REFUSED, "breaker_halted")
        closed = await path.service.close_position("BTCUSDT", "operator")
        assert closed.outcome is ProposalOutcome.ACCEPTED


async def test_a_trip_in_the_middle_of_a_send_fences_it_before_the_wire(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:

        async def crash() -> None:
            trip(path)

        path.client.before_wire = crash
        result = await path.service.propose(path.proposal())
        assert result.outcome is ProposalOutcome.REFUSED
        assert "fenced" in result.reason
        assert entries(path) == 0
        assert (await path.service.portfolio()).reserved_exposure == 0


async def test_a_stored_trip_of_another_process_stops_the_entry_in_the_journal(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path) as path:
        with path.database() as other:
            other.execute(
                "UPDATE breaker_state SET status = 'TRIGGERED', epoch = epoch + 1,"
                " size_multiplier = 0"
            )
        result = await path.service.propose(path.proposal())
        assert (result.outcome, result.rule) == (ProposalOutcome.REFUSED, "breaker_halted")
        assert not path.rows("SELECT * FROM orders")
        assert (await path.service.portfolio()).reserved_exposure == 0


async def test_a_late_fill_during_a_halt_is_protected(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, quiet_stream=True) as path:
        path.client.lose_answers = 1
        path.client.hide_queries = 2
        await path.service.propose(path.proposal())
        trip(path)
        await path.service.settle()
        for _ in range(4):
            await path.advance(1_000)
        assert len(path.open_stops("BTCUSDT")) == 1


async def test_the_halt_is_worth_what_the_shadow_account_would_have_lost(tmp_path: Path) -> None:
    config = CircuitBreakerConfig(positions_policy=PositionsPolicy.CLOSE_AT_MARKET)
    async with OrderPath(tmp_path, breaker=config) as path:
        await path.service.propose(
            path.proposal(notional=Decimal(2_000), stop_loss_pct=5.0, take_profit_pct=9.0)
        )
        trip(path)
        await path.service.settle()
        await path.tick("BTCUSDT", 40_000.0)
        saved = await path.service.capital_saved()
        assert saved is not None
        # About 2,000 × 20 % less the fees of both sides.
        assert Decimal(380) < saved < Decimal(420)
        path.breaker.clear(
            actor=Actor.OPERATOR, reason="test", epoch=path.breaker.snapshot.epoch, force=True
        )
        await path.service.settle()
        (event,) = path.rows("SELECT * FROM circuit_breaker_events WHERE kind = 'trip'")
        assert Decimal(event["capital_saved"]) == saved
