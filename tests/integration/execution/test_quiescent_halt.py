"""When and where a trip that has come to rest is noted."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from order_path import START_MS, OrderPath

from trading.execution.config import ExecutionConfig
from trading.model.breaker import Actor
from trading.model.market import Tick
from trading.model.order import OrderType

RETRY_MS = 2_000
EXECUTION = ExecutionConfig(reconcile_retry_ms=RETRY_MS, reconcile_interval_ms=600_000)


def trips(path: OrderPath) -> list[dict[str, Any]]:
    return path.rows(
        "SELECT kind, epoch, quiescent_at, quiescent_at_ms FROM circuit_breaker_events"
        " WHERE kind IN ('trip', 'retrip') ORDER BY id"
    )


async def test_two_clean_snapshots_a_retry_pause_apart_make_a_trip_quiescent(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path, execution=EXECUTION) as path:
        path.breaker.trigger("fall", actor=Actor.RULE)
        await path.advance(0)
        await path.advance(RETRY_MS - 1)
        assert path.service.quiet.epoch is None
        assert "second account snapshot" in path.service.quiet.waits_for
        await path.advance(1)
        assert path.service.quiet.epoch == 1
        (trip,) = trips(path)
        assert trip["quiescent_at_ms"] == path.service.quiet.at_ms == START_MS + RETRY_MS
        assert trip["quiescent_at"].startswith("2023-11-14T22:13:22")
        assert path.breaker.quiescent_at_ms() == START_MS + RETRY_MS


async def test_a_further_trip_starts_the_proof_anew_in_a_row_of_its_own(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, execution=EXECUTION) as path:
        path.breaker.trigger("fall", actor=Actor.RULE)
        await path.advance(0)
        await path.advance(RETRY_MS)
        path.breaker.trigger("a further fall", actor=Actor.RULE)
        await path.advance(0)
        assert path.service.quiet.epoch is None
        assert path.breaker.quiescent_at_ms() is None
        await path.advance(RETRY_MS)
        first, second = trips(path)
        assert (first["kind"], first["quiescent_at_ms"]) == ("trip", START_MS + RETRY_MS)
        assert (second["kind"], second["quiescent_at_ms"]) == ("retrip", START_MS + 2 * RETRY_MS)


async def test_a_models_further_trips_do_not_keep_a_halt_from_coming_to_rest(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path, execution=EXECUTION) as path:
        for _ in range(10):
            path.breaker.trigger("a headline", actor=Actor.LLM)
            await path.advance(500)
        assert path.service.quiet.epoch == path.breaker.snapshot.epoch == 10


async def test_an_order_of_unknown_outcome_keeps_a_trip_from_being_quiescent(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path, execution=EXECUTION) as path:
        path.client.lose_orders = 1
        await path.service.propose(path.proposal())
        path.breaker.trigger("fall", actor=Actor.RULE)
        for _ in range(4):
            await path.advance(1_000)
        assert path.service.quiet.waits_for == "1 orders of unknown outcome"
        for _ in range(20):
            await path.advance(1_000)
        assert path.service.quiet.epoch == 1


async def test_after_a_restart_the_proof_is_given_again_and_the_first_time_stands(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path, execution=EXECUTION) as path:
        path.breaker.trigger("fall", actor=Actor.RULE)
        await path.advance(0)
        await path.advance(RETRY_MS)
        await path.crash_and_restart()
        assert path.service.quiet.epoch is None
        assert path.breaker.quiescent_at_ms() == START_MS + RETRY_MS
        await path.advance(0)
        await path.advance(RETRY_MS)
        assert path.service.quiet.at_ms == START_MS + RETRY_MS


async def test_a_fill_that_nobody_reported_yet_does_not_pass_for_a_loss(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, execution=EXECUTION, quiet_stream=True) as path:
        entry = path.proposal(entry_type=OrderType.LIMIT, limit_price=Decimal("49500"))
        await path.service.propose(entry)
        real = path.venue.client.account

        async def account() -> Any:
            """The entry fills after the orders were read, and before the account is."""
            path.venue.push_tick(Tick("BTCUSDT", 49_400.0, 500.0, path.clock.now_ms()))
            return await real()

        path.client.account = account  # type: ignore[method-assign]
        path.service.on_gap("reconnected")
        await path.service.settle()
        # Bought at 49,500 and worth 50,000 each: what it cost must not be missing.
        assert (await path.service.portfolio()).equity >= 10_000
        await path.advance(10)
        assert not path.breaker.entries_blocked


async def test_an_account_that_lags_is_not_taken_for_a_difference_in_quick_succession(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path, execution=EXECUTION) as path:
        await path.service.propose(path.proposal())
        snapshot = await path.venue.client.account()
        btc = snapshot.balances["BTC"].model_copy(update={"free": 0, "locked": 0})
        behind = snapshot.model_copy(update={"balances": {**snapshot.balances, "BTC": btc}})

        async def lagging() -> Any:
            return behind

        path.client.account = lagging  # type: ignore[method-assign]
        for _ in range(5):
            path.service.on_gap("reconnected")
            await path.service.settle()
        assert not path.breaker.entries_blocked
        await path.advance(RETRY_MS)
        assert path.breaker.entries_blocked
