"""What a crew worker is told on its standard input. Imported by the supervisor: no CrewAI here."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import Field

from agents.config import AgentsConfig
from crews.crew_config import CrewsConfig
from trading.model.base import ConfigModel, SymbolName
from trading.node.logs import LoggingConfig


class WorkerRole(StrEnum):
    """Which crew a worker runs."""

    GUARDIAN = "guardian"
    SPIKE = "spike"


class WorkerConfig(ConfigModel):
    """One JSON line, written by the parent."""

    role: WorkerRole = Field(description="Which crew to run.")
    socket_path: Path = Field(description="The core's socket for workers.")
    record_path: Path = Field(description="The breaker's record in shared memory.")
    heartbeat_timeout_ms: int = Field(
        default=1_000, ge=50, description="A record older than this reads as TRIGGERED, ms."
    )
    request_timeout_s: float = Field(
        default=10.0, gt=0, description="How long the worker waits for the core's answer, seconds."
    )
    agents: AgentsConfig = Field(default_factory=AgentsConfig, description="The agents.")
    crews: CrewsConfig = Field(default_factory=CrewsConfig, description="The crews.")
    market_symbol: SymbolName = Field(
        default="BTCUSDT", description="The pair that stands for the whole market."
    )
    logging: LoggingConfig = Field(default_factory=LoggingConfig, description="Its log lines.")
