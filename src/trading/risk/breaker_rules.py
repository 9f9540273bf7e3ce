"""The breaker's state machine as pure functions: state in, transition out, nothing else touched.

=================== ===================== ==================================== =================
from                to                    guard                                who
=================== ===================== ==================================== =================
SAFE                WARNING               a metric at 60 % of its hard limit   anyone
WARNING             SAFE                  all metrics at most 40 % for 5 min   rule
any                 TRIGGERED             hard limit, lost trust, judgement    anyone
TRIGGERED           RECOVERING, stage 0   ``recovery_blockers`` is empty       rule, operator
RECOVERING, stage n stage n + 1 … SAFE    10 min in each stage, no soft breach rule
RECOVERING          TRIGGERED             ``soft_breach``                      rule
latch MANUAL        latch NONE            reason, the current epoch            operator
any but SAFE        SAFE                  ``force``, reason, current epoch     operator, recorded
=================== ===================== ==================================== =================

A trip counts towards the doubling cool-down and the MANUAL latch when a rule, the system or an
operator makes it from SAFE, WARNING or RECOVERING, or first confirms a trip by a model. Further
trips while TRIGGERED raise the epoch, add their cause and restart the cool-down; a model's further
trips do not restart it, so that a poisoned headline cannot hold trading up for ever.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trading.clock import DAY_MS, MINUTE_MS
from trading.errors import IllegalTransitionError, StaleEpochError
from trading.model.breaker import Actor, BreakerStatus, Latch
from trading.model.metrics import MarketSnapshot
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_recovery import recovery_blockers, recovery_conditions
from trading.risk.breaker_state import BreakerState, EventKind, RecoveryInputs, Transition

MAX_CAUSES = 20
LAST_STAGE = 3


def cooldown_ms(config: CircuitBreakerConfig, trips_24h: int) -> int:
    """Length of the halt after the ``trips_24h``-th counted trip: doubling, up to the maximum."""
    doublings = min(max(trips_24h - 1, 0), 32)
    minutes = min(config.cooldown_minutes * 2**doublings, config.cooldown_max_minutes)
    return int(minutes * MINUTE_MS)


def trip(
    state: BreakerState,
    config: CircuitBreakerConfig,
    now_ms: int,
    *,
    actor: Actor,
    reason: str,
    rule: str | None = None,
    details: dict[str, Any] | None = None,
    market: MarketSnapshot | None = None,
    latch: bool = False,
) -> Transition:
    """Any state → TRIGGERED with the next epoch. Never refused."""
    was_triggered = state.status is BreakerStatus.TRIGGERED
    kind: EventKind = "trip"
    if was_triggered:
        kind = "retrip"
    elif state.status is BreakerStatus.RECOVERING:
        kind = "relapse"

    by_llm = actor is Actor.LLM
    times = tuple(time_ms for time_ms in state.trip_times_ms if now_ms - time_ms < DAY_MS)
    confirmed = was_triggered and any(at >= (state.triggered_at_ms or 0) for at in times)
    counted = not by_llm and not confirmed
    if counted:
        times = (*times, now_ms)
    # A model that throws a recovery back does not take the rule's part out of the episode: what
    # the market must show before the next recovery stays the same.
    llm_only = by_llm and (state.llm_only if state.status in _HALTED else True)

    if not by_llm:
        halt_ms = cooldown_ms(config, len(times))
    else:
        llm_max_ms = int(config.llm_trip_max_minutes * MINUTE_MS)
        halt_ms = min(cooldown_ms(config, len(times) + 1), llm_max_ms)
    until_ms = now_ms + halt_ms
    if was_triggered and state.cooldown_until_ms is not None:
        until_ms = state.cooldown_until_ms if by_llm else max(state.cooldown_until_ms, until_ms)

    latches = counted and len(times) >= config.max_trips_24h
    manual = latch or latches or actor is Actor.OPERATOR
    causes = state.causes if state.status in _HALTED else ()
    if reason not in causes:
        causes = (*causes, reason)[-MAX_CAUSES:]
    after = replace(
        state,
        status=BreakerStatus.TRIGGERED,
        epoch=state.epoch + 1,
        latch=Latch.MANUAL if manual else state.latch,
        stage=0,
        causes=causes,
        reason=reason,
        actor=actor,
        changed_at_ms=now_ms,
        triggered_at_ms=now_ms if kind != "retrip" else state.triggered_at_ms,
        cooldown_until_ms=until_ms,
        stage_entered_at_ms=None,
        llm_only=llm_only,
        trip_times_ms=times,
    )
    return Transition(
        kind, state, after, actor, reason, now_ms, rule=rule, details=details or {}, market=market
    )


def warn(
    state: BreakerState,
    now_ms: int,
    *,
    actor: Actor,
    reason: str,
    details: dict[str, Any] | None = None,
    market: MarketSnapshot | None = None,
) -> Transition | None:
    """SAFE → WARNING; None when the warning stands already.

    Raises:
        IllegalTransitionError: while halted a warning would be an easing.
    """
    if state.status is BreakerStatus.WARNING:
        return None
    if state.status is not BreakerStatus.SAFE:
        raise IllegalTransitionError(f"{state.status} → WARNING: a halt ends only by recovery")
    after = replace(
        state,
        status=BreakerStatus.WARNING,
        causes=(reason,),
        reason=reason,
        actor=actor,
        changed_at_ms=now_ms,
    )
    return Transition(
        "warning", state, after, actor, reason, now_ms, details=details or {}, market=market
    )


def ease_warning(state: BreakerState, now_ms: int, *, market: MarketSnapshot | None) -> Transition:
    """WARNING → SAFE. The caller has watched the metrics for the easing time."""
    if state.status is not BreakerStatus.WARNING:
        raise IllegalTransitionError(f"{state.status} → SAFE is no easing of a warning")
    reason = "all metrics back below the easing share"
    return Transition(
        "easing",
        state,
        _safe(state, Actor.RULE, reason, now_ms),
        Actor.RULE,
        reason,
        now_ms,
        market=market,
    )


def start_recovery(
    state: BreakerState,
    config: CircuitBreakerConfig,
    facts: RecoveryInputs | None,
    now_ms: int,
    *,
    actor: Actor,
    reason: str,
    epoch: int | None = None,
) -> Transition:
    """TRIGGERED → RECOVERING stage 0.

    Raises:
        IllegalTransitionError: wrong state or actor, or something blocks; the message says what.
        StaleEpochError: an operator did not echo the current epoch.
    """
    _require_easing_right(actor, reason)
    if state.status is not BreakerStatus.TRIGGERED:
        raise IllegalTransitionError(f"{state.status} → RECOVERING: there is nothing to recover")
    if epoch is not None or actor is Actor.OPERATOR:
        _require_epoch(state, epoch)
    blockers = recovery_blockers(state, config, facts, now_ms, actor=actor)
    if blockers:
        raise IllegalTransitionError("recovery cannot start: " + "; ".join(blockers))
    after = replace(
        state,
        status=BreakerStatus.RECOVERING,
        stage=0,
        reason=reason,
        actor=actor,
        changed_at_ms=now_ms,
        stage_entered_at_ms=now_ms,
    )
    conditions = recovery_conditions(state, config, facts, now_ms)
    return Transition(
        "recovery",
        state,
        after,
        actor,
        reason,
        now_ms,
        market=facts.market if facts else None,
        conditions={name: met for name, (met, _) in conditions.items()},
    )


def next_stage(
    state: BreakerState, config: CircuitBreakerConfig, now_ms: int, market: MarketSnapshot | None
) -> Transition | None:
    """One stage up, or from the last one to SAFE; None while the stage's time is not over."""
    if state.status is not BreakerStatus.RECOVERING:
        raise IllegalTransitionError(f"{state.status} has no recovery stage to leave")
    entered_ms = state.changed_at_ms
    if state.stage_entered_at_ms is not None:
        entered_ms = state.stage_entered_at_ms
    if now_ms - entered_ms < config.stage_minutes * MINUTE_MS:
        return None
    actor = Actor.RULE
    if state.stage == LAST_STAGE:
        reason = "recovery complete"
        after = _safe(state, actor, reason, now_ms)
        return Transition("clear", state, after, actor, reason, now_ms, market=market)
    stage = state.stage + 1
    reason = f"recovery stage {stage}: sizes at {config.stage_size_caps[stage]:.0%}"
    after = replace(
        state,
        stage=stage,
        reason=reason,
        actor=actor,
        changed_at_ms=now_ms,
        stage_entered_at_ms=now_ms,
    )
    return Transition("stage", state, after, actor, reason, now_ms, market=market)


