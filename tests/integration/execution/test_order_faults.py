"""Lost answers, lost orders, crashes and trips in the middle: one order per intent, always."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from order_path import START_MS, OrderPath

from trading.errors import RateLimitedError
from trading.execution.desk import OrderDesk
from trading.model.breaker import Actor
from trading.model.decision import ProposalOutcome
from trading.model.market import Tick
from trading.model.order import OrderReport, OrderStatus, Side
from trading.risk.breaker_config import CircuitBreakerConfig, PositionsPolicy


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


async def test_positions_and_stops_are_adopted_after_a_restart(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal())
        before = await path.service.portfolio()
        await path.crash_and_restart()
        after = await path.service.portfolio()
        assert after.positions == before.positions
        assert after.equity == before.equity
        assert len(path.open_stops("BTCUSDT")) == 1
        await path.tick("BTCUSDT", 48_000.0)
        assert [row["exit_reason"] for row in path.rows("SELECT * FROM trades")] == ["stop_loss"]


async def test_a_stop_that_filled_while_we_were_away_closes_the_position(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal())
        path.quiet_stream = True
        path.prices["BTCUSDT"] = 48_000.0
        path.venue.push_tick(Tick("BTCUSDT", 48_000.0, 500.0, path.clock.now_ms()))
        path.service.on_gap("socket dropped")
        await path.service.settle()
        assert not (await path.service.portfolio()).positions
        assert path.service.reconciled


async def test_a_stop_that_cannot_be_placed_is_retried_until_it_stands(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:

        async def refuse_stops() -> None:
            path.client.refuse_connections = 1
            path.client.before_wire = None

        path.client.before_wire = refuse_stops
        await path.service.propose(path.proposal())
        assert not path.open_stops("BTCUSDT")
        await path.advance(1_100)
        assert len(path.open_stops("BTCUSDT")) == 1


async def test_a_position_below_its_stop_without_a_stop_order_is_sold_at_market(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path) as path:

        async def refuse_stops() -> None:
            path.client.refuse_connections = 1
            path.client.before_wire = None

        path.client.before_wire = refuse_stops
        await path.service.propose(path.proposal())
        await path.tick("BTCUSDT", 48_500.0)
        await path.advance(1_100)
        assert path.held("BTC") < Decimal("0.00001")
        assert [row["exit_reason"] for row in path.rows("SELECT * FROM trades")] == ["stop_loss"]


# Trips --------------------------------------------------------------------------------------


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


# Reconciliation -----------------------------------------------------------------------------


async def test_a_missing_balance_trips_and_latches_once_it_is_confirmed(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal())
        await path.advance(0)
        assert path.service.reconciled
        for stop in path.open_stops("BTCUSDT"):
            path.exchange.cancel("replay", "BTCUSDT", client_order_id=stop.client_order_id)
        path.exchange.open_account("replay", {"USDT": path.held("USDT")})
        path.service.on_gap("test")
        await path.service.settle()
        assert path.breaker.snapshot.status == "SAFE"
        await path.advance(2_000)
        assert (path.breaker.snapshot.status, path.breaker.snapshot.latch) == (
            "TRIGGERED",
            "MANUAL",
        )
        assert not path.service.reconciled
        path.breaker.clear(
            actor=Actor.OPERATOR, reason="sold by hand", epoch=path.breaker.snapshot.epoch
        )
        await path.service.settle()
        assert path.service.reconciled
        assert not (await path.service.portfolio()).positions


@pytest.mark.parametrize("fault", ["fail_account", "empty_account"])
async def test_an_unreadable_account_is_not_flat(tmp_path: Path, fault: str) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal())
        setattr(path.client, fault, True)
        path.service.on_gap("test")
        await path.service.settle()
        portfolio = await path.service.portfolio()
        assert len(portfolio.positions) == 1
        assert portfolio.free > 0
        assert not path.service.reconciled
        assert path.breaker.snapshot.status == "SAFE"


async def test_a_new_account_forgets_the_old_ones_orders_and_positions(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal("BTCUSDT"))
        await path.service.propose(path.proposal("ETHUSDT", limit_price=Decimal(1_990)))
        await path.service.stop(cancel_entries=False)
        for order in path.exchange.open_orders("replay"):
            path.exchange.cancel("replay", order.symbol, client_order_id=order.client_order_id)
        path.exchange.open_account("replay", {"USDT": Decimal(10_000)})
        path.service = path._service()
        await path.service.forget_account("a new account")
        await path.service.start()
        portfolio = await path.service.portfolio()
        assert not portfolio.positions
        assert portfolio.equity == 10_000
        assert path.service.reconciled


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


async def test_a_venue_that_refuses_every_sell_is_asked_at_a_walking_pace(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:

        async def refuse() -> None:
            path.client.refuse_connections = 10_000

        path.client.before_wire = refuse
        await path.service.propose(path.proposal())
        path.prices["BTCUSDT"] = 48_000.0
        for _ in range(50):
            await path.advance(100)
        attempts = path.rows("SELECT count(*) AS n FROM orders WHERE purpose != 'ENTRY'")[0]["n"]
        assert 3 <= attempts <= 8


async def test_a_sale_that_the_gate_refuses_does_not_cost_the_position_its_stop(
    tmp_path: Path,
) -> None:
    config = CircuitBreakerConfig(positions_policy=PositionsPolicy.CLOSE_AT_MARKET)
    async with OrderPath(tmp_path, breaker=config) as path:
        await path.service.propose(path.proposal())
        before = path.open_stops("BTCUSDT")
        path.fresh = False
        trip(path)
        await path.service.settle()
        for _ in range(5):
            await path.advance(500)
        assert path.open_stops("BTCUSDT") == before
        path.fresh = True
        await path.advance(500)
        assert path.held("BTC") < Decimal("0.00001")


async def test_ending_cancels_entries_and_leaves_what_they_bought_protected(
    tmp_path: Path,
) -> None:
    path = OrderPath(tmp_path)
    await path.service.start()
    await path.service.propose(path.proposal(limit_price=Decimal(49_900)))
    path.quiet_stream = True  # the partial fill is first seen in the answer to the cancel
    path.venue.push_tick(Tick("BTCUSDT", 49_899.0, 0.004, path.clock.now_ms()))
    assert not path.open_stops("BTCUSDT")
    await path.service.stop()
    (stop,) = path.exchange.open_orders("replay")
    assert stop.type.has_trigger
    assert stop.quantity <= path.held("BTC") < stop.quantity + Decimal("0.00001")
    path.breaker.close()


async def test_fills_that_come_after_the_end_of_their_trade_correct_it_once(
    tmp_path: Path,
) -> None:
    seen: list[OrderReport] = []
    async with OrderPath(tmp_path, quiet_stream=True) as path:
        path.venue.user_stream.attach(seen.append)
        submit = path.client.submit_order

        async def answer_without_fills(request, on_wire):  # type: ignore[no-untyped-def]
            return (await submit(request, on_wire)).model_copy(update={"fills": ()})

        path.client.submit_order = answer_without_fills  # type: ignore[method-assign]
        await path.service.propose(path.proposal())
        await path.service.close_position("BTCUSDT", "operator")
        for report in seen:
            path.service.on_report(report)
        await path.service.settle()
        (trade,) = path.rows("SELECT * FROM trades")
        assert Decimal(trade["pnl"]) == path.held("USDT") - 10_000
        assert trade["exit_reason"] == "operator"
        portfolio = await path.service.portfolio()
        assert not portfolio.positions
        assert portfolio.realized_pnl == Decimal(trade["pnl"])
        assert portfolio.balances[0].total == path.held("USDT")


async def test_fills_that_nobody_reported_are_asked_for(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, quiet_stream=True) as path:
        submit = path.client.submit_order

        async def answer_without_fills(request, on_wire):  # type: ignore[no-untyped-def]
            return (await submit(request, on_wire)).model_copy(update={"fills": ()})

        path.client.submit_order = answer_without_fills  # type: ignore[method-assign]
        await path.service.propose(path.proposal())
        assert not path.rows("SELECT * FROM fills")
        await path.advance(600)
        (position,) = (await path.service.portfolio()).positions
        booked = sum(Decimal(row["quantity"]) for row in path.rows("SELECT quantity FROM fills"))
        assert position.quantity == path.held("BTC")
        assert booked > position.quantity


async def test_fills_missing_from_before_a_restart_are_asked_for(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, quiet_stream=True) as path:
        submit = path.client.submit_order

        async def answer_without_fills(request, on_wire):  # type: ignore[no-untyped-def]
            return (await submit(request, on_wire)).model_copy(update={"fills": ()})

        path.client.submit_order = answer_without_fills  # type: ignore[method-assign]
        await path.service.propose(path.proposal())
        await path.service.close_position("BTCUSDT", "operator")
        await path.crash_and_restart()
        await path.advance(600)
        (trade,) = path.rows("SELECT * FROM trades")
        assert Decimal(trade["pnl"]) == path.held("USDT") - 10_000


async def test_a_venue_that_takes_no_orders_for_a_while_does_not_cost_the_position(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path) as path:
        submit = path.client.submit_order
        refusals: list[str] = []

        async def too_many(request, on_wire):  # type: ignore[no-untyped-def]
            if request.side is Side.SELL and path.clock.now_ms() < START_MS + 20_000:
                refusals.append(request.client_order_id)
                raise RateLimitedError("too many requests", retry_after_s=10)
            return await submit(request, on_wire)

        path.client.submit_order = too_many  # type: ignore[method-assign]
        await path.service.propose(path.proposal())
        for _ in range(25):
            await path.advance(1_000)
        assert 1 <= len(refusals) <= 3  # asked as rarely as the venue wants, and not given up
        assert len(path.open_stops("BTCUSDT")) == 1
        assert not path.rows("SELECT * FROM trades")


async def test_a_fill_during_a_comparison_is_not_taken_for_coins_of_somebody_else(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path, quiet_stream=True) as path:
        await path.service.propose(path.proposal(limit_price=Decimal(49_900)))
        await path.crash_and_restart()
        # The next comparison is the first again.
        path.service._parts.trust._reconciler._based.clear()
        account = path.client.account

        async def fill_before_the_answer():  # type: ignore[no-untyped-def]
            path.venue.push_tick(Tick("BTCUSDT", 49_800.0, 500.0, path.clock.now_ms()))
            return await account()

        path.client.account = fill_before_the_answer  # type: ignore[method-assign]
        path.service.on_gap("test")
        await path.service.settle()
        path.client.account = account  # type: ignore[method-assign]
        for _ in range(3):
            await path.advance(2_000)
        (position,) = (await path.service.portfolio()).positions
        assert position.quantity == path.held("BTC")
        assert path.service._parts.books.account.external["BTC"] == 0
        assert path.service.reconciled
