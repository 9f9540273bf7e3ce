"""The breaker's inner state, the facts it judges by, and a transition as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field

from trading.clock import DAY_MS
from trading.model.base import ValueModel
from trading.model.breaker import Actor, BreakerSnapshot, BreakerStatus, Latch, Quiet
from trading.model.metrics import MarketSnapshot
from trading.risk.breaker_config import CircuitBreakerConfig

EventKind = Literal[
    "trip", "retrip", "relapse", "warning", "easing", "recovery", "stage", "clear", "latch"
]


class RecoveryInputs(ValueModel):
    """What the rules judge by, gathered by the core about once a second.

    ``reconciled``: the last reconciliation found our orders and positions as the venue has them.
    ``healthy``: the market data is fresh and sane. ``liquidations_1h_usd`` is None where no such
    data is available; it is then not judged; it is infinite where the data should be available and
    are not. ``quiet``: which trip has come to rest.
    ``halted_elsewhere``: why another machine's halt, or a lost connection to those others, keeps
    this one halted.
    """

    market: MarketSnapshot | None = None
    further_fall_30m_pct: float = Field(ge=0, allow_inf_nan=False)
    btc_regained_share: float = Field(allow_inf_nan=False)
    flat_minutes: float = Field(ge=0)
    volume_share_of_normal: float = Field(ge=0, allow_inf_nan=False)
    liquidations_1h_usd: float | None = Field(default=None, ge=0)
    unknown_orders: int = Field(ge=0)
    reconciled: bool
    quiet: Quiet
    healthy: bool
    halted_elsewhere: str | None = None


@dataclass(frozen=True, slots=True)
class BreakerState:
    """Everything that survives a restart. ``revision`` rises with every stored change.

    ``trip_times_ms`` holds the trips that count towards the doubling cool-down and the MANUAL
    latch: those of rules, operators and the system. ``llm_only``: nobody but a language model
    stands behind the current halt.
    """

    status: BreakerStatus
    epoch: int
    latch: Latch
    changed_at_ms: int
    stage: int = 0
    causes: tuple[str, ...] = ()
    reason: str = ""
    actor: Actor = Actor.SYSTEM
    triggered_at_ms: int | None = None
    cooldown_until_ms: int | None = None
    stage_entered_at_ms: int | None = None
    llm_only: bool = False
    trip_times_ms: tuple[int, ...] = ()
    event_id: int | None = None
    revision: int = 0

    def trips_24h(self, now_ms: int) -> int:
        """Counted trips of the last 24 hours."""
        return sum(1 for time_ms in self.trip_times_ms if now_ms - time_ms < DAY_MS)

    def size_multiplier(self, config: CircuitBreakerConfig) -> float:
        """What position sizes are multiplied by in this state."""
        if self.status is BreakerStatus.SAFE:
            return 1.0
        if self.status is BreakerStatus.WARNING:
            return config.warning_size_multiplier
        if self.status is BreakerStatus.RECOVERING:
            return config.stage_size_caps[self.stage]
        return 0.0

    def snapshot(self, config: CircuitBreakerConfig) -> BreakerSnapshot:
        """The public view of this state."""
        return BreakerSnapshot(
            status=self.status,
            epoch=self.epoch,
            latch=self.latch,
            stage=self.stage,
            causes=self.causes,
            reason=self.reason,
            actor=self.actor,
            changed_at_ms=self.changed_at_ms,
            triggered_at_ms=self.triggered_at_ms,
            cooldown_until_ms=self.cooldown_until_ms,
            stage_entered_at_ms=self.stage_entered_at_ms,
            trips_24h=self.trips_24h(self.changed_at_ms),
            event_id=self.event_id,
            size_multiplier=self.size_multiplier(config),
        )


@dataclass(frozen=True, slots=True)
class Transition:
    """A step of the state machine, ready to be stored: the new state and its event."""

    kind: EventKind
    before: BreakerState
    after: BreakerState
    actor: Actor
    reason: str
    now_ms: int
    rule: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    market: MarketSnapshot | None = None
    conditions: dict[str, bool] | None = None


def initial_state(now_ms: int) -> BreakerState:
    """State of a store that was just created."""
    return BreakerState(BreakerStatus.SAFE, 0, Latch.NONE, now_ms, reason="store created")


def held_state(epoch: int, reason: str, now_ms: int) -> BreakerState:
    """TRIGGERED with the MANUAL latch: what an unreadable past is taken for."""
    return BreakerState(
        BreakerStatus.TRIGGERED,
        epoch,
        Latch.MANUAL,
        now_ms,
        causes=(reason,),
        reason=reason,
        actor=Actor.SYSTEM,
        triggered_at_ms=now_ms,
        cooldown_until_ms=now_ms,
        trip_times_ms=(now_ms,),
    )
