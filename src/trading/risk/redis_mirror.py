"""The breaker's state in Redis, for gateways on other machines.

One hash, ``<prefix>:breaker``, holds one JSON record for each instance. An instance writes only its
own. A trip that one of the others made itself trips this one too; a trip that it only took over is
not passed on, or two instances would trip each other for ever. Losing Redis is a trip; nothing
read from Redis ever clears one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections import deque
from collections.abc import Callable

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from trading.errors import StoreError
from trading.model.breaker import Actor, BreakerSnapshot, BreakerStatus
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.redis_config import RedisConfig

log = logging.getLogger(__name__)

LOST_RULE = "redis_lost"
FOREIGN_RULE = "foreign_trip"


class RedisBreakerMirror:
    """Mirrors one breaker. ``connect`` before trading starts, then ``run`` until cancelled.

    The breaker may change on any thread; records are written by ``run``.
    """

    def __init__(
        self,
        config: RedisConfig,
        breaker: CircuitBreaker,
        *,
        password: str | None = None,
    ) -> None:
        self._config = config
        self._breaker = breaker
        self._instance = config.instance or socket.gethostname()
        self._key = f"{config.key_prefix}:breaker"
        self._redis = redis_client(config, password)
        self._pending: deque[BreakerSnapshot] = deque()
        self._written: str | None = None
        self._seen_records: dict[str, str] = {}
        self._foreign_trips: dict[str, int] = {}  # epoch of each other one's trip that we know
        self._taken_over: set[int] = set()  # our epochs that began with another one's trip
        self._healthy = False
        self._wake: Callable[[], None] = lambda: None
        breaker.subscribe(self._on_change)

    @property
    def healthy(self) -> bool:
        """Whether the last heartbeat found Redis, and our record in it."""
        return self._healthy

    async def connect(self) -> None:
        """First heartbeat: publishes our state and takes over the trips of others.

        Raises:
            StoreError: Redis does not answer, or refuses us. Trading must not start.
        """
        self._pending.append(self._breaker.snapshot)
        try:
            await self._exchange()
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreError(
                f"Redis at {self._config.address} does not answer ({_text(error)}), and redis is "
                "enabled (REDIS_ENABLED): start it, or switch it off"
            ) from error
        self._healthy = True

    async def run(self) -> None:
        """Publish changes at once and check every ``check_interval_s``, until cancelled."""
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None

        def wake() -> None:
            loop.call_soon_threadsafe(changed.set)

        self._wake = wake
        try:
            # The client library may swallow a cancellation that meets its own time-outs; the task's
            # count of them remembers it.
            while not task.cancelling():
                await self._heartbeat()
                try:
                    async with asyncio.timeout(self._config.check_interval_s):
                        await changed.wait()
                except TimeoutError:
                    continue
                changed.clear()
        finally:
            self._wake = lambda: None
            await self._redis.aclose()

    async def close(self) -> None:
        """For a mirror that was connected and never run."""
        await self._redis.aclose()

    async def _heartbeat(self) -> None:
        try:
            await self._exchange()
        except Exception as error:  # whatever stops the heartbeat, the others are out of sight
            await self._lost(f"Redis lost: {_text(error)}")
            return
        if not self._healthy:
            log.warning("Redis at %s answers again", self._config.address)
        self._healthy = True

    async def _exchange(self) -> None:
        """Write what changed, then read everybody's record."""
        async with asyncio.timeout(self._config.timeout_s):
            while self._pending:
                record = self._record(self._pending[0])
                await self._redis.hset(self._key, self._instance, record)
                self._written = record
                self._pending.popleft()
            found = await self._redis.hgetall(self._key)
        records = {str(instance): str(record) for instance, record in found.items()}
        if records.get(self._instance) != self._written and not self._pending:
            await self._restore_record()
        for instance, record in sorted(records.items()):
            if instance != self._instance:
                await self._consider(instance, record)

    async def _restore_record(self) -> None:
        """Redis lost data or somebody else wrote under our name: what it says cannot be trusted."""
        self._pending.append(self._breaker.snapshot)
        await self._trip("Redis lost our record", LOST_RULE)

    async def _consider(self, instance: str, record: str) -> None:
        if self._seen_records.get(instance) == record:
            return
        self._seen_records[instance] = record
        try:
            values = json.loads(record)
            snapshot = BreakerSnapshot.model_validate(values["snapshot"])
            taken_over = bool(values["taken_over"])
        except (ValueError, KeyError, TypeError):
            await self._trip(f"Redis holds an unreadable record of {instance}", LOST_RULE)
            return
        if snapshot.status is not BreakerStatus.TRIGGERED:
            self._foreign_trips.pop(instance, None)
        elif not taken_over and self._foreign_trips.get(instance) != snapshot.epoch:
            self._foreign_trips[instance] = snapshot.epoch
            epoch = await self._trip(f"{instance} tripped: {snapshot.reason}", FOREIGN_RULE)
            self._taken_over.add(epoch)  # before the next record is written, by this same task

    async def _lost(self, reason: str) -> None:
        """Trip when it is lost, and again whenever the breaker eased while it is still lost."""
        was_healthy, self._healthy = self._healthy, False
        has_eased = self._breaker.snapshot.status is not BreakerStatus.TRIGGERED
        if was_healthy or (has_eased and self._breaker.enforcing):
            await self._trip(reason, LOST_RULE)

    async def _trip(self, reason: str, rule: str) -> int:
        """Returns the new epoch."""
        log.critical("%s", reason)
        # A trip commits to disk and waits for sends in flight: not on the event loop.
        receipt = await asyncio.to_thread(
            self._breaker.trigger,
            reason,
            {"redis": self._config.address, "instance": self._instance},
            actor=Actor.SYSTEM,
            rule=rule,
        )
        return receipt.epoch

    def _on_change(self, _: BreakerSnapshot, current: BreakerSnapshot) -> None:
        self._pending.append(current)
        self._wake()

    def _record(self, snapshot: BreakerSnapshot) -> str:
        taken_over = snapshot.epoch in self._taken_over
        return json.dumps({"snapshot": snapshot.model_dump(mode="json"), "taken_over": taken_over})


def redis_client(config: RedisConfig, password: str | None = None) -> Redis:
    """A client whose every wait is bounded by ``timeout_s``; one repeat on a broken connection."""
    client: Redis = Redis.from_url(
        config.address,
        password=password,
        decode_responses=True,
        socket_timeout=config.timeout_s,
        socket_connect_timeout=config.timeout_s,
        retry=Retry(NoBackoff(), 1),
    )
    return client


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
