"""Gateways in one process around a real redis-server: who halts, who clears, and what is kept."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fleet import until
from redis_server import RedisServer, needs_redis

from trading.clock import SystemClock
from trading.model.breaker import Actor, BreakerStatus
from trading.risk import redis_member
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.redis_config import RedisConfig
from trading.risk.redis_fleet import FleetHalt
from trading.storage.config import StorageConfig

pytestmark = needs_redis

KEY = "spikeguard:breaker"
WIRE_MS = 100
TRIGGERED = BreakerStatus.TRIGGERED


class Gateway:
    """A breaker over a store of its own, and its part in the fleet."""

    def __init__(self, name: str, store: Path, port: int) -> None:
        storage = StorageConfig(path=store)
        create_store(storage, SystemClock())
        self.storage = storage
        self.breaker = CircuitBreaker.open(
            CircuitBreakerConfig(max_trips_24h=100), SystemClock(), storage
        )
        config = RedisConfig(port=port, instance=name, renew_interval_ms=100)
        self.fleet = FleetHalt(config, self.breaker, storage, SystemClock(), wire_ms=WIRE_MS)

    @property
    def epoch(self) -> int:
        return self.breaker.snapshot.epoch

    @property
    def is_halted(self) -> bool:
        return self.breaker.get_status() is TRIGGERED

    @property
    def may_send(self) -> bool:
        return self.fleet.clearance() is None

    def force_clear(self) -> None:
        self.breaker.clear(actor=Actor.OPERATOR, reason="test", epoch=self.epoch, force=True)

    def risk_events(self) -> list[str]:
        with closing(sqlite3.connect(self.storage.path)) as connection:
            rows = connection.execute(
                "SELECT message FROM risk_events WHERE rule = 'fleet_cleared'"
            )
            return [message for (message,) in rows]

    def close(self) -> None:
        self.fleet.stop()
        self.breaker.close()


@pytest.fixture(autouse=True)
def short_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that has only just joined need not wait for those that Redis may have forgotten."""
    monkeypatch.setattr(redis_member, "MAX_LEASE_MS", 0)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.close()


Start = Callable[..., Gateway]


@pytest.fixture
def start(redis: RedisServer, tmp_path: Path) -> Iterator[Start]:
    """Start a gateway by name: a new one, or one over the store it had before."""
    running: list[Gateway] = []

    def start(name: str, *, store: str | None = None, connected: bool = True) -> Gateway:
        made = Gateway(name, tmp_path / f"{store or name}.sqlite3", redis.port)
        running.append(made)
        if connected:
            made.fleet.connect()
            until(lambda: made.may_send or made.is_halted, "the first lease")
        return made

    yield start
    for gateway in running:
        gateway.close()


def halted(gateway: Gateway) -> None:
    until(lambda: gateway.is_halted, "the halt")


def record_of(redis: RedisServer) -> tuple[int, str, str]:
    """Epoch, status and owner; an epoch of -1 where they make no sense."""
    if redis.client.type(KEY) != "hash":
        return -1, "", ""
    epoch, status, owner = redis.client.hmget(KEY, "epoch", "status", "owner")  # type: ignore[misc]
    is_number = epoch is not None and epoch.isdecimal()
    return int(epoch) if is_number else -1, str(status), str(owner)


def test_a_trip_halts_the_others_once_and_does_not_come_back(
    redis: RedisServer, start: Start
) -> None:
    a, b = start("a"), start("b")
    receipt = a.breaker.trigger("crash here")
    assert receipt.unconfirmed == ()
    assert b.is_halted
    assert b.breaker.snapshot.reason == "a tripped: crash here"
    assert b.breaker.snapshot.actor is Actor.SYSTEM
    info = b.breaker.get_trigger_info()
    assert info is not None
    assert info["rule"] == "foreign_trip"
    time.sleep(0.5)  # several renewals
    assert (a.epoch, b.epoch, record_of(redis)) == (1, 1, (1, "TRIGGERED", "a"))
    a.breaker.trigger("again")
    assert b.epoch == 2


def test_a_gateway_that_starts_during_a_halt_is_halted(start: Start) -> None:
    start("a").breaker.trigger("crash")
    b = start("b")
    assert b.is_halted
    assert not b.may_send
    assert "a halts all gateways: crash" in str(b.fleet.halted_elsewhere())


