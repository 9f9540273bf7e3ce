"""A live run that shares its halt through Redis with a gateway on another machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live_instance import eventually, live_instance
from redis_server import RedisServer, needs_redis

from trading.api.schemas import OperatorCommand, TripCommand
from trading.clock import SystemClock
from trading.model.breaker import BreakerStatus
from trading.model.operations import LiquidationStatus
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.redis_config import RedisConfig
from trading.risk.redis_fleet import FleetHalt
from trading.storage.config import StorageConfig

pytestmark = needs_redis
RUNNING = LiquidationStatus.RUNNING


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.close()


@pytest.fixture
def elsewhere(tmp_path: Path, redis: RedisServer) -> Iterator[CircuitBreaker]:
    """The breaker of a gateway on another machine."""
    storage = StorageConfig(path=tmp_path / "elsewhere.sqlite3")
    create_store(storage, SystemClock())
    breaker = CircuitBreaker.open(CircuitBreakerConfig(), SystemClock(), storage)
    config = RedisConfig(port=redis.port, instance="elsewhere")
    fleet = FleetHalt(config, breaker, storage, SystemClock(), wire_ms=1_200)
    fleet.connect()
    yield breaker
    fleet.stop()
    breaker.close()


@pytest.mark.timeout(120)
def test_a_trip_on_either_machine_halts_both(
    tmp_path: Path, redis: RedisServer, elsewhere: CircuitBreaker
) -> None:
    shared = {"redis__enabled": True, "redis__port": redis.port, "redis__instance": "here"}
    with live_instance(tmp_path, with_workers=False, **shared) as instance:

        def component() -> tuple[bool, str]:
            found = {each.name: each for each in instance.operator.status().components}["fleet"]
            return found.ok, found.detail

        eventually(lambda: component()[0], 60, "the core holds a lease")
        assert elsewhere.trigger("crash seen elsewhere").unconfirmed == ()
        snapshot = instance.operator.breaker().snapshot
        assert snapshot.status is BreakerStatus.TRIGGERED
        assert snapshot.reason == "elsewhere tripped: crash seen elsewhere"
        eventually(
            lambda: "elsewhere halts all gateways" in str(instance.operator.breaker().blockers),
            30,
            "the rules wait for the other machine",
        )
        assert component() == (False, "elsewhere halts all gateways: crash seen elsewhere")

        epoch = elsewhere.snapshot.epoch
        instance.operator.trip(TripCommand(reason="seen here"))
        assert elsewhere.snapshot.epoch == epoch + 1
        assert elsewhere.snapshot.reason == "here tripped: seen here"


@pytest.mark.timeout(120)
def test_a_live_run_without_the_redis_it_was_told_to_use_begins_halted_and_can_be_told_to_sell(
    tmp_path: Path, redis: RedisServer
) -> None:
    redis.stop()
    settings = {"redis__enabled": True, "redis__port": redis.port}
    with live_instance(tmp_path, with_workers=False, **settings) as instance:
        snapshot = instance.operator.breaker().snapshot
        assert snapshot.status is BreakerStatus.TRIGGERED
        assert f"{redis.port}/0 does not answer" in snapshot.reason
        assert instance.operator.cancel_orders(OperatorCommand(reason="to be sure"))
        instance.operator.liquidate(OperatorCommand(reason="out of everything"))

        def ended() -> LiquidationStatus | None:
            report = instance.operator.liquidation()
            return None if report is None or report.status is RUNNING else report.status

        assert eventually(ended, 60, "the liquidation ends") is LiquidationStatus.FLAT
    redis.start()
