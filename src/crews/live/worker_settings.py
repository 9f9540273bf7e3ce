"""What the supervisor tells its workers."""

from __future__ import annotations

from crews.config import AppConfig
from crews.news.config import NewsWorkerConfig
from crews.worker_config import WorkerConfig, WorkerRole
from trading.node.instance import RuntimePaths


def crew_worker_settings(config: AppConfig, paths: RuntimePaths, role: WorkerRole) -> WorkerConfig:
    """Of the worker of one crew."""
    return WorkerConfig(
        role=role,
        agents=config.agents,
        crews=config.crews,
        socket_path=paths.worker_socket,
        record_path=paths.breaker_record,
        heartbeat_timeout_ms=config.circuit_breaker.heartbeat_timeout_ms,
        request_timeout_s=config.api.request_timeout_s,
        market_symbol=config.market.btc_symbol,
        logging=config.monitoring.logging,
    )


def news_worker_settings(config: AppConfig, paths: RuntimePaths) -> NewsWorkerConfig:
    """Of the news process."""
    return NewsWorkerConfig(
        socket_path=paths.worker_socket,
        news=config.news,
        agents=config.agents,
        symbols=config.market.symbols,
        quote_asset=config.market.quote_asset,
        request_timeout_s=config.api.request_timeout_s,
        core_lost_after_s=config.crews.worker.core_lost_after_s,
        logging=config.monitoring.logging,
    )
