"""How positions are left: profits in parts, trailing and time stops, resolved spikes, repairs."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from order_path import OrderPath

from trading.execution.config import ExecutionConfig
from trading.execution.exit_config import ExitConfig
from trading.execution.position_watch import PositionWatch
from trading.execution.protector import Protector
from trading.model.market import Tick
from trading.model.order import OrderPurpose

MINUTE_MS = 60_000


def exits(**settings: Any) -> ExecutionConfig:
    plain = {"exit_when_resolved": False, "max_holding_minutes": 0}
    return ExecutionConfig(exits=ExitConfig.model_validate({**plain, **settings}))


async def enter(path: OrderPath, **changes: Any) -> None:
    """2,000 USDT of BTC at 50,000, stop at 49,000, target at 52,000."""
    await path.service.propose(path.proposal(notional=Decimal(2_000), **changes))
    assert path.held("BTC") > 0


def reasons(path: OrderPath) -> list[str]:
    return [row["exit_reason"] for row in path.rows("SELECT exit_reason FROM trades ORDER BY id")]


def stop_covers_everything(path: OrderPath) -> bool:
    (stop,) = path.open_stops("BTCUSDT")
    step = path.exchange.instruments["BTCUSDT"].step_size
    return bool(path.held("BTC") - stop.quantity < step)


async def test_profits_are_taken_in_parts_and_the_rest_stays_protected(tmp_path: Path) -> None:
    levels = [[0.5, 0.5], [1.0, 0.25], [1.5, 0.25]]
    async with OrderPath(tmp_path, execution=exits(take_profits=levels)) as path:
        await enter(path)
        whole = path.held("BTC")
        for price, left in ((50_900, "1"), (51_080, "0.5"), (52_200, "0.25")):
            await path.tick("BTCUSDT", price, after_ms=1_500)
            await path.tick("BTCUSDT", price, after_ms=1_500)
            assert abs(path.held("BTC") / whole - Decimal(left)) < Decimal("0.02"), price
            assert stop_covers_everything(path)
        await path.tick("BTCUSDT", 53_300, after_ms=1_500)
        assert path.held("BTC") < whole / 100
        assert not path.open_stops("BTCUSDT")
        assert reasons(path) == ["take_profit"]


async def test_a_price_that_leaps_over_two_levels_sells_both_parts_at_once(tmp_path: Path) -> None:
    levels = [[0.5, 0.5], [0.75, 0.25], [1.5, 0.25]]
    async with OrderPath(tmp_path, execution=exits(take_profits=levels)) as path:
        await enter(path)
        whole = path.held("BTC")
        await path.tick("BTCUSDT", 52_000)
        assert abs(path.held("BTC") / whole - Decimal("0.25")) < Decimal("0.02")
        sold = [r for r in path.client.submitted if r.purpose is OrderPurpose.TAKE_PROFIT]
        assert len(sold) == 1


async def test_taken_profits_are_known_after_a_restart(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, execution=exits(take_profits=[[0.5, 0.5], [1, 0.5]])) as path:
        await enter(path)
        whole = path.held("BTC")
        await path.tick("BTCUSDT", 51_010)
        await path.crash_and_restart()
        await path.tick("BTCUSDT", 51_020)
        assert abs(path.held("BTC") / whole - Decimal("0.5")) < Decimal("0.02")
        assert stop_covers_everything(path)


async def test_after_a_first_profit_the_stop_moves_to_the_entry_price(tmp_path: Path) -> None:
    settings = exits(take_profits=[[0.5, 0.5], [1, 0.5]], breakeven_after_first=True)
    async with OrderPath(tmp_path, execution=settings) as path:
        await enter(path)
        (held,) = path.service._parts.books.positions.all()
        entry = held.average_entry_price
        await path.tick("BTCUSDT", 51_050)
        await path.tick("BTCUSDT", 51_050)
        (stop,) = path.open_stops("BTCUSDT")
        assert abs(stop.trigger_price - entry) <= 1


async def test_a_trailing_stop_follows_the_high_and_never_falls(tmp_path: Path) -> None:
    settings = exits(trailing_stop_pct=1.0, trailing_from_pct=1.0)
    async with OrderPath(tmp_path, execution=settings) as path:
        await enter(path, take_profit_pct=50.0)
        triggers = []
        for price in (50_300, 51_000, 51_500, 51_100, 51_505):
            await path.tick("BTCUSDT", price, after_ms=1_500)
            (stop,) = path.open_stops("BTCUSDT")
            triggers.append(stop.trigger_price)
            assert stop_covers_everything(path)
        expected = [None, 51_000, 51_500, 51_500, 51_500]  # the last step is too small
        for trigger, high in zip(triggers[1:], expected[1:], strict=True):
            assert abs(trigger - Decimal(high) * Decimal("0.99")) <= 1
        assert triggers[0] < 49_100
        await path.tick("BTCUSDT", 50_900)
        assert reasons(path) == ["stop_loss"]
        assert path.rows("SELECT pnl FROM trades")[0]["pnl"].startswith("-") is False


async def test_a_position_is_sold_when_it_is_too_old(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, execution=exits(max_holding_minutes=30)) as path:
        await enter(path)
        await path.advance(30 * MINUTE_MS - 1)
        assert reasons(path) == []
        await path.advance(1)
        assert reasons(path) == ["time_stop"]
        assert not path.open_stops("BTCUSDT")


async def test_a_position_is_sold_when_its_spike_has_resolved(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, execution=exits(exit_when_resolved=True)) as path:
        await enter(path, stop_loss_pct=9.0)
        await path.tick("BTCUSDT", 48_500)  # 78 % of the rise from 48,077 is undone
        assert reasons(path) == []
        await path.tick("BTCUSDT", 48_450)  # 81 %
        assert reasons(path) == ["spike_resolved"]


async def test_nothing_is_sold_by_rule_on_data_that_cannot_be_trusted(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, execution=exits(max_holding_minutes=30)) as path:
        await enter(path)
        path.fresh = False
        await path.advance(31 * MINUTE_MS)
        assert reasons(path) == []
        path.fresh = True
        await path.advance(1)
        assert reasons(path) == ["time_stop"]


async def test_a_sale_that_fails_keeps_its_stop_and_is_repeated(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, execution=exits(max_holding_minutes=30)) as path:
        await enter(path)
        path.client.fail_cancels = 1
        await path.advance(30 * MINUTE_MS)
        assert stop_covers_everything(path)
        await path.advance(2_000)
        await path.advance(2_000)
        assert reasons(path) == ["time_stop"]


@pytest.mark.parametrize("reported", [True, False])
async def test_a_stop_that_the_exchange_drops_is_put_back(tmp_path: Path, reported: bool) -> None:
    async with OrderPath(tmp_path, quiet_stream=not reported) as path:
        await enter(path)
        (stop,) = path.open_stops("BTCUSDT")
        path.exchange.cancel("replay", "BTCUSDT", client_order_id=stop.client_order_id)
        path.venue.push_tick(Tick("BTCUSDT", 50_000.0, 1.0, path.clock.now_ms()))
        await path.service.settle()
        if not reported:  # the next comparison finds it
            await path.advance(path.execution_config.reconcile_interval_ms)
            await path.advance(2_000)
        (again,) = path.open_stops("BTCUSDT")
        assert again.client_order_id != stop.client_order_id
        assert stop_covers_everything(path)


async def test_partial_fills_are_protected_and_left_in_parts(tmp_path: Path) -> None:
    async with OrderPath(tmp_path, execution=exits(take_profits=[[0.5, 0.5], [1, 0.5]])) as path:
        proposal = path.proposal(notional=Decimal(2_000), limit_price=Decimal("49900"))
        await path.service.propose(proposal)
        await path.tick("BTCUSDT", 49_899.0, quantity=0.02)
        assert stop_covers_everything(path)
        await path.tick("BTCUSDT", 51_000)
        await path.tick("BTCUSDT", 51_000)
        assert stop_covers_everything(path)


@pytest.mark.parametrize(
    ("levels", "wrong"),
    [([[0.5, 0.5]], "add up to 1"), ([[1.0, 0.5], [0.5, 0.5]], "must rise"), ([[0, 1]], "rise")],
)
def test_profit_levels_that_make_no_sense_are_refused(levels: Any, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        ExitConfig(take_profits=levels)


@pytest.mark.parametrize(
    ("patch", "check"),
    [
        (
            (PositionWatch, "_end_reason", lambda *_: None),
            test_a_position_is_sold_when_it_is_too_old,
        ),
        (
            (PositionWatch, "_follows", lambda *_: False),
            test_a_trailing_stop_follows_the_high_and_never_falls,
        ),
        (
            (Protector, "needs_care", lambda *_: False),
            lambda folder: test_a_stop_that_the_exchange_drops_is_put_back(folder, False),
        ),
    ],
    ids=["no ends", "no trailing", "no care"],
)
async def test_a_watch_that_leaves_something_out_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patch: Any, check: Any
) -> None:
    """The mutants of the checks above."""
    if patch[1] == "needs_care":
        monkeypatch.setattr("trading.execution.service.ExecutionService._protect", lambda *_: None)
    monkeypatch.setattr(*patch)
    with pytest.raises((AssertionError, ValueError)):
        await check(tmp_path)
