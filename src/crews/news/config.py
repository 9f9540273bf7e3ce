"""What the news process is told on its standard input."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from agents.config import AgentsConfig
from trading.model.base import ConfigModel, SymbolName
from trading.news.config import NewsConfig
from trading.node.logs import LoggingConfig


class NewsWorkerConfig(ConfigModel):
    """One JSON line, written by the parent."""

    socket_path: Path = Field(description="The core's socket for workers.")
    news: NewsConfig = Field(default_factory=NewsConfig, description="Sources and pace.")
    agents: AgentsConfig = Field(default_factory=AgentsConfig, description="The model.")
    symbols: tuple[SymbolName, ...] = Field(min_length=1, description="The watched pairs.")
    quote_asset: str = Field(description="What they are quoted in.")
    request_timeout_s: float = Field(default=10.0, gt=0, description="Wait for the core, seconds.")
    core_lost_after_s: float = Field(
        default=30.0, gt=0, description="Silence of the core after which the process ends, seconds."
    )
    logging: LoggingConfig = Field(default_factory=LoggingConfig, description="Its log lines.")