def clear(
    state: BreakerState,
    config: CircuitBreakerConfig,
    now_ms: int,
    *,
    actor: Actor,
    reason: str,
    epoch: int,
    force: bool = False,
) -> Transition:
    """Release the latch, finish a recovery, or (operator, ``force``) go to SAFE at once.

    An operator without ``force`` releases the MANUAL latch and stays TRIGGERED. A rule finishes a
    recovery whose last stage is over. ``force`` is recorded as an override.

    Raises:
        IllegalTransitionError: no such edge for this actor and state.
        StaleEpochError: ``epoch`` is not the current one.
    """
    _require_easing_right(actor, reason)
    _require_epoch(state, epoch)
    if actor is Actor.RULE:
        if force:
            raise IllegalTransitionError("only an operator may force a clear")
        if state.status is BreakerStatus.RECOVERING and state.stage == LAST_STAGE:
            done = next_stage(state, config, now_ms, None)
            if done is not None:
                return replace(done, reason=reason, after=replace(done.after, reason=reason))
        raise IllegalTransitionError(f"{state.status} stage {state.stage} → SAFE is not for a rule")
    if force:
        if state.status is BreakerStatus.SAFE:
            raise IllegalTransitionError("the breaker is SAFE: there is nothing to clear")
        after = _safe(state, actor, reason, now_ms)
        return Transition("clear", state, after, actor, reason, now_ms, details={"override": True})
    if state.latch is Latch.MANUAL and state.status is BreakerStatus.TRIGGERED:
        after = replace(state, latch=Latch.NONE, reason=reason, actor=actor, changed_at_ms=now_ms)
        return Transition("latch", state, after, actor, reason, now_ms)
    raise IllegalTransitionError(_nothing_to_release(state))


