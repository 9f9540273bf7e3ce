"""When a halt may end: the conditions of recovery, and what blocks it right now."""

from __future__ import annotations

import math

from trading.model.breaker import Actor, Latch, RecoveryConditions
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_state import BreakerState, RecoveryInputs

Condition = tuple[bool, str]
"""Met or not, and the value in words."""

_MARKET_CONDITIONS = frozenset({"no_further_fall", "liquidations_calm", "fall_regained", "volume"})


def recovery_conditions(
    state: BreakerState,
    config: CircuitBreakerConfig,
    facts: RecoveryInputs | None,
    now_ms: int,
) -> dict[str, Condition]:
    """Every condition of TRIGGERED → RECOVERING by name, in a fixed order."""
    remaining_s = cooldown_remaining_s(state, now_ms)
    conditions: dict[str, Condition] = {
        "cooldown_over": (
            remaining_s <= 0,
            f"{remaining_s:.0f} s of the cool-down left" if remaining_s > 0 else "over",
        ),
        "latch_released": (
            state.latch is Latch.NONE,
            "an operator must release the MANUAL latch" if state.latch is Latch.MANUAL else "none",
        ),
    }
    if facts is None:
        conditions["facts_known"] = (False, "no facts about market, orders and positions yet")
        return conditions
    limits = config.recovery
    conditions["data_healthy"] = (
        facts.healthy,
        "market data is fresh and sane" if facts.healthy else "market data cannot be trusted",
    )
    conditions["causes_clear"] = _causes_clear(facts)
    conditions["no_unknown_orders"] = (
        facts.unknown_orders == 0,
        f"{facts.unknown_orders} orders of unknown outcome",
    )
    conditions["reconciled"] = (
        facts.reconciled,
        "our books match the venue's" if facts.reconciled else "no clean reconciliation",
    )
    conditions["quiescent"] = _quiescent(state, config, facts)
    conditions["no_halt_elsewhere"] = (
        facts.halted_elsewhere is None,
        facts.halted_elsewhere or "nobody else halts us",
    )
    conditions["no_further_fall"] = (
        facts.further_fall_30m_pct <= limits.further_fall_pct,
        f"further fall of {facts.further_fall_30m_pct:.1f} % in 30 min, "
        f"at most {limits.further_fall_pct:g} %",
    )
    conditions["liquidations_calm"] = _liquidations_calm(facts, limits.liquidations_max_usd_1h)
    conditions["fall_regained"] = (
        facts.btc_regained_share >= limits.regained_share
        or facts.flat_minutes >= limits.flat_minutes,
        f"{facts.btc_regained_share:.0%} of the fall regained (wanted {limits.regained_share:.0%})"
        f" or flat for {facts.flat_minutes:.0f} min (wanted {limits.flat_minutes:g})",
    )
    conditions["volume"] = (
        facts.volume_share_of_normal >= limits.volume_share,
        f"volume at {facts.volume_share_of_normal:.0%} of normal, "
        f"at least {limits.volume_share:.0%}",
    )
    return conditions


def recovery_blockers(
    state: BreakerState,
    config: CircuitBreakerConfig,
    facts: RecoveryInputs | None,
    now_ms: int,
    *,
    actor: Actor = Actor.RULE,
) -> tuple[str, ...]:
    """Why ``actor`` cannot start the recovery now; empty when nothing is in the way.

    An operator judges the market alone and is not asked for the market conditions; cool-down,
    latch, data, causes, orders and books bind everybody. A halt that only a model caused needs no
    market recovery either, because there was no fall to recover from.
    """
    conditions = recovery_conditions(state, config, facts, now_ms)
    waived = actor is Actor.OPERATOR or state.llm_only
    blockers = [
        f"{name}: {explanation}"
        for name, (met, explanation) in conditions.items()
        if not met and not (waived and name in _MARKET_CONDITIONS)
    ]
    if actor is Actor.RULE and not config.auto_resume:
        blockers.append("auto_resume: off; an operator starts the recovery")
    return tuple(blockers)


def recovery_report(
    state: BreakerState,
    config: CircuitBreakerConfig,
    facts: RecoveryInputs | None,
    now_ms: int,
) -> RecoveryConditions:
    """The conditions as the control API shows them."""
    conditions = recovery_conditions(state, config, facts, now_ms)
    return RecoveryConditions(
        met=all(met for met, _ in conditions.values()),
        conditions={name: met for name, (met, _) in conditions.items()},
        explanations={name: text for name, (_, text) in conditions.items()},
        cooldown_remaining_s=cooldown_remaining_s(state, now_ms),
    )


def soft_breach(config: CircuitBreakerConfig, facts: RecoveryInputs) -> str | None:
    """What throws a recovery back to TRIGGERED, in words; None when all is calm."""
    if not facts.healthy:
        return "market data cannot be trusted"
    clear, explanation = _causes_clear(facts)
    if not clear:
        return explanation
    limits = config.recovery
    if facts.further_fall_30m_pct > limits.further_fall_pct:
        return f"a further fall of {facts.further_fall_30m_pct:.1f} % within 30 min"
    if facts.liquidations_1h_usd == math.inf:  # not known any more; that starts no new fall
        return None
    calm, explanation = _liquidations_calm(facts, limits.liquidations_max_usd_1h)
    return None if calm else explanation


def cooldown_remaining_s(state: BreakerState, now_ms: int) -> float:
    """Seconds of market time until the cool-down is over; 0 afterwards."""
    if state.cooldown_until_ms is None:
        return 0.0
    return max(0.0, (state.cooldown_until_ms - now_ms) / 1000)


def _causes_clear(facts: RecoveryInputs) -> Condition:
    if facts.market is None or facts.market.worst is None:
        return False, "no crash metric has enough data yet"
    breached = [metric.name for metric in facts.market.metrics if metric.is_breached]
    if breached:
        return False, "beyond the hard limit: " + ", ".join(breached)
    return True, "no metric beyond its hard limit"


def _quiescent(
    state: BreakerState, config: CircuitBreakerConfig, facts: RecoveryInputs
) -> Condition:
    if not config.enabled:
        return True, "nothing was halted"
    if facts.quiet.epoch == state.epoch:
        return True, "the trip has come to rest"
    return False, facts.quiet.waits_for or "the trip has not come to rest yet"


def _liquidations_calm(facts: RecoveryInputs, limit_usd: float) -> Condition:
    if facts.liquidations_1h_usd is None:
        return True, "no liquidation data; not judged"
    if math.isinf(facts.liquidations_1h_usd):
        return False, "liquidations were not heard for long enough to be judged"
    text = f"liquidations of {facts.liquidations_1h_usd / 1e6:.0f} M USD in 1 h"
    return facts.liquidations_1h_usd < limit_usd, f"{text}, below {limit_usd / 1e6:.0f} M USD"
