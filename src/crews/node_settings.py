"""The core's share of the configuration."""

from __future__ import annotations

from crews.config import AppConfig
from trading.node.config import NodeConfig, SpikeQueueSettings


def node_config(config: AppConfig) -> NodeConfig:
    """What the core is told: everything but the agents, and of the crews only how long they may
    take."""
    spike_crew = config.crews.spike_trading
    return NodeConfig(
        market=config.market,
        crash_detection=config.crash_detection,
        spike_detection=config.spike_detection,
        circuit_breaker=config.circuit_breaker,
        risk=config.risk,
        execution=config.execution,
        compliance=config.compliance,
        exchange=config.exchange,
        simulator=config.simulator,
        storage=config.storage,
        api=config.api,
        redis=config.redis,
        logging=config.monitoring.logging,
        notifications=config.monitoring.notifications,
        spike_queue=SpikeQueueSettings(
            capacity=spike_crew.queue_size,
            max_age_ms=round(spike_crew.max_spike_age_s * 1000),
            run_deadline_ms=round(spike_crew.run_deadline_s * 1000),
        ),
        crews_expected=config.crews.enabled,
        min_headline_relevance=config.news.min_headline_relevance,
    )
