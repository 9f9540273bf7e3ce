"""Forty ways an account drifts, and generated ones: fixed or latched within two comparisons."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from drift import DUST, EXECUTION, INTERVAL_MS, RETRY_MS, Drift
from proofs import Held, record, rounds

from trading.clock import MINUTE_MS
from trading.execution.corrections import Corrections
from trading.execution.reconcile import Reconciler
from trading.model.breaker import Actor, BreakerStatus
from trading.model.order import OrderType, Side

Change = Callable[[Drift], object]
FIXED, LATCHED, CLEAN = "fixed", "latched", "clean"

# Worth, at 50,000 a BTC, 2,000 an ETH, 100 a SOL; the tolerance is 5 USDT of 10,000, dust 1.
SCENARIOS: dict[str, tuple[Change, str]] = {
    "nothing happened": (lambda d: None, CLEAN),
    "a little cash came in": (lambda d: d.credit("USDT", 3), FIXED),
    "a little cash went out": (lambda d: d.credit("USDT", -3), FIXED),
    "dust of cash came in": (lambda d: d.credit("USDT", "0.5"), CLEAN),
    "dust of cash went out": (lambda d: d.credit("USDT", "-0.9"), CLEAN),
    "a deposit": (lambda d: d.credit("USDT", 5_000), LATCHED),
    "a withdrawal": (lambda d: d.credit("USDT", -1_000), LATCHED),
    "cash just beyond the tolerance": (lambda d: d.credit("USDT", "-5.2"), LATCHED),
    "cash just within it": (lambda d: d.credit("USDT", "-4.8"), FIXED),
    "all cash is gone": (lambda d: d.credit("USDT", -d.held("USDT")), LATCHED),
    "a little of a position is gone": (lambda d: d.credit("BTC", "-0.00008"), FIXED),
    "a little more of a position": (lambda d: d.credit("BTC", "0.00008"), FIXED),
    "dust of a position is gone": (lambda d: d.credit("BTC", "-0.000015"), FIXED),
    "dust of a position came in": (lambda d: d.credit("SOL", "0.009"), CLEAN),
    "half a position is gone": (lambda d: d.credit("BTC", "-0.019"), LATCHED),
    "a whole position is gone": (lambda d: d.credit("BTC", -d.held("BTC")), LATCHED),
    "a position has doubled": (lambda d: d.credit("SOL", d.held("SOL")), LATCHED),
    "both positions are gone": (
        lambda d: [d.credit(asset, -d.held(asset)) for asset in ("BTC", "SOL")],
        LATCHED,
    ),
    "a coin without a position came in": (lambda d: d.credit("ETH", "0.5"), LATCHED),
    "a little of it came in": (lambda d: d.credit("ETH", "0.002"), FIXED),
    "dust of it came in": (lambda d: d.credit("ETH", "0.0004"), CLEAN),
    "a coin that is not traded here came in": (lambda d: d.credit("PEPE", 10_000), CLEAN),
    "small differences of three assets": (
        lambda d: [
            d.credit("USDT", 2),
            d.credit("BTC", "-0.00005"),
            d.credit("ETH", "0.001"),
        ],
        FIXED,
    ),
    "a small one beside a large one": (
        lambda d: [d.credit("USDT", 2), d.credit("SOL", -5)],
        LATCHED,
    ),
    "somebody bought with our cash": (lambda d: d.order("ETHUSDT", Side.BUY, "0.5"), LATCHED),
    "somebody sold our coins": (
        lambda d: [d.drop_stop("BTCUSDT"), d.order("BTCUSDT", Side.SELL, "0.02")],
        LATCHED,
    ),
    "somebody sold all of them": (
        lambda d: [d.drop_stop("SOLUSDT"), d.order("SOLUSDT", Side.SELL, d.all_of("SOLUSDT"))],
        LATCHED,
    ),
    "somebody's own bid rests": (
        lambda d: d.resting("ETHUSDT", Side.BUY, "0.1", 1_900),
        CLEAN,
    ),
    "many of them rest": (
        lambda d: [d.resting("ETHUSDT", Side.BUY, "0.01", 1_900 + n) for n in range(20)],
        CLEAN,
    ),
    "the exchange dropped a stop": (lambda d: d.drop_stop("BTCUSDT"), CLEAN),
    "it dropped both": (lambda d: [d.drop_stop("BTCUSDT"), d.drop_stop("SOLUSDT")], CLEAN),
    "a stop filled unheard": (lambda d: d.silent_tick("BTCUSDT", 48_500.0), CLEAN),
    "both stops filled unheard": (
        lambda d: [d.silent_tick("BTCUSDT", 48_500.0), d.silent_tick("SOLUSDT", 97.0)],
        CLEAN,
    ),
    "a stop filled and cash is missing": (
        lambda d: [d.silent_tick("BTCUSDT", 48_500.0), d.credit("USDT", -200)],
        LATCHED,
    ),
    "a stop filled and a little cash is missing": (
        lambda d: [d.silent_tick("BTCUSDT", 48_500.0), d.credit("USDT", "-2.5")],
        FIXED,
    ),
    "a stop was dropped and the price fell": (
        lambda d: [d.drop_stop("BTCUSDT"), d.silent_tick("BTCUSDT", 49_500.0)],
        CLEAN,
    ),
    "prices moved, nothing else": (
        lambda d: [d.silent_tick("SOLUSDT", 103.0), d.silent_tick("ETHUSDT", 1_800.0)],
        CLEAN,
    ),
    "an answer was empty once": (lambda d: setattr(d.client, "empty_account", True), CLEAN),
    "the venue was out of reach": (lambda d: setattr(d.client, "fail_account", True), CLEAN),
    "cash came in and went out again": (
        lambda d: [d.credit("USDT", 700), d.credit("USDT", -700)],
        CLEAN,
    ),
    "one position became another": (
        lambda d: [d.credit("BTC", "-0.01"), d.credit("SOL", 5)],
        LATCHED,
    ),
}


async def drifted(directory: Path, change: Change) -> tuple[Drift, str]:
    """What became of ``change``: clean, fixed or latched."""
    path = Drift(directory)
    async with path:
        await path.trade()
        await path.advance(MINUTE_MS)
        change(path)
        if path.client.empty_account or path.client.fail_account:
            await path.advance(INTERVAL_MS)
            await path.advance(RETRY_MS)
            if not path.quiet_stream:  # no stop was made to fill
                assert len(path.service._parts.books.positions.all()) == 2, "taken for flat"
            path.client.empty_account = path.client.fail_account = False
        await path.compare_at_most(2)
        outcomes = path.outcomes()
        if path.latched:
            assert path.breaker.snapshot.status is BreakerStatus.TRIGGERED
            assert "latched" in outcomes
            return path, LATCHED
        assert path.converged, path.why()
        for held in path.service._parts.books.positions.all():
            for _ in range(4):
                await path.advance(RETRY_MS)
            assert path.service._parts.protector.is_in_place(held), "a position without its stop"
        return path, FIXED if "fixed" in outcomes else CLEAN


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_drift_is_fixed_or_latched_within_two_comparisons(
    name: str, tmp_path: Path
) -> None:
    change, expected = SCENARIOS[name]
    _, outcome = await drifted(tmp_path / "store", change)
    assert outcome == expected


def test_there_are_forty_of_them() -> None:
    assert len(SCENARIOS) >= 40


def generated(seed: int) -> tuple[Change, list[str]]:
    """A few changes at once, drawn by lot; with their names."""
    dice = random.Random(f"drift {seed}")

    def move(asset: str, price: int) -> Change:
        worth = Decimal(str(round(dice.choice([0.4, 3, 4.9, 30, 900]) * dice.choice([1, -1]), 2)))
        return lambda d: d.credit(asset, worth / price)

    choices: dict[str, Change] = {
        "cash": move("USDT", 1),
        "BTC": move("BTC", 50_000),
        "SOL": move("SOL", 100),
        "ETH": move("ETH", 2_000),
        "stop BTC": lambda d: d.drop_stop("BTCUSDT"),
        "fall BTC": lambda d: d.silent_tick("BTCUSDT", dice.choice([48_500.0, 49_500.0])),
        "fall SOL": lambda d: d.silent_tick("SOLUSDT", dice.choice([97.0, 99.0])),
        "bid": lambda d: d.resting("ETHUSDT", Side.BUY, "0.1", 1_900),
        "purchase": lambda d: d.order("ETHUSDT", Side.BUY, dice.choice(["0.02", "0.5"])),
        "outage": lambda d: setattr(d.client, "fail_account", True),
        "emptiness": lambda d: setattr(d.client, "empty_account", True),
    }
    names = dice.sample(sorted(choices), dice.randint(1, 4))
    changes = [choices[name] for name in names]

    def change(path: Drift) -> None:
        for one in changes:
            try:
                one(path)
            except Exception as error:  # the exchange itself refuses: nothing happened
                if type(error).__name__ != "ExchangeRejection":
                    raise

    return change, names


async def outcome_of(seed: int, directory: Path) -> str:
    change, names = generated(seed)
    try:
        _, outcome = await drifted(directory, change)
    except AssertionError as error:
        error.add_note(f"seed {seed}: {names}")
        raise
    return outcome


async def test_generated_drifts_are_fixed_or_latched_within_two_comparisons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drifts, few = rounds(15, 2_000), rounds(6, 20)
    outcomes = [await outcome_of(seed, tmp_path / str(seed)) for seed in range(drifts)]
    assert set(outcomes) == {CLEAN, FIXED, LATCHED}
    monkeypatch.setattr(Reconciler, "_matters", lambda *_: False)
    missed = 0
    for seed in range(few):
        try:
            missed += await outcome_of(seed, tmp_path / f"mutant {seed}") != outcomes[seed]
        except AssertionError:
            missed += 1
    assert missed
    record(
        Held(
            section="Reconciliation",
            guarantee="an account that drifts away by one to four changes at once is set right, or"
            " the breaker latched, within two comparisons",
            trials=drifts,
            unit="generated drifts",
            violations=0,
            mutant="no difference matters",
            caught=f"{missed} of {few} drifts ended otherwise",
        )
    )


async def test_drift_is_seen_within_ten_seconds_of_the_next_comparison(tmp_path: Path) -> None:
    async with Drift(tmp_path) as path:
        await path.trade()
        await path.advance(MINUTE_MS)
        path.credit("SOL", -5)
        await path.advance(INTERVAL_MS)
        due_ms = path.clock.now_ms()
        while not path.latched:
            await path.advance(100)
        assert path.clock.now_ms() - due_ms <= 10_000


@pytest.mark.parametrize("cause", ["start", "reconnected", "trip"])
async def test_a_start_a_reconnect_and_a_trip_each_compare_at_once(
    cause: str, tmp_path: Path
) -> None:
    async with Drift(tmp_path) as path:
        await path.trade()
        before = len(path.outcomes())
        if cause == "start":
            await path.crash_and_restart()
        elif cause == "reconnected":
            path.service.on_gap(cause)
            await path.service.settle()
        else:
            path.breaker.trigger("test", actor=Actor.RULE)
            await path.advance(0)
        rows = path.rows("SELECT cause FROM reconciliation_reports ORDER BY id")[before:]
        assert rows[0]["cause"] == cause


async def test_small_fixes_add_up_to_a_latch(tmp_path: Path) -> None:
    async with Drift(tmp_path) as path:
        await path.trade()
        await path.advance(MINUTE_MS)
        for _ in range(8):
            path.credit("USDT", -4)
            await path.compare_at_most(2)
            if path.latched:
                break
        assert path.latched
        assert 4 <= path.outcomes().count("fixed") <= 5  # 0.2 % of 10,000 is 20


async def test_an_operators_word_sets_the_books_right_and_is_no_loss(tmp_path: Path) -> None:
    async with Drift(tmp_path) as path:
        await path.trade()
        await path.advance(MINUTE_MS)
        path.credit("USDT", -3_000)
        await path.compare_at_most(2)
        assert path.latched
        path.breaker.clear(
            actor=Actor.OPERATOR, reason="withdrawn", epoch=path.breaker.snapshot.epoch
        )
        await path.advance(RETRY_MS)
        await path.advance(RETRY_MS)
        assert path.converged, path.why()
        assert "accepted" in path.outcomes()
        view = path.service._parts.books.account.view()
        assert view.daily_loss_pct < 1
        assert view.drawdown_pct < 1


async def test_an_external_order_is_reported_once_and_left_alone(tmp_path: Path) -> None:
    async with Drift(tmp_path) as path:
        await path.trade()
        path.resting("ETHUSDT", Side.BUY, "0.1", 1_900)
        for _ in range(3):
            await path.advance(INTERVAL_MS)
        assert len(path.rows("SELECT * FROM risk_events WHERE rule = 'external_order'")) == 1
        (order,) = [o for o in path.exchange.open_orders("replay") if o.type is OrderType.LIMIT]
        assert order.status.is_open
        last = path.rows("SELECT external_orders FROM reconciliation_reports ORDER BY id DESC")[0]
        assert order.client_order_id in last["external_orders"]


async def test_every_comparison_leaves_a_report_with_what_it_saw(tmp_path: Path) -> None:
    async with Drift(tmp_path) as path:
        await path.trade()
        path.credit("BTC", "-0.019")
        await path.compare_at_most(2)
        report = path.rows("SELECT * FROM reconciliation_reports WHERE outcome = 'latched'")[0]
        assert "BTC -0.019" in report["problem"]
        snapshots = path.rows(
            "SELECT * FROM position_snapshots WHERE report_id = ? ORDER BY asset", report["id"]
        )
        assert [row["asset"] for row in snapshots] == ["BTC", "SOL"]
        assert Decimal(snapshots[0]["difference"]) == Decimal("-0.019")
        assert Decimal(snapshots[0]["at_venue"]) == path.held("BTC")


MUTANTS: dict[str, tuple[tuple[type, str, object], str]] = {
    "everything may be fixed": ((Corrections, "may_fix", lambda *_: True), "a deposit"),
    "nothing is fixed": ((Corrections, "may_fix", lambda *_: False), "a little cash came in"),
    "nothing matters": ((Reconciler, "_matters", lambda *_: False), "half a position is gone"),
    "empty is believed": (
        (Reconciler, "_is_believable", lambda *_: True),
        "an answer was empty once",
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
async def test_a_broken_reconciliation_is_caught(
    mutant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch, name = MUTANTS[mutant]
    monkeypatch.setattr(*patch)
    change, expected = SCENARIOS[name]
    try:
        _, outcome = await drifted(tmp_path / "store", change)
    except AssertionError:
        return
    assert outcome != expected


def test_the_tolerances_are_those_the_scenarios_count_with() -> None:
    settings = EXECUTION.reconciliation
    assert (settings.dust_value, settings.tolerance_pct, settings.fix_limit_pct) == (
        float(DUST),
        0.05,
        0.2,
    )


async def test_less_than_a_lot_step_that_a_stop_would_stumble_over_is_set_right(
    tmp_path: Path,
) -> None:
    async with Drift(tmp_path) as path:
        await path.trade()
        await path.advance(MINUTE_MS)
        path.drop_stop("BTCUSDT")
        path.credit("BTC", "-0.000008")  # of 0.0397602 with a step of 0.00001
        await path.compare_at_most(2)
        for _ in range(4):
            await path.advance(RETRY_MS)
        (stop,) = path.open_stops("BTCUSDT")
        assert stop.quantity == path.all_of("BTCUSDT")
        assert "fixed" in path.outcomes()
