"""What the passing of time makes due, decided on a state and the latest facts."""

from __future__ import annotations

from trading.clock import MINUTE_MS
from trading.model.breaker import Actor, BreakerStatus
from trading.risk import breaker_rules as rules
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_recovery import recovery_blockers, soft_breach
from trading.risk.breaker_state import BreakerState, RecoveryInputs, Transition


def is_calm(config: CircuitBreakerConfig, facts: RecoveryInputs) -> bool:
    """Whether every metric is at or below the easing share, on data that can be trusted."""
    market = facts.market
    return (
        facts.healthy
        and market is not None
        and market.worst is not None
        and market.share_of_limit <= config.easing_share
    )


def due_transition(
    state: BreakerState,
    config: CircuitBreakerConfig,
    now_ms: int,
    facts: RecoveryInputs,
    calm_since_ms: int | None,
) -> Transition | None:
    """The transition that a rule makes now, or None.

    ``calm_since_ms`` is since when ``is_calm`` has held without a break.
    """
    if state.status is BreakerStatus.SAFE:
        return _warning(state, now_ms, facts)
    if state.status is BreakerStatus.WARNING:
        easing_ms = config.easing_minutes * MINUTE_MS
        if calm_since_ms is None or now_ms - calm_since_ms < easing_ms:
            return None
        return rules.ease_warning(state, now_ms, market=facts.market)
    if state.status is BreakerStatus.TRIGGERED:
        if recovery_blockers(state, config, facts, now_ms):
            return None
        reason = (
            "a model's unconfirmed trip is over" if state.llm_only else "recovery conditions met"
        )
        return rules.start_recovery(state, config, facts, now_ms, actor=Actor.RULE, reason=reason)
    if soft_breach(config, facts) is not None:
        return None
    return rules.next_stage(state, config, now_ms, facts.market)


def _warning(state: BreakerState, now_ms: int, facts: RecoveryInputs) -> Transition | None:
    metrics = facts.market.metrics if facts.market is not None else ()
    beyond = [metric for metric in metrics if metric.ready and metric.value >= metric.soft_limit]
    worst = max(beyond, key=lambda metric: metric.share_of_limit, default=None)
    if worst is None:
        return None
    reason = (
        f"{worst.name} at {worst.value:.2f} {worst.unit}, "
        f"{worst.share_of_limit:.0%} of its limit of {worst.hard_limit:g} {worst.unit}"
    )
    return rules.warn(state, now_ms, actor=Actor.RULE, reason=reason, market=facts.market)
