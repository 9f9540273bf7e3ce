"""What time and facts make due: warnings, recovery, its stages, relapse."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from trading.clock import VirtualClock
from trading.errors import IllegalTransitionError
from trading.model.breaker import Actor, BreakerStatus, Latch, Quiet
from trading.model.metrics import MarketSnapshot
from trading.risk.breaker_state import RecoveryInputs
from trading.risk.circuit_breaker import CircuitBreaker

MINUTE_MS = 60_000
Facts = Callable[..., RecoveryInputs]
Rows = Callable[[str], list[dict[str, Any]]]


def wait(
    breaker: CircuitBreaker, clock: VirtualClock, minutes: float, facts: RecoveryInputs
) -> None:
    end_ms = clock.now_ms() + int(minutes * MINUTE_MS)
    while clock.now_ms() < end_ms:
        clock.advance_to(min(end_ms, clock.now_ms() + MINUTE_MS))
        breaker.advance(clock.now_ms(), facts)


@pytest.mark.parametrize(
    ("share", "status"), [(0.59, "SAFE"), (0.60, "WARNING"), (0.99, "WARNING")]
)
def test_a_metric_at_60_percent_of_its_limit_warns(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts, share: float, status: str
) -> None:
    assert breaker.advance(clock.now_ms(), make_facts(share)).status == status


def test_a_warning_ends_after_five_calm_minutes_without_a_break(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts
) -> None:
    breaker.advance(clock.now_ms(), make_facts(0.7))
    wait(breaker, clock, 4, make_facts(0.3))
    wait(breaker, clock, 1, make_facts(0.5))
    wait(breaker, clock, 5, make_facts(0.3))
    assert breaker.get_status() is BreakerStatus.WARNING
    wait(breaker, clock, 1, make_facts(0.4))
    assert breaker.is_safe()


def test_a_warning_does_not_end_on_data_that_cannot_be_trusted(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts
) -> None:
    breaker.set_warning("early sign", actor=Actor.LLM)
    wait(breaker, clock, 30, make_facts(0.1, healthy=False))
    wait(breaker, clock, 30, make_facts(0.1, market=None))
    assert breaker.get_status() is BreakerStatus.WARNING


def test_a_repeated_warning_starts_its_easing_time_anew(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts
) -> None:
    breaker.set_warning("early sign", actor=Actor.LLM)
    wait(breaker, clock, 4, make_facts())
    breaker.set_warning("still there", actor=Actor.LLM)
    wait(breaker, clock, 5, make_facts())
    assert breaker.get_status() is BreakerStatus.WARNING
    wait(breaker, clock, 1, make_facts())
    assert breaker.is_safe()


BLOCKING: list[tuple[str, dict[str, Any]]] = [
    ("data_healthy", {"healthy": False}),
    ("causes_clear", {"share": 1.0}),
    ("causes_clear", {"market": None}),
    ("no_unknown_orders", {"unknown_orders": 1}),
    ("reconciled", {"reconciled": False}),
    ("quiescent", {"quiet": Quiet(waits_for="a second account snapshot")}),
    ("quiescent", {"quiet": Quiet(epoch=0, at_ms=1)}),
    ("no_further_fall", {"further_fall_30m_pct": 5.1}),
    ("liquidations_calm", {"liquidations_1h_usd": 1e8}),
    ("liquidations_calm", {"liquidations_1h_usd": math.inf}),  # expected, and not heard
    ("fall_regained", {"btc_regained_share": 0.49, "flat_minutes": 29}),
    ("volume", {"volume_share_of_normal": 0.69}),
]


@pytest.mark.parametrize(("name", "changes"), BLOCKING)
def test_each_condition_alone_blocks_the_recovery_by_rule(
    breaker: CircuitBreaker,
    clock: VirtualClock,
    make_facts: Facts,
    name: str,
    changes: dict[str, Any],
) -> None:
    breaker.trigger("fall")
    wait(breaker, clock, 60, make_facts(**changes))
    assert breaker.get_status() is BreakerStatus.TRIGGERED
    assert [blocker.split(":")[0] for blocker in breaker.blockers()] == [name]
    report = breaker.recovery_conditions()
    assert not report.met
    assert [key for key, met in report.conditions.items() if not met] == [name]
    wait(breaker, clock, 1, make_facts())
    assert breaker.get_status() is BreakerStatus.RECOVERING


def test_the_cooldown_alone_blocks_the_recovery(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts
) -> None:
    breaker.trigger("fall")
    wait(breaker, clock, 14.9, make_facts())
    assert breaker.get_status() is BreakerStatus.TRIGGERED
    assert breaker.recovery_conditions().cooldown_remaining_s == pytest.approx(6)
    wait(breaker, clock, 0.1, make_facts())
    assert breaker.get_status() is BreakerStatus.RECOVERING


def test_without_auto_resume_only_an_operator_starts_the_recovery(
    open_breaker: Callable[..., CircuitBreaker], clock: VirtualClock, make_facts: Facts
) -> None:
    breaker = open_breaker(auto_resume=False)
    epoch = breaker.trigger("fall").epoch
    wait(breaker, clock, 60, make_facts())
    assert breaker.get_status() is BreakerStatus.TRIGGERED
    breaker.start_recovery(actor=Actor.OPERATOR, reason="market is calm", epoch=epoch)
    assert breaker.get_status() is BreakerStatus.RECOVERING


def test_an_operator_judges_the_market_but_not_the_orders_or_the_cooldown(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts
) -> None:
    epoch = breaker.trigger("fall").epoch
    with pytest.raises(IllegalTransitionError, match="cooldown_over"):
        breaker.start_recovery(actor=Actor.OPERATOR, reason="now", epoch=epoch)
    wait(breaker, clock, 15, make_facts(unknown_orders=2, volume_share_of_normal=0.1))
    with pytest.raises(IllegalTransitionError, match="2 orders of unknown outcome"):
        breaker.start_recovery(actor=Actor.OPERATOR, reason="now", epoch=epoch)
    wait(breaker, clock, 1, make_facts(volume_share_of_normal=0.1))
    breaker.start_recovery(actor=Actor.OPERATOR, reason="now", epoch=epoch)
    assert breaker.get_status() is BreakerStatus.RECOVERING


def test_sizes_return_in_four_stages_of_ten_minutes(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts
) -> None:
    breaker.trigger("fall")
    wait(breaker, clock, 15, make_facts())
    seen = []
    for _ in range(5):
        snapshot = breaker.snapshot
        seen.append((snapshot.status.value, snapshot.stage, snapshot.size_multiplier))
        wait(breaker, clock, 9, make_facts())
        assert breaker.snapshot == snapshot
        wait(breaker, clock, 1, make_facts())
    assert seen == [
        ("RECOVERING", 0, 0.0),
        ("RECOVERING", 1, 0.10),
        ("RECOVERING", 2, 0.25),
        ("RECOVERING", 3, 0.50),
        ("SAFE", 0, 1.0),
    ]


def test_stage_0_blocks_entries_and_stage_1_does_not(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts
) -> None:
    breaker.trigger("fall")
    wait(breaker, clock, 15, make_facts())
    assert breaker.entries_blocked
    wait(breaker, clock, 10, make_facts())
    assert not breaker.entries_blocked


@pytest.mark.parametrize(
    "changes",
    [
        {"further_fall_30m_pct": 5.1},
        {"liquidations_1h_usd": 2e8},
        {"healthy": False},
        {"share": 1.0},
    ],
)
def test_a_soft_breach_throws_the_recovery_back(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts, changes: dict[str, Any]
) -> None:
    breaker.trigger("fall")
    wait(breaker, clock, 26, make_facts())
    assert breaker.snapshot.stage == 1
    wait(breaker, clock, 1, make_facts(**changes))
    snapshot = breaker.snapshot
    assert (snapshot.status, snapshot.stage, snapshot.epoch) == (BreakerStatus.TRIGGERED, 0, 2)
    assert snapshot.trips_24h == 2
    assert snapshot.causes[0] == "fall"
    assert snapshot.cooldown_until_ms == clock.now_ms() + 30 * MINUTE_MS


def test_liquidations_that_are_not_heard_any_more_do_not_break_a_recovery(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts
) -> None:
    breaker.trigger("fall")
    wait(breaker, clock, 26, make_facts())
    wait(breaker, clock, 1, make_facts(liquidations_1h_usd=math.inf))
    assert breaker.snapshot.status is BreakerStatus.RECOVERING


def test_metrics_still_near_their_limits_do_not_break_a_recovery(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts
) -> None:
    breaker.trigger("fall")
    wait(breaker, clock, 25, make_facts(0.95))
    assert breaker.snapshot.stage == 1


def test_a_model_that_breaks_a_rules_recovery_spares_it_none_of_the_market_conditions(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts
) -> None:
    breaker.trigger("fall")
    wait(breaker, clock, 16, make_facts())
    assert breaker.get_status() is BreakerStatus.RECOVERING
    breaker.trigger("a bad feeling", actor=Actor.LLM)
    wait(breaker, clock, 60, make_facts(volume_share_of_normal=0.1))
    assert breaker.get_status() is BreakerStatus.TRIGGERED
    breaker.trigger("it falls indeed")
    assert breaker.snapshot.trips_24h == 2  # the model's trip has not used up the rule's


def test_three_relapses_latch(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts
) -> None:
    breaker.trigger("fall")
    for minutes in (15, 30):
        wait(breaker, clock, minutes, make_facts())
        assert breaker.get_status() is BreakerStatus.RECOVERING
        wait(breaker, clock, 1, make_facts(further_fall_30m_pct=6))
    assert breaker.snapshot.latch is Latch.MANUAL
    wait(breaker, clock, 300, make_facts())
    assert breaker.get_status() is BreakerStatus.TRIGGERED


def test_a_trip_by_somebody_who_sees_no_market_is_recorded_with_the_market_last_seen(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts, rows: Rows
) -> None:
    breaker.advance(clock.now_ms(), make_facts(market=None))
    breaker.trigger("our books differ from the venue's", actor=Actor.SYSTEM)
    breaker.advance(clock.now_ms(), make_facts(0.8))
    breaker.trigger("Redis lost", actor=Actor.SYSTEM)
    blind, seeing = rows("SELECT * FROM circuit_breaker_events ORDER BY id")
    assert blind["btc_price_at_trigger"] is None
    assert seeing["btc_price_at_trigger"] == "50000.0"


def test_an_operators_false_alarm_stays_one_through_the_recovery(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts, rows: Rows
) -> None:
    breaker.trigger("a bad tick", latch=True)
    breaker.clear(actor=Actor.OPERATOR, reason="one venue only", epoch=1, false_alarm=True)
    wait(breaker, clock, 30, make_facts())
    assert breaker.get_status() is BreakerStatus.RECOVERING
    wait(breaker, clock, 50, make_facts())
    assert breaker.get_status() is BreakerStatus.SAFE
    trip = rows("SELECT * FROM circuit_breaker_events WHERE kind = 'trip'")[0]
    assert trip["status"] == "false_trigger"
    assert trip["cleared_at"] is not None
    assert breaker.get_stats().false_trips == 1


def test_every_transition_of_an_episode_is_a_row_and_the_first_carries_its_figures(
    breaker: CircuitBreaker,
    clock: VirtualClock,
    make_facts: Facts,
    make_market: Callable[..., MarketSnapshot],
    rows: Rows,
) -> None:
    breaker.advance(clock.now_ms(), make_facts(0.8))
    breaker.trigger(
        "BTC fell 15.0 % in 1 h",
        {"liquidations_1h_usd": 7e8, "fear_greed_index": 12},
        make_market(1.0),
        rule="btc_drawdown_1h",
    )
    event_id = breaker.snapshot.event_id
    assert event_id is not None
    breaker.trigger("ETH too", rule="eth_drawdown_1h")
    wait(breaker, clock, 56, make_facts())
    breaker.update_event(event_id, orders_cancelled=3, positions_affected=2, note="swept")
    found = rows("SELECT * FROM circuit_breaker_events ORDER BY id")
    assert [(row["kind"], row["from_status"], row["to_status"]) for row in found] == [
        ("warning", "SAFE", "WARNING"),
        ("trip", "WARNING", "TRIGGERED"),
        ("retrip", "TRIGGERED", "TRIGGERED"),
        ("recovery", "TRIGGERED", "RECOVERING"),
        ("stage", "RECOVERING", "RECOVERING"),
        ("stage", "RECOVERING", "RECOVERING"),
        ("stage", "RECOVERING", "RECOVERING"),
        ("clear", "RECOVERING", "SAFE"),
    ]
    assert [row["episode_id"] for row in found] == [None, None, *[event_id] * 6]
    trip = found[1]
    assert trip["id"] == event_id
    assert (trip["status"], trip["trigger_type"], trip["rule"]) == (
        "cleared",
        "rule",
        "btc_drawdown_1h",
    )
    assert (trip["btc_price_at_trigger"], trip["eth_price_at_trigger"]) == ("50000.0", "2500.0")
    assert (trip["btc_drop_percent"], trip["market_cap_drop_percent"]) == (15.0, 18.0)
    assert (trip["liquidations_1h"], trip["fear_greed_index"]) == ("700000000.0", 12)
    assert (trip["downtime_seconds"], trip["recovery_time_seconds"]) == (55 * 60, 40 * 60)
    assert (trip["orders_cancelled"], trip["positions_affected"]) == (3, 2)
    assert all(json.loads(trip["recovery_conditions_met"]).values())
    stats = breaker.get_stats()
    assert (stats.trips, stats.trips_24h, stats.total_downtime_seconds) == (1, 1, 3300)
    assert stats.last_trip_reason == "ETH too"


def test_the_trigger_info_names_rule_details_and_market_of_the_newest_trip(
    breaker: CircuitBreaker, make_market: Callable[..., MarketSnapshot]
) -> None:
    assert breaker.get_trigger_info() is None
    breaker.trigger("BTC falls", rule="btc_drawdown_1h")
    breaker.trigger("ETH falls", {"by": 12}, make_market(1.0), rule="eth_drawdown_1h")
    info = breaker.get_trigger_info()
    assert info is not None
    assert (info["rule"], info["details"], info["epoch"]) == ("eth_drawdown_1h", {"by": 12}, 2)
    assert info["market_snapshot"]["prices"]["BTCUSDT"] == 50_000.0
    assert info["causes"] == ["BTC falls", "ETH falls"]


def test_a_switched_off_breaker_goes_through_its_recovery_on_paper_only(
    open_breaker: Callable[..., CircuitBreaker],
    clock: VirtualClock,
    make_facts: Facts,
    rows: Rows,
) -> None:
    breaker = open_breaker(enabled=False)
    breaker.trigger("fall")
    wait(breaker, clock, 56, make_facts())
    assert breaker.is_safe()
    kinds = [row["kind"] for row in rows("SELECT kind FROM circuit_breaker_events ORDER BY id")]
    assert kinds == ["trip", "recovery", "stage", "stage", "stage", "clear"]
