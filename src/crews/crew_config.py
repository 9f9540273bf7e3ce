"""Settings of the two crews and of the processes that run them."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from trading.model.base import ConfigModel


class GuardianCrewConfig(ConfigModel):
    """The guardian crew assesses the market all the time, beside the core's own detector."""

    interval_s: float = Field(
        default=30.0,
        ge=1,
        le=3600,
        description="Market time between two assessments, seconds. A change of the breaker's "
        "state starts one at once.",
    )
    deadline_s: float = Field(
        default=30.0, ge=1, le=600, description="Longest time for one assessment, seconds."
    )
    max_model_calls: int = Field(
        default=16, ge=2, le=200, description="Most model calls in one assessment."
    )


class SpikeCrewConfig(ConfigModel):
    """The spike-trading crew runs once for each spike worth a look."""

    max_concurrent_runs: int = Field(
        default=2, ge=1, le=16, description="Runs at once; each has a warm crew of its own."
    )
    queue_size: int = Field(
        default=8,
        ge=1,
        le=1000,
        description="Spikes that may wait for a crew; beyond it the weakest is skipped.",
    )
    max_spike_age_s: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="A spike older than this (market time, seconds) is skipped, not traded.",
    )
    run_deadline_s: float = Field(
        default=90.0,
        gt=0,
        le=600,
        description="Market time from the spike on in which its run must end, seconds; later "
        "means no trade.",
    )
    proposal_ttl_s: float = Field(
        default=10.0,
        gt=0,
        le=120,
        description="Market time after which an unsent entry proposal is void, seconds; never "
        "later than the run's deadline.",
    )
    max_model_calls: int = Field(
        default=40, ge=5, le=400, description="Most model calls in one run; more means no trade."
    )
    similar_spikes: int = Field(
        default=0,
        ge=0,
        le=20,
        description="Memory: how many similar past spikes the context agent is shown with what "
        "became of them, in figures only; 0 is off.",
    )

    @model_validator(mode="after")
    def _a_claimed_spike_has_time_left(self) -> Self:
        if self.max_spike_age_s >= self.run_deadline_s:
            raise ValueError(
                f"max_spike_age_s = {self.max_spike_age_s} must be below "
                f"run_deadline_s = {self.run_deadline_s}: both count from the spike"
            )
        return self


class PostTradeConfig(ConfigModel):
    """The look back at each closed trade, by the risk assessor."""

    enabled: bool = Field(default=True, description="Whether closed trades are looked back at.")
    interval_s: float = Field(
        default=5.0, ge=0.5, le=3600, description="Wall time between two looks for one, seconds."
    )
    deadline_s: float = Field(
        default=60.0, ge=1, le=600, description="Longest time for one look back, market seconds."
    )
    max_model_calls: int = Field(
        default=8, ge=2, le=100, description="Most model calls in one look back."
    )


class DeskConfig(ConfigModel):
    """Notes of the safety desk's agents (agents.risk_manager to agents.simulation), for people.

    An agent that is switched on writes on its events, in the spike worker: a refusal (one note an
    hour for each rule and pair), a reconciliation that corrected or latched, errors that repeat,
    the end of a day, the end of a run on virtual money. `explain` asks for one at any time.
    """

    interval_s: float = Field(
        default=15.0, ge=0.5, le=3600, description="Wall time between two looks for work, seconds."
    )
    deadline_s: float = Field(
        default=90.0, ge=1, le=600, description="Longest time for one note, market seconds."
    )
    max_model_calls: int = Field(
        default=4, ge=2, le=50, description="Most model calls for one note."
    )
    max_notes_per_hour: int = Field(
        default=12,
        ge=1,
        le=1000,
        description="Most notes on events within an hour of market time; `explain` is not counted.",
    )


class WorkerProcessConfig(ConfigModel):
    """The processes that run the crews, without any exchange key."""

    heartbeat_interval_s: float = Field(
        default=1.0, ge=0.1, le=30, description="Wall time between two signs of life, seconds."
    )
    core_lost_after_s: float = Field(
        default=10.0,
        ge=1,
        le=300,
        description="A worker ends itself when the core has not answered for so long, seconds.",
    )
    claim_timeout_s: float = Field(
        default=5.0,
        ge=0.1,
        le=60,
        description="How long one request for a spike waits at the core, seconds.",
    )
    nice: int = Field(
        default=10,
        ge=0,
        le=19,
        description="How far workers stand back from the core for the processor (Unix nice).",
    )


class CrewsConfig(ConfigModel):
    """Crew orchestration."""

    enabled: bool = Field(
        default=True,
        description="Off: no crew workers are started; the core guards and protects alone.",
    )
    guardian: GuardianCrewConfig = Field(
        default_factory=GuardianCrewConfig, description="The guardian crew."
    )
    spike_trading: SpikeCrewConfig = Field(
        default_factory=SpikeCrewConfig, description="The spike-trading crew."
    )
    post_trade: PostTradeConfig = Field(
        default_factory=PostTradeConfig, description="Looking back at closed trades."
    )
    desk: DeskConfig = Field(
        default_factory=DeskConfig, description="Notes of the safety desk's agents."
    )
    worker: WorkerProcessConfig = Field(
        default_factory=WorkerProcessConfig, description="The worker processes."
    )
    replay_guardian_interval_s: float = Field(
        default=900.0,
        ge=1,
        le=86_400,
        description="Market time between two assessments of the guardian crew in a replay, "
        "seconds, where days pass in a minute. A change of the breaker starts one at once.",
    )