def _nothing_to_release(state: BreakerState) -> str:
    """Why a clear without force does nothing here, and which command would."""
    text = f"the breaker is {state.status} without the MANUAL latch: there is nothing to release"
    if state.status is BreakerStatus.TRIGGERED:
        return (
            f"{text}; it recovers by rule, `breaker recover` begins that sooner, and "
            "`breaker clear --force` goes straight to SAFE"
        )
    if state.status is BreakerStatus.SAFE:
        return text
    return f"{text}; `breaker clear --force` goes straight to SAFE"


_HALTED = (BreakerStatus.TRIGGERED, BreakerStatus.RECOVERING)


def _safe(state: BreakerState, actor: Actor, reason: str, now_ms: int) -> BreakerState:
    return replace(
        state,
        status=BreakerStatus.SAFE,
        latch=Latch.NONE,
        stage=0,
        causes=(),
        reason=reason,
        actor=actor,
        changed_at_ms=now_ms,
        triggered_at_ms=None,
        cooldown_until_ms=None,
        stage_entered_at_ms=None,
        llm_only=False,
        event_id=None,
    )


def _require_easing_right(actor: Actor, reason: str) -> None:
    if actor not in (Actor.RULE, Actor.OPERATOR):
        raise IllegalTransitionError(f"actor {actor} may tighten and never ease")
    if actor is Actor.OPERATOR and not reason.strip():
        raise IllegalTransitionError("an operator eases only with a reason")


def _require_epoch(state: BreakerState, epoch: int | None) -> None:
    if epoch != state.epoch:
        raise StaleEpochError(f"the current epoch is {state.epoch}, not {epoch}")
