"""A breaker over a real SQLite file, on a clock that the test moves."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trading.clock import VirtualClock
from trading.model.breaker import Quiet
from trading.model.metrics import MarketSnapshot, Metric
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_state import RecoveryInputs
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.config import StorageConfig

START_MS = 1_760_000_000_000


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START_MS)


@pytest.fixture
def storage(tmp_path: Path) -> StorageConfig:
    return StorageConfig(path=tmp_path / "store.sqlite3", busy_timeout_ms=100)


@pytest.fixture
def opened() -> list[CircuitBreaker]:
    """The breakers that the test has opened, oldest first."""
    return []


@pytest.fixture
def open_breaker(
    storage: StorageConfig, clock: VirtualClock, opened: list[CircuitBreaker]
) -> Iterator[Callable[..., CircuitBreaker]]:
    """Opens (again) the breaker over the test's store; keyword arguments go into its config."""
    create_store(storage, clock)

    def open_one(**settings: Any) -> CircuitBreaker:
        breaker = CircuitBreaker.open(CircuitBreakerConfig(**settings), clock, storage)
        opened.append(breaker)
        return breaker

    yield open_one
    for breaker in opened:
        breaker.close()


@pytest.fixture
def breaker(open_breaker: Callable[..., CircuitBreaker]) -> CircuitBreaker:
    return open_breaker()


@pytest.fixture
def make_market() -> Callable[..., MarketSnapshot]:
    def make(share: float = 0.1, price: float = 50_000.0) -> MarketSnapshot:
        """A market whose worst metric has used ``share`` of its hard limit."""
        metrics = (
            Metric(name="btc_drawdown_1h", value=15 * share, hard_limit=15, soft_limit=9),
            Metric(name="eth_drawdown_1h", value=12 * share, hard_limit=15, soft_limit=9),
            Metric(name="market_index_4h", value=18 * share, hard_limit=20, soft_limit=12),
        )
        prices = {"BTCUSDT": price, "ETHUSDT": price / 20}
        return MarketSnapshot(time_ms=START_MS, metrics=metrics, prices=prices)

    return make


@pytest.fixture
def make_facts(
    make_market: Callable[..., MarketSnapshot], opened: list[CircuitBreaker]
) -> Callable[..., RecoveryInputs]:
    def make(share: float = 0.1, **changes: Any) -> RecoveryInputs:
        """Facts under which nothing stands in the way of a recovery now, with ``changes``."""
        epoch = opened[-1].snapshot.epoch if opened else 0
        calm: dict[str, Any] = {
            "market": make_market(share),
            "further_fall_30m_pct": 1.0,
            "btc_regained_share": 0.6,
            "flat_minutes": 45.0,
            "volume_share_of_normal": 1.0,
            "unknown_orders": 0,
            "reconciled": True,
            "quiet": Quiet(epoch=epoch),
            "healthy": True,
        }
        return RecoveryInputs(**{**calm, **changes})

    return make


@pytest.fixture
def rows(storage: StorageConfig) -> Callable[[str], list[dict[str, Any]]]:
    """Rows of a query over a connection of its own."""

    def query(sql: str) -> list[dict[str, Any]]:
        connection = sqlite3.connect(storage.path)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(sql)]
        finally:
            connection.close()

    return query
