"""Settings of the order path."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trading.execution.exit_config import ExitConfig
from trading.execution.liquidation_config import LiquidationConfig
from trading.execution.reconcile_config import ReconcileConfig
from trading.model.base import ConfigModel


class ExecutionConfig(ConfigModel):
    """How orders are sent, watched and resolved. Times are market time unless said otherwise."""

    entry_time_to_live_ms: int = Field(
        default=30_000,
        ge=1_000,
        le=3_600_000,
        description="An entry that still rests after this is cancelled.",
    )
    wire_barrier_timeout_ms: int = Field(
        default=25,
        ge=1,
        le=1_000,
        description="How long a trip waits for entries in flight to reach the wire; past it they "
        "are fenced and listed as of unknown outcome. Wall time.",
    )
    unknown_query_interval_ms: int = Field(
        default=500,
        ge=10,
        le=60_000,
        description="First pause between queries of an order of unknown outcome; doubles.",
    )
    unknown_query_max_interval_ms: int = Field(
        default=10_000, ge=10, le=600_000, description="The doubling pause never exceeds this."
    )
    not_found_grace_ms: int = Field(
        default=5_000,
        ge=1_000,
        le=120_000,
        description="A 'not found' sooner than this after the send is not a rejection. Must be "
        "longer than exchange.recv_window_ms, after which the venue refuses a late request.",
    )
    sweep_retry_ms: int = Field(
        default=500,
        ge=10,
        le=60_000,
        description="Pause between attempts to cancel an entry after a trip, until confirmed.",
    )
    protective_stop_type: Literal["STOP_LOSS", "STOP_LOSS_LIMIT"] = Field(
        default="STOP_LOSS",
        description="STOP_LOSS sells at market once triggered and always gets out; "
        "STOP_LOSS_LIMIT bounds the price and may be jumped over in a crash.",
    )
    stop_limit_offset_pct: float = Field(
        default=2.0,
        gt=0,
        le=20,
        description="Limit price of a STOP_LOSS_LIMIT below its trigger, in %.",
    )
    stop_retry_ms: int = Field(
        default=1_000,
        ge=10,
        le=60_000,
        description="Pause between attempts to place a protective stop that failed.",
    )
    take_profit_enabled: bool = Field(
        default=True,
        description="Sell when the take-profit price is reached; False leaves exits to the stop.",
    )
    exits: ExitConfig = Field(
        default_factory=ExitConfig,
        description="How positions are left, beside the protective stop.",
    )
    fee_estimate_pct: float = Field(
        default=0.1,
        ge=0,
        le=2,
        description="Fee assumed for a fill whose fee the venue has not reported yet, in %.",
    )
    reconcile_interval_ms: int = Field(
        default=300_000,
        ge=1_000,
        le=3_600_000,
        description="Pause between comparisons of our orders and positions with the venue's.",
    )
    reconcile_retry_ms: int = Field(
        default=2_000,
        ge=100,
        le=60_000,
        description="Pause before a failed or differing comparison is repeated.",
    )
    reconciliation: ReconcileConfig = Field(
        default_factory=ReconcileConfig,
        description="What a difference between our books and the venue's account means.",
    )
    difference_confirmations: int = Field(
        default=2,
        ge=1,
        le=10,
        description="Comparisons in a row that must show the same difference before it is set "
        "right or trips the breaker.",
    )
    liquidation: LiquidationConfig = Field(
        default_factory=LiquidationConfig, description="Selling everything on an operator's word."
    )
