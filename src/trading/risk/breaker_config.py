"""Settings of the circuit breaker: how long it halts, how it eases, what it does to orders.

The thresholds that trip it belong to ``trading.market.config.CrashDetectionConfig``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from trading.model.base import ConfigModel


class PositionsPolicy(StrEnum):
    """What happens to open positions on a trip."""

    KEEP_WITH_TIGHT_STOPS = "keep_with_tight_stops"
    CLOSE_AT_MARKET = "close_at_market"
    LEAVE = "leave"


class RecoveryConditionsConfig(ConfigModel):
    """What the market must show before TRIGGERED may ease to RECOVERING, and to stay there."""

    further_fall_pct: float = Field(
        default=5.0,
        gt=0,
        le=50,
        description="No further fall of BTC or ETH beyond this, in %, within 30 minutes.",
    )
    liquidations_max_usd_1h: float = Field(
        default=100_000_000.0,
        gt=0,
        description="Futures liquidations of the last hour must be below this, in USD; "
        "not judged where no liquidation data is available.",
    )
    regained_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Share of BTC's fall that must be regained, unless it was flat long enough.",
    )
    flat_minutes: float = Field(
        default=30.0,
        ge=1,
        le=1_440,
        description="Minutes without a new low that count as flat long enough.",
    )
    volume_share: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="Traded volume must be at least this share of normal.",
    )


class CircuitBreakerConfig(ConfigModel):
    """The circuit breaker."""

    enabled: bool = Field(
        default=True,
        description="False: trips are recorded and nothing is halted. Only for counterfactual "
        "replays; a live run without a breaker is on your own head.",
    )
    auto_resume: bool = Field(
        default=True,
        description="Whether rules may start the recovery; False leaves it to the operator.",
    )
    cooldown_minutes: float = Field(
        default=15.0,
        ge=1,
        le=1_440,
        description="Shortest halt after a first trip; doubles with each further trip in 24 h.",
    )
    cooldown_max_minutes: float = Field(
        default=240.0,
        ge=1,
        le=10_080,
        description="The doubling cool-down never exceeds this.",
    )
    max_trips_24h: int = Field(
        default=3,
        ge=1,
        le=100,
        description="This many trips in 24 h set the MANUAL latch: only an operator resumes.",
    )
    llm_trip_max_minutes: float = Field(
        default=15.0,
        ge=1,
        le=240,
        description="A trip by a language model alone may ease after this, whatever the doubled "
        "cool-down says, unless a rule or an operator confirmed it.",
    )
    easing_share: float = Field(
        default=0.40,
        ge=0,
        lt=1,
        description="WARNING may end when every metric is at or below this share of its hard "
        "limit; where it begins is crash_detection.warning_share.",
    )
    easing_minutes: float = Field(
        default=5.0,
        ge=0,
        le=240,
        description="Minutes that all metrics must stay at or below easing_share.",
    )
    warning_size_multiplier: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Position sizes in WARNING are multiplied by this.",
    )
    stage_size_caps: tuple[float, float, float, float] = Field(
        default=(0.0, 0.10, 0.25, 0.50),
        description="Size multipliers of recovery stages 0 to 3, rising; after stage 3 sizes are "
        "full again.",
    )
    stage_minutes: float = Field(
        default=10.0,
        ge=1,
        le=1_440,
        description="Shortest stay in each recovery stage.",
    )
    recovery: RecoveryConditionsConfig = Field(
        default_factory=RecoveryConditionsConfig,
        description="Conditions of recovery.",
    )
    trip_cancels_entries: bool = Field(
        default=True,
        description="Cancel every open entry order on a trip; protective orders always stay.",
    )
    positions_policy: PositionsPolicy = Field(
        default=PositionsPolicy.KEEP_WITH_TIGHT_STOPS,
        description="keep_with_tight_stops: stops move up to tight_stop_pct below the last price; "
        "close_at_market: sell at once; leave: original stops stay.",
    )
    tight_stop_pct: float = Field(
        default=2.0,
        gt=0,
        lt=50,
        description="Distance of a tightened stop below the last price, in %; never moves down.",
    )
    foreign_fence_timeout_ms: int = Field(
        default=1_200,
        ge=10,
        le=30_000,
        description="Longest wait of a trip for processes on the same store that are handing an "
        "order to the wire; longer than exchange.recv_window_ms, after which the venue refuses "
        "what a stopped process sends late.",
    )
    heartbeat_timeout_ms: int = Field(
        default=1_000,
        ge=50,
        le=60_000,
        description="A worker that sees no heartbeat of the core for this long reads TRIGGERED.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.cooldown_max_minutes < self.cooldown_minutes:
            raise ValueError(
                f"cooldown_max_minutes={self.cooldown_max_minutes} is below "
                f"cooldown_minutes={self.cooldown_minutes}"
            )
        caps = self.stage_size_caps
        if list(caps) != sorted(caps) or not all(0 <= cap <= 1 for cap in caps):
            raise ValueError(f"stage_size_caps={caps} must rise from stage to stage, within 0 to 1")
        return self
