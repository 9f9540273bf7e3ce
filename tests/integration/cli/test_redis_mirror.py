"""The breaker's mirror against a real redis-server on a free port."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from trading.clock import SystemClock
from trading.errors import StoreError
from trading.model.breaker import Actor, BreakerStatus
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.redis_config import RedisConfig
from trading.risk.redis_mirror import FOREIGN_RULE, LOST_RULE, RedisBreakerMirror
from trading.storage.config import StorageConfig

if shutil.which("redis-server") is None:
    pytest.skip("redis-server is not installed", allow_module_level=True)


class Server:
    """redis-server on a free port, without persistence."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.client = Redis(port=self.port, decode_responses=True)
        self.start()

    def start(self) -> None:
        options = f"--port {self.port} --bind 127.0.0.1 --save '' --appendonly no".split()
        self.process = subprocess.Popen(
            ["redis-server", *options, "--dir", str(self._folder)], stdout=subprocess.DEVNULL
        )
        for _ in range(500):
            try:
                self.client.ping()
            except RedisError:
                time.sleep(0.01)
            else:
                return
        raise AssertionError("redis-server did not start")

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def stop(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path)
    yield running
    running.client.close()
    running.stop()


@pytest.fixture
def make_breaker(tmp_path: Path) -> Iterator[Callable[[str], CircuitBreaker]]:
    made: list[CircuitBreaker] = []

    def make(name: str) -> CircuitBreaker:
        storage = StorageConfig(path=tmp_path / f"{name}.sqlite3")
        create_store(storage, SystemClock())
        made.append(CircuitBreaker.open(CircuitBreakerConfig(), SystemClock(), storage))
        return made[-1]

    yield make
    for breaker in made:
        breaker.close()


def _config(server: Server, instance: str) -> RedisConfig:
    return RedisConfig(
        enabled=True, port=server.port, instance=instance, check_interval_s=0.1, timeout_s=0.8
    )


@asynccontextmanager
async def mirrored(
    server: Server, breaker: CircuitBreaker, instance: str
) -> AsyncIterator[RedisBreakerMirror]:
    mirror = RedisBreakerMirror(_config(server, instance), breaker)
    await mirror.connect()
    task = asyncio.create_task(mirror.run())
    try:
        yield mirror
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - the condition is another process's
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"did not happen: {what}")


def _record(server: Server, instance: str) -> dict[str, object]:
    text = server.client.hget("spikeguard:breaker", instance)
    assert isinstance(text, str)
    snapshot: dict[str, object] = json.loads(text)["snapshot"]
    return snapshot


def _operator_clears(breaker: CircuitBreaker) -> None:
    breaker.clear(actor=Actor.OPERATOR, reason="test", epoch=breaker.snapshot.epoch, force=True)


async def test_every_transition_is_published(
    server: Server, make_breaker: Callable[[str], CircuitBreaker]
) -> None:
    breaker = make_breaker("a")
    async with mirrored(server, breaker, "a"):
        assert _record(server, "a")["status"] == "SAFE"
        await asyncio.to_thread(breaker.trigger, "crash")
        await until(lambda: _record(server, "a")["status"] == "TRIGGERED", "the trip's record")
        assert _record(server, "a")["epoch"] == breaker.snapshot.epoch
        await asyncio.to_thread(_operator_clears, breaker)
        await until(lambda: _record(server, "a")["status"] == "SAFE", "the clearing's record")


async def test_a_trip_of_one_instance_trips_the_others_once(
    server: Server, make_breaker: Callable[[str], CircuitBreaker]
) -> None:
    first, second = make_breaker("a"), make_breaker("b")
    async with mirrored(server, first, "a"), mirrored(server, second, "b"):
        await asyncio.to_thread(first.trigger, "crash here")
        await until(
            lambda: second.snapshot.status is BreakerStatus.TRIGGERED, "the second instance's trip"
        )
        assert second.snapshot.reason == "a tripped: crash here"
        assert second.snapshot.actor is Actor.SYSTEM
        await until(lambda: FOREIGN_RULE in str(second.get_trigger_info()), "the stored rule")
        epochs = first.snapshot.epoch, second.snapshot.epoch
        await asyncio.sleep(0.5)  # several heartbeats: they must not go on tripping each other
        assert (first.snapshot.epoch, second.snapshot.epoch) == epochs
        await asyncio.to_thread(first.trigger, "again")
        await until(lambda: second.snapshot.epoch > epochs[1], "the re-trip's arrival")


async def test_an_instance_that_starts_during_another_ones_halt_is_halted(
    server: Server, make_breaker: Callable[[str], CircuitBreaker]
) -> None:
    first, second = make_breaker("a"), make_breaker("b")
    first.trigger("crash")
    async with mirrored(server, first, "a"), mirrored(server, second, "b"):
        assert second.snapshot.status is BreakerStatus.TRIGGERED


