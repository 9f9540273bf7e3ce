"""A position has its protective stop, whatever the venue does meanwhile."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from order_path import START_MS, OrderPath

from trading.errors import RateLimitedError
from trading.model.breaker import Actor
from trading.model.market import Tick
from trading.model.order import Side
from trading.risk.breaker_config import CircuitBreakerConfig, PositionsPolicy


def trip(path: OrderPath) -> None:
    path.breaker.trigger("test", actor=Actor.OPERATOR)


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
