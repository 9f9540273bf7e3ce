"""``AppConfig``: the whole of ``config/crewai_config.yaml``.

Every section is the configuration class of the part that uses it; nothing is declared twice.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from agents.config import AgentsConfig
from crews.crew_config import CrewsConfig
from trading.api.config import ApiConfig
from trading.exchange.config import ExchangeConfig
from trading.execution.config import ExecutionConfig
from trading.market.config import CrashDetectionConfig, MarketConfig, SpikeDetectionConfig
from trading.model.base import ConfigModel
from trading.news.config import NewsConfig
from trading.node.logs import LoggingConfig
from trading.node.notify_config import NotificationsConfig
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.compliance_config import ComplianceConfig
from trading.risk.redis_config import RedisConfig
from trading.risk.risk_config import RiskConfig
from trading.simulator.config import SimulatorConfig
from trading.simulator.market_config import MarketGeneratorConfig
from trading.storage.config import StorageConfig


class ViewConfig(ConfigModel):
    """The terminal view of `live`."""

    refresh_ms: int = Field(
        default=500, ge=100, le=10_000, description="Time between two drawings of the screen."
    )


class MonitoringConfig(ConfigModel):
    """What is logged and shown."""

    logging: LoggingConfig = Field(
        default_factory=LoggingConfig, description="Logs of all processes."
    )
    notifications: NotificationsConfig = Field(
        default_factory=NotificationsConfig, description="Messages to people."
    )
    view: ViewConfig = Field(default_factory=ViewConfig, description="The terminal view.")


class PerformanceConfig(ConfigModel):
    """Limits of the processes that `live` starts and watches."""

    start_timeout_s: float = Field(
        default=30.0,
        ge=1,
        le=600,
        description="How long the exchange and the core may take to get ready, seconds, beside "
        "waits for the venue's limits.",
    )
    stop_timeout_s: float = Field(
        default=10.0,
        ge=1,
        le=120,
        description="How long a process may take to end in order before it is killed, seconds.",
    )
    restart_first_s: float = Field(
        default=0.5,
        ge=0.1,
        le=60,
        description="Pause before a dead worker's first restart, seconds; doubles each time.",
    )
    restart_max_s: float = Field(
        default=30.0, ge=0.1, le=3600, description="Longest pause between restarts, seconds."
    )
    restart_limit: int = Field(
        default=20,
        ge=0,
        le=10_000,
        description="A worker that has died so often in a row, each time within a minute, is left "
        "alone until the next start; 0: never. The core is always started again.",
    )


class AppConfig(ConfigModel):
    """The whole configuration."""

    exchange: ExchangeConfig = Field(
        default_factory=ExchangeConfig,
        description="The venue: embedded exchange, testnet, demo mode or real money; testing mode"
        " dry_run.",
    )
    market: MarketConfig = Field(
        default_factory=MarketConfig, description="The market: which pairs are watched and traded."
    )
    circuit_breaker: CircuitBreakerConfig = Field(
        default_factory=CircuitBreakerConfig,
        description="Circuit breaker: how long it halts, what it does to orders and positions, "
        "how it recovers. What trips it is crash_detection, below.",
    )
    crash_detection: CrashDetectionConfig = Field(
        default_factory=CrashDetectionConfig,
        description="Crash detection: thresholds for BTC, ETH, the whole market and the data feed, "
        "which trip the circuit breaker without asking anybody.",
    )
    spike_detection: SpikeDetectionConfig = Field(
        default_factory=SpikeDetectionConfig,
        description="Spike detection: thresholds per pair, kinds of spike, confidence.",
    )
    risk: RiskConfig = Field(
        default_factory=RiskConfig, description="Risk management: sizes and limits of entries."
    )
    compliance: ComplianceConfig = Field(
        default_factory=ComplianceConfig,
        description="Compliance: when and how often entries are made, and with whose consent.",
    )
    execution: ExecutionConfig = Field(
        default_factory=ExecutionConfig,
        description="Execution: how orders are sent, watched and resolved.",
    )
    agents: AgentsConfig = Field(
        default_factory=AgentsConfig, description="The agents and their language model."
    )
    crews: CrewsConfig = Field(
        default_factory=CrewsConfig, description="Crew orchestration and worker processes."
    )
    news: NewsConfig = Field(
        default_factory=NewsConfig, description="News, social posts and large transfers."
    )
    storage: StorageConfig = Field(default_factory=StorageConfig, description="The SQLite store.")
    api: ApiConfig = Field(default_factory=ApiConfig, description="The core's control API.")
    redis: RedisConfig = Field(
        default_factory=RedisConfig, description="Sharing the breaker through Redis."
    )
    monitoring: MonitoringConfig = Field(
        default_factory=MonitoringConfig, description="Monitoring and logging."
    )
    performance: PerformanceConfig = Field(
        default_factory=PerformanceConfig, description="Performance limits of the processes."
    )
    simulator: SimulatorConfig = Field(
        default_factory=SimulatorConfig,
        description="Testing mode: the embedded exchange behind venue sim and dry runs.",
    )
    market_generator: MarketGeneratorConfig = Field(
        default_factory=MarketGeneratorConfig,
        description="Testing mode: the generated market of venue sim, where no recorded data is "
        "given.",
    )

    @model_validator(mode="after")
    def _warnings_ease_below_where_they_begin(self) -> Self:
        begins, ends = self.crash_detection.warning_share, self.circuit_breaker.easing_share
        if ends >= begins:
            raise ValueError(
                f"circuit_breaker.easing_share = {ends} must be below "
                f"crash_detection.warning_share = {begins}"
            )
        return self

    @model_validator(mode="after")
    def _a_late_order_is_not_given_up(self) -> Self:
        """Within the receive window a request may still arrive, and become an order."""
        window_ms, grace_ms = self.exchange.recv_window_ms, self.execution.not_found_grace_ms
        if grace_ms <= window_ms:
            raise ValueError(
                f"execution.not_found_grace_ms = {grace_ms} must be longer than "
                f"exchange.recv_window_ms = {window_ms}"
            )
        fence_ms = self.circuit_breaker.foreign_fence_timeout_ms
        if fence_ms <= window_ms:
            raise ValueError(
                f"circuit_breaker.foreign_fence_timeout_ms = {fence_ms} must be longer than "
                f"exchange.recv_window_ms = {window_ms}"
            )
        return self