async def test_nothing_in_redis_clears_a_trip(
    server: Server, make_breaker: Callable[[str], CircuitBreaker]
) -> None:
    first, second = make_breaker("a"), make_breaker("b")
    async with mirrored(server, first, "a"), mirrored(server, second, "b"):
        await asyncio.to_thread(first.trigger, "crash")
        await until(lambda: second.snapshot.status is BreakerStatus.TRIGGERED, "both halted")
        await asyncio.to_thread(_operator_clears, first)
        await until(lambda: _record(server, "a")["status"] == "SAFE", "the first one's clearing")
        await asyncio.sleep(0.3)
        assert second.snapshot.status is BreakerStatus.TRIGGERED


async def test_a_trip_counts_although_the_other_one_began_anew_with_lower_epochs(
    server: Server, make_breaker: Callable[[str], CircuitBreaker]
) -> None:
    breaker, old, fresh = make_breaker("a"), make_breaker("b"), make_breaker("b-new-store")
    async with mirrored(server, breaker, "a"):
        async with mirrored(server, old, "b"):
            for _ in range(3):
                await asyncio.to_thread(old.trigger, "crash")
            await until(lambda: breaker.snapshot.reason.startswith("b tripped"), "the halt")
            await asyncio.sleep(0.3)
        await asyncio.to_thread(_operator_clears, breaker)
        async with mirrored(server, fresh, "b"):
            await asyncio.to_thread(fresh.trigger, "crash")
            assert fresh.snapshot.epoch < old.snapshot.epoch
            await until(
                lambda: breaker.snapshot.status is BreakerStatus.TRIGGERED, "the second halt"
            )


async def test_the_start_is_refused_while_redis_does_not_answer(
    server: Server, make_breaker: Callable[[str], CircuitBreaker]
) -> None:
    server.stop()
    mirror = RedisBreakerMirror(_config(server, "a"), make_breaker("a"))
    with pytest.raises(StoreError, match="does not answer"):
        await mirror.connect()
    await mirror.close()


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_losing_redis_trips_within_two_seconds_and_holds_until_it_is_back(
    server: Server, make_breaker: Callable[[str], CircuitBreaker], how: str
) -> None:
    breaker = make_breaker("a")
    async with mirrored(server, breaker, "a") as mirror:
        assert mirror.healthy
        if how == "killed":
            await asyncio.to_thread(server.stop)
        else:
            server.send(signal.SIGSTOP)
        async with asyncio.timeout(2):
            await until(lambda: breaker.snapshot.status is BreakerStatus.TRIGGERED, "the trip")
        await until(lambda: LOST_RULE in str(breaker.get_trigger_info()), "the stored rule")
        assert not mirror.healthy
        lost_epoch = breaker.snapshot.epoch
        await asyncio.sleep(0.3)
        assert breaker.snapshot.epoch == lost_epoch  # one loss is one trip

        await asyncio.to_thread(_operator_clears, breaker)
        await until(
            lambda: breaker.snapshot.status is BreakerStatus.TRIGGERED, "the trip that follows"
        )

        if how == "killed":
            await asyncio.to_thread(server.start)
        else:
            server.send(signal.SIGCONT)
        await until(lambda: mirror.healthy, "the return of Redis")
        await asyncio.sleep(0.3)
        assert breaker.snapshot.status is BreakerStatus.TRIGGERED


async def test_redis_that_forgets_our_record_is_not_trusted(
    server: Server, make_breaker: Callable[[str], CircuitBreaker]
) -> None:
    breaker = make_breaker("a")
    async with mirrored(server, breaker, "a"):
        server.client.flushall()
        await until(lambda: breaker.snapshot.status is BreakerStatus.TRIGGERED, "the trip")
        await until(
            lambda: server.client.hexists("spikeguard:breaker", "a") == 1, "the record's return"
        )
        epoch = breaker.snapshot.epoch
        await asyncio.sleep(0.3)
        assert breaker.snapshot.epoch == epoch


async def test_an_unreadable_record_of_another_instance_is_a_trip(
    server: Server, make_breaker: Callable[[str], CircuitBreaker]
) -> None:
    breaker = make_breaker("a")
    async with mirrored(server, breaker, "a"):
        server.client.hset("spikeguard:breaker", "b", "{broken")
        await until(lambda: breaker.snapshot.status is BreakerStatus.TRIGGERED, "the trip")
        await asyncio.sleep(0.3)
        assert breaker.snapshot.epoch == 1  # once, not at every heartbeat


async def test_a_mirror_that_passes_on_what_it_took_over_would_never_rest(
    server: Server,
    make_breaker: Callable[[str], CircuitBreaker],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The broken variant of the rule that a taken-over trip is not passed on."""
    honest = RedisBreakerMirror._record

    def passes_on(self: RedisBreakerMirror, snapshot: object) -> str:
        record = json.loads(honest(self, snapshot))  # type: ignore[arg-type]
        return json.dumps({**record, "taken_over": False})

    monkeypatch.setattr(RedisBreakerMirror, "_record", passes_on)
    first, second = make_breaker("a"), make_breaker("b")
    async with mirrored(server, first, "a"), mirrored(server, second, "b"):
        await asyncio.to_thread(first.trigger, "crash")
        await until(lambda: first.snapshot.epoch > 3, "an endless exchange of trips")
