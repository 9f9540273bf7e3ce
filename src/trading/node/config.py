"""All that the core process is told at its start."""

from __future__ import annotations

from pydantic import Field

from trading.api.config import ApiConfig
from trading.exchange.config import ExchangeConfig
from trading.execution.config import ExecutionConfig
from trading.market.config import CrashDetectionConfig, MarketConfig, SpikeDetectionConfig
from trading.model.base import Fraction, ValueModel
from trading.model.market_clock import ClockSettings
from trading.node.logs import LoggingConfig
from trading.node.notify_config import NotificationsConfig
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.compliance_config import ComplianceConfig
from trading.risk.redis_config import RedisConfig
from trading.risk.risk_config import RiskConfig
from trading.simulator.config import SimulatorConfig
from trading.storage.config import StorageConfig


class SpikeQueueSettings(ValueModel):
    """How long spikes wait for a crew, and how long a crew may take."""

    capacity: int = Field(gt=0)
    max_age_ms: int = Field(gt=0)
    run_deadline_ms: int = Field(gt=0)


class NodeConfig(ValueModel):
    """The core's sections of the configuration."""

    market: MarketConfig
    crash_detection: CrashDetectionConfig
    spike_detection: SpikeDetectionConfig
    circuit_breaker: CircuitBreakerConfig
    risk: RiskConfig
    execution: ExecutionConfig
    compliance: ComplianceConfig
    exchange: ExchangeConfig
    simulator: SimulatorConfig
    storage: StorageConfig
    api: ApiConfig
    redis: RedisConfig
    logging: LoggingConfig
    notifications: NotificationsConfig
    spike_queue: SpikeQueueSettings
    crews_expected: bool
    min_headline_relevance: Fraction


class CoreLaunch(ValueModel):
    """One line of JSON on the core's standard input. Keys of the venue come in its environment."""

    config: NodeConfig
    clock: ClockSettings | None = None  # None: wall time
    tick_gap_ms: int = Field(default=0, ge=0)
    market_name: str = ""
    halt_reason: str = ""  # why it must begin with a trip: nobody watched for a while
    fresh_account: bool = False  # a simulated account that starts anew: nothing is carried over
