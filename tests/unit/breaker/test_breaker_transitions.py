"""Every edge of the state machine, allowed and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from trading.clock import VirtualClock
from trading.errors import IllegalTransitionError, StaleEpochError
from trading.model.breaker import Actor, BreakerStatus, Latch
from trading.model.metrics import MarketSnapshot
from trading.risk.breaker_state import RecoveryInputs
from trading.risk.circuit_breaker import CircuitBreaker

MINUTE_MS = 60_000
Facts = Callable[..., RecoveryInputs]
Rows = Callable[[str], list[dict[str, Any]]]


def wait(
    breaker: CircuitBreaker, clock: VirtualClock, minutes: float, facts: RecoveryInputs
) -> None:
    """Let market time pass minute by minute, as the core would."""
    end_ms = clock.now_ms() + int(minutes * MINUTE_MS)
    while clock.now_ms() < end_ms:
        clock.advance_to(min(end_ms, clock.now_ms() + MINUTE_MS))
        breaker.advance(clock.now_ms(), facts)


def reach(
    status: BreakerStatus, breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts
) -> None:
    if status is BreakerStatus.WARNING:
        breaker.set_warning("early sign", actor=Actor.RULE)
    if status in (BreakerStatus.TRIGGERED, BreakerStatus.RECOVERING):
        breaker.trigger("fall", rule="btc_drawdown_1h")
    if status is BreakerStatus.RECOVERING:
        wait(breaker, clock, 15, make_facts())
    assert breaker.get_status() is status


def test_a_new_store_is_safe_at_full_size(breaker: CircuitBreaker) -> None:
    assert breaker.is_safe()
    assert not breaker.is_active()
    assert not breaker.entries_blocked
    assert breaker.snapshot.size_multiplier == 1.0


@pytest.mark.parametrize("actor", list(Actor))
@pytest.mark.parametrize("status", list(BreakerStatus))
def test_anybody_may_trip_from_any_state(
    breaker: CircuitBreaker,
    clock: VirtualClock,
    make_facts: Facts,
    status: BreakerStatus,
    actor: Actor,
) -> None:
    reach(status, breaker, clock, make_facts)
    before = breaker.snapshot
    receipt = breaker.trigger("halt", actor=actor)
    assert receipt
    assert receipt.epoch == before.epoch + 1 == breaker.snapshot.epoch
    assert receipt.newly_triggered is (status is not BreakerStatus.TRIGGERED)
    assert breaker.get_status() is BreakerStatus.TRIGGERED
    assert breaker.entries_blocked
    assert breaker.snapshot.size_multiplier == 0.0


@pytest.mark.parametrize("actor", list(Actor))
def test_anybody_may_warn_and_sizes_halve(breaker: CircuitBreaker, actor: Actor) -> None:
    assert breaker.set_warning("early sign", actor=actor).status is BreakerStatus.WARNING
    assert breaker.snapshot.size_multiplier == 0.5
    assert not breaker.is_safe()
    assert not breaker.is_active()


@pytest.mark.parametrize("status", [BreakerStatus.TRIGGERED, BreakerStatus.RECOVERING])
def test_a_warning_never_replaces_a_halt(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts, status: BreakerStatus
) -> None:
    reach(status, breaker, clock, make_facts)
    with pytest.raises(IllegalTransitionError):
        breaker.set_warning("early sign", actor=Actor.OPERATOR)
    assert breaker.get_status() is status


@pytest.mark.parametrize("actor", [Actor.LLM, Actor.SYSTEM])
@pytest.mark.parametrize("status", list(BreakerStatus))
@pytest.mark.parametrize("force", [False, True])
def test_models_and_system_ease_nothing(
    breaker: CircuitBreaker,
    clock: VirtualClock,
    make_facts: Facts,
    status: BreakerStatus,
    actor: Actor,
    force: bool,
) -> None:
    reach(status, breaker, clock, make_facts)
    before = breaker.snapshot
    with pytest.raises(IllegalTransitionError):
        breaker.start_recovery(actor=actor, reason="looks fine", epoch=before.epoch)
    with pytest.raises(IllegalTransitionError):
        breaker.clear(actor=actor, reason="looks fine", epoch=before.epoch, force=force)
    assert breaker.snapshot == before


@pytest.mark.parametrize("status", [BreakerStatus.TRIGGERED, BreakerStatus.WARNING])
@pytest.mark.parametrize("force", [False, True])
def test_a_rule_never_goes_straight_to_safe(
    breaker: CircuitBreaker,
    clock: VirtualClock,
    make_facts: Facts,
    status: BreakerStatus,
    force: bool,
) -> None:
    reach(status, breaker, clock, make_facts)
    with pytest.raises(IllegalTransitionError):
        breaker.clear(actor=Actor.RULE, reason="calm", epoch=breaker.snapshot.epoch, force=force)
    assert breaker.get_status() is status


def test_an_operator_cannot_clear_a_halt_without_force(breaker: CircuitBreaker) -> None:
    epoch = breaker.trigger("fall").epoch
    with pytest.raises(IllegalTransitionError):
        breaker.clear(actor=Actor.OPERATOR, reason="I know better", epoch=epoch)
    assert breaker.get_status() is BreakerStatus.TRIGGERED


def test_a_forced_clear_with_the_current_epoch_is_recorded_as_an_override(
    breaker: CircuitBreaker, rows: Rows
) -> None:
    epoch = breaker.trigger("fall").epoch
    breaker.clear(actor=Actor.OPERATOR, reason="a test trip", epoch=epoch, force=True)
    assert breaker.is_safe()
    assert not breaker.entries_blocked
    trip, clear = rows("SELECT * FROM circuit_breaker_events ORDER BY id")
    assert (trip["status"], clear["kind"]) == ("cleared", "clear")
    assert "override by operator: a test trip" in trip["notes"]
    assert clear["trigger_details"] == '{"override":true}'


def test_an_operator_must_give_a_reason(breaker: CircuitBreaker) -> None:
    epoch = breaker.trigger("fall").epoch
    with pytest.raises(IllegalTransitionError):
        breaker.clear(actor=Actor.OPERATOR, reason=" ", epoch=epoch, force=True)


def test_an_old_epoch_clears_nothing(breaker: CircuitBreaker) -> None:
    old = breaker.trigger("fall").epoch
    breaker.trigger("a second cause")
    with pytest.raises(StaleEpochError):
        breaker.clear(actor=Actor.OPERATOR, reason="all fine", epoch=old, force=True)
    with pytest.raises(StaleEpochError):
        breaker.start_recovery(actor=Actor.OPERATOR, reason="all fine", epoch=old)
    with pytest.raises(StaleEpochError):
        breaker.start_recovery(actor=Actor.OPERATOR, reason="no epoch given")
    assert breaker.get_status() is BreakerStatus.TRIGGERED


def test_only_an_operator_releases_the_manual_latch_and_trading_stays_halted(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts
) -> None:
    epoch = breaker.trigger("hold on", actor=Actor.OPERATOR).epoch
    assert breaker.snapshot.latch is Latch.MANUAL
    wait(breaker, clock, 60, make_facts())
    assert breaker.get_status() is BreakerStatus.TRIGGERED
    with pytest.raises(IllegalTransitionError):
        breaker.clear(actor=Actor.RULE, reason="calm", epoch=epoch)
    breaker.clear(actor=Actor.OPERATOR, reason="looked into it", epoch=epoch)
    assert breaker.snapshot.latch is Latch.NONE
    assert breaker.get_status() is BreakerStatus.TRIGGERED
    wait(breaker, clock, 1, make_facts())
    assert breaker.get_status() is BreakerStatus.RECOVERING


def test_a_trip_may_ask_for_the_manual_latch(breaker: CircuitBreaker) -> None:
    breaker.trigger("daily loss floor", rule="max_daily_loss_pct", latch=True)
    assert breaker.snapshot.latch is Latch.MANUAL


def test_a_retrip_adds_its_cause_and_extends_the_cooldown(
    breaker: CircuitBreaker, clock: VirtualClock
) -> None:
    breaker.trigger("BTC falls")
    first = breaker.snapshot
    clock.advance_to(clock.now_ms() + 5 * MINUTE_MS)
    breaker.trigger("ETH falls too")
    second = breaker.snapshot
    assert second.causes == ("BTC falls", "ETH falls too")
    assert first.cooldown_until_ms is not None
    assert second.cooldown_until_ms == first.cooldown_until_ms + 5 * MINUTE_MS
    assert second.triggered_at_ms == first.triggered_at_ms
    assert second.event_id == first.event_id
    assert second.trips_24h == 1


def test_the_cooldown_doubles_with_each_trip_and_the_third_latches(
    open_breaker: Callable[..., CircuitBreaker], clock: VirtualClock
) -> None:
    breaker = open_breaker(max_trips_24h=6, cooldown_max_minutes=100)
    lengths = []
    for _ in range(6):
        receipt = breaker.trigger("fall")
        until_ms = breaker.snapshot.cooldown_until_ms
        assert until_ms is not None
        lengths.append((until_ms - clock.now_ms()) / MINUTE_MS)
        latched = breaker.snapshot.latch is Latch.MANUAL
        breaker.clear(actor=Actor.OPERATOR, reason="next", epoch=receipt.epoch, force=True)
    assert lengths == [15, 30, 60, 100, 100, 100]
    assert latched


def test_trips_older_than_a_day_no_longer_count(
    breaker: CircuitBreaker, clock: VirtualClock
) -> None:
    for _ in range(2):
        epoch = breaker.trigger("fall").epoch
        breaker.clear(actor=Actor.OPERATOR, reason="next", epoch=epoch, force=True)
    clock.advance_to(clock.now_ms() + 24 * 60 * MINUTE_MS)
    breaker.trigger("fall")
    assert breaker.snapshot.trips_24h == 1
    assert breaker.snapshot.latch is Latch.NONE


def test_a_trip_by_a_model_alone_eases_after_15_minutes_whatever_it_says_meanwhile(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts
) -> None:
    deep: dict[str, Any] = {
        "btc_regained_share": 0.0,
        "flat_minutes": 0.0,
        "volume_share_of_normal": 0.1,
    }
    breaker.trigger("a headline", actor=Actor.LLM)
    for _ in range(14):
        wait(breaker, clock, 1, make_facts(**deep))
        breaker.trigger("the same headline", actor=Actor.LLM)
    assert breaker.get_status() is BreakerStatus.TRIGGERED
    wait(breaker, clock, 1, make_facts(**deep))
    assert breaker.get_status() is BreakerStatus.RECOVERING
    assert breaker.snapshot.trips_24h == 0


def test_a_rule_that_confirms_a_models_trip_makes_it_a_full_one(
    breaker: CircuitBreaker, clock: VirtualClock, make_facts: Facts
) -> None:
    breaker.trigger("a headline", actor=Actor.LLM)
    clock.advance_to(clock.now_ms() + 10 * MINUTE_MS)
    breaker.trigger("BTC falls", rule="btc_drawdown_1h")
    assert breaker.snapshot.trips_24h == 1
    wait(breaker, clock, 14, make_facts())
    assert breaker.get_status() is BreakerStatus.TRIGGERED
    wait(breaker, clock, 1, make_facts())
    assert breaker.get_status() is BreakerStatus.RECOVERING


def test_three_trips_by_models_alone_set_no_latch(breaker: CircuitBreaker) -> None:
    for _ in range(4):
        epoch = breaker.trigger("a headline", actor=Actor.LLM).epoch
        assert breaker.snapshot.latch is Latch.NONE
        breaker.clear(actor=Actor.OPERATOR, reason="noise", epoch=epoch, force=True)


def test_a_switched_off_breaker_records_trips_and_halts_nothing(
    open_breaker: Callable[..., CircuitBreaker], rows: Rows
) -> None:
    breaker = open_breaker(enabled=False)
    changes: list[object] = []
    breaker.subscribe(lambda previous, current: changes.append(current))
    assert breaker.trigger("fall")
    assert not breaker.enforcing
    assert breaker.is_safe()
    assert not breaker.entries_blocked
    assert (breaker.snapshot.size_multiplier, breaker.snapshot.epoch) == (1.0, 0)
    assert changes == []
    (event,) = rows("SELECT * FROM circuit_breaker_events")
    assert (event["kind"], event["trigger_details"]) == ("trip", '{"enforced":false}')
    assert rows("SELECT status FROM breaker_state") == [{"status": "SAFE"}]


def test_everybody_sees_the_halt_before_the_market_is_described(
    breaker: CircuitBreaker, make_facts: Facts, rows: Rows
) -> None:
    seen_meanwhile = []
    market = make_facts().market
    assert market is not None

    def evidence() -> tuple[dict[str, Any], MarketSnapshot]:
        seen_meanwhile.append((breaker.entries_blocked, breaker.get_status()))
        return {"share_of_limit": 1.25}, market

    breaker.trigger("fall", rule="btc_drawdown_1h", evidence=evidence)
    assert seen_meanwhile == [(True, BreakerStatus.TRIGGERED)]
    details = rows("SELECT trigger_details FROM circuit_breaker_events")[-1]["trigger_details"]
    assert json.loads(details)["share_of_limit"] == 1.25


def test_a_trip_whose_description_fails_is_a_trip_all_the_same(breaker: CircuitBreaker) -> None:
    def evidence() -> tuple[dict[str, Any], MarketSnapshot]:
        raise ZeroDivisionError

    receipt = breaker.trigger("fall", rule="btc_drawdown_1h", evidence=evidence)
    assert receipt.newly_triggered
    assert breaker.get_status() is BreakerStatus.TRIGGERED
