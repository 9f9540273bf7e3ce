"""What a breaker starts with: the stored state, or a halt where that one cannot be trusted."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from trading.errors import StoreError
from trading.model.breaker import Actor, BreakerSnapshot
from trading.risk import breaker_rules as rules
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_rows import BreakerRows
from trading.risk.breaker_state import BreakerState, Transition, held_state, initial_state

STORE_RULE = "store"  # the rule named by trips that a failing store causes


def without_store(last_run: BreakerSnapshot | None, problem: str, now_ms: int) -> BreakerState:
    """The state to start in where no store can be read: a halt above every epoch known."""
    epoch = last_run.epoch + 1 if last_run is not None else 1
    return held_state(epoch, f"store: {problem}", now_ms)


def restore(
    store: BreakerRows,
    last_run: BreakerSnapshot | None,
    config: CircuitBreakerConfig,
    now_ms: int,
) -> tuple[BreakerState, Transition | None]:
    """The state to start in, and the trip to it where the store does not have that one yet.

    ``last_run`` is what the last run had in force by another witness than the store.
    """
    known_epoch = last_run.epoch if last_run is not None else 0
    try:
        stored = store.load()
    except StoreError as error:
        trip = _lost_state(store, error, known_epoch, now_ms)
        return trip.after, trip
    if last_run is None or known_epoch <= stored.epoch:
        return stored, None
    trip = _lost_trip(stored, last_run, config, now_ms)
    return trip.after, trip


def _lost_state(store: BreakerRows, error: StoreError, known_epoch: int, now_ms: int) -> Transition:
    """The state row is missing or unreadable: a halt with an epoch above all that were."""
    reason = f"store: {error}"
    epoch = known_epoch + 1
    with contextlib.suppress(StoreError):
        epoch = max(epoch, store.events.highest_epoch() + 1)
    before = replace(initial_state(now_ms), epoch=epoch - 1)
    after = held_state(epoch, reason, now_ms)
    return Transition("trip", before, after, Actor.SYSTEM, reason, now_ms, rule=STORE_RULE)


def _lost_trip(
    stored: BreakerState, last_run: BreakerSnapshot, config: CircuitBreakerConfig, now_ms: int
) -> Transition:
    """The last run ended before the store had its trip, or the store is not what it was."""
    trip = rules.trip(
        stored,
        config,
        now_ms,
        actor=Actor.SYSTEM,
        reason=f"store: it ends with epoch {stored.epoch}, and the last run on it ended "
        f"{last_run.status} with epoch {last_run.epoch}: {last_run.reason}",
        rule=STORE_RULE,
        latch=True,
    )
    return replace(trip, after=replace(trip.after, epoch=last_run.epoch))
