"""The circuit breaker's vocabulary."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from trading.model.base import ValueModel


class BreakerStatus(StrEnum):
    SAFE = "SAFE"
    WARNING = "WARNING"
    TRIGGERED = "TRIGGERED"
    RECOVERING = "RECOVERING"


class Latch(StrEnum):
    NONE = "NONE"
    MANUAL = "MANUAL"


class Actor(StrEnum):
    """Who asks for a transition. A model may tighten and never loosen."""

    RULE = "rule"
    LLM = "llm"
    OPERATOR = "operator"
    SYSTEM = "system"  # store, feed, clock, watchdog: tightens like a rule


class BreakerSnapshot(ValueModel):
    """The breaker at one moment. Immutable; reading it takes one attribute access.

    ``size_multiplier`` is what position sizes are to be multiplied by: 1 in SAFE, 0.5 in WARNING,
    0 in TRIGGERED, the stage's cap in RECOVERING.
    """

    status: BreakerStatus
    epoch: int = Field(ge=0)
    latch: Latch = Latch.NONE
    stage: int = Field(default=0, ge=0, le=3)
    causes: tuple[str, ...] = ()
    reason: str = ""
    actor: Actor = Actor.SYSTEM
    changed_at_ms: int
    triggered_at_ms: int | None = None
    cooldown_until_ms: int | None = None
    stage_entered_at_ms: int | None = None
    trips_24h: int = 0
    event_id: int | None = None  # row of circuit_breaker_events that the current trip belongs to
    size_multiplier: float = Field(ge=0, le=1)

    @property
    def allows_entries(self) -> bool:
        """Whether a risk-increasing order may be sent at all."""
        return self.size_multiplier > 0

    @property
    def is_active(self) -> bool:
        """Whether the breaker is halting or still easing back (TRIGGERED or RECOVERING)."""
        return self.status in (BreakerStatus.TRIGGERED, BreakerStatus.RECOVERING)


class Quiet(ValueModel):
    """Whether the latest trip has come to rest: quiescent.

    It has when no order's outcome is unknown any more, open entries and positions are dealt with,
    and two clean account snapshots in a row agree. ``epoch`` is that of the trip that has, first
    noted at ``at_ms``; ``waits_for`` says what a trip that has not is waiting for.
    """

    epoch: int | None = None
    at_ms: int | None = None
    waits_for: str = ""


class TripReceipt(ValueModel):
    """Answer of ``trigger()``. Truthy: a trip always holds."""

    epoch: int
    newly_triggered: bool
    in_flight: tuple[str, ...] = ()  # client order ids whose outcome was unknown at the trip
    unconfirmed: tuple[str, ...] = ()  # who else might still send, after a bounded wait for them

    def __bool__(self) -> bool:
        return True


class RecoveryConditions(ValueModel):
    """Each condition of recovery, met or not, with its value in words."""

    met: bool
    conditions: dict[str, bool]
    explanations: dict[str, str]
    cooldown_remaining_s: float


class BreakerStatistics(ValueModel):
    """Totals over the life of the store."""

    trips: int
    false_trips: int
    trips_24h: int
    total_downtime_seconds: float
    total_capital_saved: Decimal
    last_trip_at_ms: int | None
    last_trip_reason: str | None