def test_a_gateway_that_starts_without_redis_is_halted_and_joins_when_it_answers(
    redis: RedisServer, start: Start
) -> None:
    redis.stop()
    a = start("a", connected=False)
    a.fleet.connect()
    assert a.is_halted
    assert f"{redis.port}/0 does not answer" in a.breaker.snapshot.reason
    assert "REDIS_ENABLED" in a.breaker.snapshot.reason
    assert not a.may_send
    redis.start()
    b = start("b")
    until(lambda: a.fleet.halted_elsewhere() is None, "it has joined")
    assert not b.is_halted, "what losing Redis makes is not passed on"
    assert a.is_halted, "nothing in Redis eases a breaker"
    assert b.breaker.trigger("crash").unconfirmed == ()
    assert a.breaker.snapshot.reason == "b tripped: crash"


def test_a_trip_before_the_first_answer_of_redis_is_passed_on_when_it_comes(
    redis: RedisServer, start: Start
) -> None:
    redis.stop()
    a = start("a", connected=False)
    a.fleet.connect()
    assert "does not answer" in a.breaker.trigger("crash").unconfirmed[0]
    redis.start()
    until(lambda: record_of(redis)[1:] == ("TRIGGERED", "a"), "the trip is passed on")
    assert start("b").is_halted


def test_a_trip_that_redis_did_not_take_says_so_and_is_passed_on_later(
    redis: RedisServer, start: Start
) -> None:
    a = start("a")
    redis.stop()
    receipt = a.breaker.trigger("crash")
    assert len(receipt.unconfirmed) == 1
    assert "does not answer" in receipt.unconfirmed[0]
    redis.start()
    until(lambda: record_of(redis)[1:] == ("TRIGGERED", "a"), "the trip is passed on")
    assert a.epoch == 1


def test_a_trip_made_before_the_start_is_passed_on_and_once(
    redis: RedisServer, start: Start
) -> None:
    b = start("b")
    a = start("a", connected=False)
    assert "not connected" in a.breaker.trigger("crash").unconfirmed[0]
    a.fleet.connect()
    halted(b)
    assert record_of(redis) == (1, "TRIGGERED", "a")
    a.close()
    again = start("a")
    time.sleep(0.3)
    assert again.is_halted
    assert record_of(redis) == (1, "TRIGGERED", "a")


def test_nothing_in_redis_eases_a_breaker(redis: RedisServer, start: Start) -> None:
    a, b = start("a"), start("b")
    a.breaker.trigger("crash")
    redis.client.hset(KEY, "status", "CLEAR")
    time.sleep(0.3)
    assert a.is_halted
    assert b.is_halted


def test_the_tripping_gateway_clears_its_halt_even_after_a_restart(
    redis: RedisServer, start: Start
) -> None:
    a, b = start("a"), start("b")
    a.breaker.trigger("crash")
    a.close()
    a = start("a")
    assert a.fleet.halted_elsewhere() is None
    assert b.fleet.halted_elsewhere() is not None
    a.force_clear()
    until(lambda: record_of(redis)[1] == "CLEAR", "the clearing")
    until(lambda: a.may_send, "a's lease")
    assert b.is_halted


def test_an_operators_override_clears_the_fleet_and_is_recorded(
    redis: RedisServer, start: Start
) -> None:
    a, b = start("a"), start("b")
    a.breaker.trigger("crash")
    b.force_clear()
    until(lambda: record_of(redis)[1] == "CLEAR", "the clearing")
    until(lambda: b.may_send, "b's lease")
    assert not b.is_halted
    assert a.is_halted
    assert b.risk_events() == ["cleared epoch 1 of the fleet, made by a; operator: test"]


def test_a_gateway_that_comes_back_finds_that_redis_was_emptied(
    redis: RedisServer, start: Start
) -> None:
    a, b = start("a"), start("b")
    a.breaker.trigger("crash")
    for gateway in (a, b):
        gateway.force_clear()
    until(lambda: a.may_send and b.may_send, "both trade again")
    a.close()
    b.close()
    redis.client.flushall()
    a = start("a")
    assert a.is_halted
    assert a.breaker.snapshot.reason.startswith("Redis has lost the fleet's halt")
    assert record_of(redis)[0] == 2  # above all that was seen


@pytest.mark.parametrize(
    "damage",
    [
        lambda client: client.hset(KEY, "epoch", "many"),
        lambda client: client.hset(KEY, "status", "FINE"),
        lambda client: client.hset(KEY, "epoch", 2**60),
        lambda client: client.hdel(KEY, "epoch"),
        lambda client: client.hset(KEY, "epoch", 0),
        lambda client: client.set(KEY, "text"),
        lambda client: client.delete(KEY),
    ],
    ids=["epoch", "status", "huge epoch", "no epoch", "older epoch", "no hash", "nothing"],
)
def test_a_record_that_makes_no_sense_halts_all_and_is_put_right(
    redis: RedisServer, start: Start, damage: Callable[[object], object]
) -> None:
    a, b = start("a"), start("b")
    a.breaker.trigger("crash")
    for gateway in (a, b):
        gateway.force_clear()
    until(lambda: a.may_send and b.may_send, "both trade again")
    damage(redis.client)
    for gateway in (a, b):
        halted(gateway)
    until(lambda: 2 <= record_of(redis)[0] <= 4, "a record that makes sense")
    assert not a.may_send
    assert not b.may_send
    for gateway in (a, b):
        until(lambda g=gateway: not g.is_halted or g.force_clear(), "an operator clears it")  # type: ignore[misc]
    until(lambda: a.may_send and b.may_send, "both trade again")


def test_a_dead_gateway_is_waited_for_once(redis: RedisServer, start: Start) -> None:
    a = start("a")
    redis.client.hset(KEY, "member:dead", "0:7:400")
    began = time.monotonic()
    a.breaker.trigger("crash")
    assert time.monotonic() - began >= 0.4
    assert not redis.client.hexists(KEY, "member:dead")


def test_a_gateway_that_left_is_not_waited_for(redis: RedisServer, start: Start) -> None:
    a = start("a")
    start("b").close()
    members = [name for name in redis.client.hkeys(KEY) if name.startswith("member:")]  # type: ignore[union-attr]
    assert len(members) == 1
    assert a.breaker.trigger("crash").unconfirmed == ()


def test_two_processes_on_one_store_take_their_trip_for_one(
    redis: RedisServer, start: Start
) -> None:
    a, sibling = start("a"), start("sibling", store="a")
    a.breaker.trigger("crash")
    assert sibling.is_halted
    time.sleep(0.3)
    assert (a.epoch, sibling.epoch, record_of(redis)[0]) == (1, 1, 1)
    a.force_clear()
    until(lambda: record_of(redis)[1] == "CLEAR", "the clearing")
    sibling.breaker.refresh()
    until(lambda: a.may_send and sibling.may_send, "both trade again")
    assert not sibling.is_halted


def test_scripts_that_redis_forgot_are_loaded_again(redis: RedisServer, start: Start) -> None:
    a, b = start("a"), start("b")
    redis.client.script_flush()
    assert a.breaker.trigger("crash").unconfirmed == ()
    assert b.is_halted


def test_restored_older_data_makes_the_list_of_members_doubtful(
    redis: RedisServer, start: Start
) -> None:
    """The backup does not know b, which joined after it was made and holds a lease."""
    a = start("a")
    backup = redis.client.hgetall(KEY)
    start("b")
    time.sleep(0.3)  # until a relies on its list
    a.fleet._member._unlisted_silence_ms = 1_500
    redis.client.delete(KEY)
    redis.client.hset(KEY, mapping=backup)  # type: ignore[arg-type]
    began = time.monotonic()
    a.breaker.trigger("crash")
    assert time.monotonic() - began >= 1.5


def test_a_password_is_used_and_never_shown(redis: RedisServer, start: Start) -> None:
    redis.client.config_set("requirepass", "sesame")
    gateway = start("a", connected=False)
    gateway.fleet.connect()
    assert gateway.is_halted
    assert "sesame" not in gateway.breaker.snapshot.reason
    redis.client.execute_command("AUTH", "sesame")
    redis.client.config_set("requirepass", "")
