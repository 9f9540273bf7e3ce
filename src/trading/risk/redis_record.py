"""The fleet's record in Redis as typed calls; every failure is a ``FleetError``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from trading.errors import FleetError
from trading.risk import redis_scripts as scripts
from trading.risk.redis_config import RedisConfig

MAX_EPOCH = 2**53  # beyond it Lua's numbers have gaps
_CLEAR, _TRIGGERED = "CLEAR", "TRIGGERED"


@dataclass(frozen=True, slots=True)
class FleetRecord:
    """What Redis says of all gateways: who halted them, if anybody."""

    epoch: int
    triggered: bool
    owner: str
    node: str
    reason: str


@dataclass(frozen=True, slots=True)
class Membership:
    """One gateway's field: how long it may go on sending when it hears nothing is its silence."""

    acknowledged: int
    beat: int
    silence_ms: int

    @classmethod
    def parse(cls, field: str | None) -> Membership | None:
        """None for a field that is missing or makes no sense."""
        try:
            acknowledged, beat, silence_ms = (int(part) for part in (field or "").split(":"))
        except ValueError:
            return None
        return cls(acknowledged, beat, silence_ms)


@dataclass(frozen=True, slots=True)
class Renewal:
    """``record`` is None where Redis has none that makes sense; ``before`` is our own field as it
    was found, None where we are no member."""

    record: FleetRecord | None
    before: Membership | None


@dataclass(frozen=True, slots=True)
class Told:
    """A trip as Redis has taken it. ``waiting``: members that have not acknowledged it yet."""

    epoch: int
    before: Membership | None
    waiting: dict[str, Membership | None]


class RedisRecord:
    """Thread-safe: each call takes a connection of its own from the pool."""

    def __init__(self, config: RedisConfig, password: str | None = None) -> None:
        self.address = config.address
        self.key = f"{config.key_prefix}:breaker"
        self._redis = redis_client(config, password)
        self._ears = redis_client(config, password, health_check_s=1)
        register: Callable[[str], Any] = self._redis.register_script
        self._join = register(scripts.JOIN)
        self._renew = register(scripts.RENEW)
        self._trip = register(scripts.TRIP)
        self._clear = register(scripts.CLEAR)
        self._reap = register(scripts.REAP)

    def join(self, member: str, seen: int, beat: int, silence_ms: int) -> Renewal:
        """Become a member that has acknowledged ``seen``. Raises FleetError, like all of these."""
        return self._renewal(self._join, member, seen, beat, silence_ms)

    def renew(self, member: str, acknowledged: int, beat: int, silence_ms: int) -> Renewal:
        """Acknowledge an epoch, and read the record."""
        return self._renewal(self._renew, member, acknowledged, beat, silence_ms)

    def trip(
        self,
        member: str,
        *,
        seen: int,
        beat: int,
        silence_ms: int,
        owner: str,
        node: str,
        reason: str,
        at: str,
    ) -> Told:
        """Halt the fleet under a new epoch, above ``seen`` and above that of the record."""
        with self._translated():
            epoch, before, waiting = self._trip(
                [self.key], [member, seen, beat, silence_ms, owner, node, reason, at]
            )
        names, fields = waiting[::2], waiting[1::2]
        members = {name: Membership.parse(field) for name, field in zip(names, fields, strict=True)}
        return Told(int(epoch), Membership.parse(before), members)

    def clear(self, epoch: int, by: str, at: str) -> bool:
        """End the halt of ``epoch``; False when it is not the current one."""
        with self._translated():
            return bool(self._clear([self.key], [epoch, by, at]))

    def still_waiting(self, epoch: int, own: str, members: Iterable[str]) -> set[str] | None:
        """Which of ``members`` have not acknowledged ``epoch``; None when Redis has lost data.

        A member that is gone has left, or was waited for by another trip: it is silent.
        """
        names = list(members)
        with self._translated():
            found: Any = self._redis.hmget(self.key, [own, *names])
        ours, *others = found
        own_field = Membership.parse(ours)
        if own_field is None or own_field.acknowledged < epoch:
            return None
        waiting = set()
        for name, field in zip(names, others, strict=True):
            member = Membership.parse(field)
            if field is not None and (member is None or member.acknowledged < epoch):
                waiting.add(name)
        return waiting

    def reap(self, epoch: int, members: Iterable[str]) -> None:
        """Remove those of ``members`` that have not acknowledged ``epoch``."""
        with self._translated():
            self._reap([self.key], [epoch, *members])

    def leave(self, member: str) -> None:
        """Be a member no longer: trips need not wait for us."""
        with self._translated():
            self._redis.hdel(self.key, member)

    def listen(self, heard: Callable[[], None], *, until: Callable[[], bool]) -> None:
        """Call ``heard`` when listening has begun and at every change, while not ``until``."""
        pubsub: Any = self._ears.pubsub  # carries no type information
        with self._translated(), pubsub(ignore_subscribe_messages=True) as ears:
            ears.subscribe(self.key)
            heard()
            while not until():
                if ears.get_message(timeout=0.2) is not None:
                    heard()

    def ping(self) -> None:
        """Raise FleetError when Redis does not answer."""
        with self._translated():
            self._redis.ping()

    def close(self) -> None:
        self._redis.close()
        self._ears.close()

    def _renewal(self, script: Any, *arguments: str | int) -> Renewal:
        with self._translated():
            record, before = script([self.key], list(arguments))
        return Renewal(_record(*record), Membership.parse(before))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OSError) as error:
            text = str(error) or type(error).__name__
            raise FleetError(f"Redis at {self.address} does not answer: {text}") from error


def redis_client(
    config: RedisConfig, password: str | None = None, *, health_check_s: int = 0
) -> Redis:
    """A client that waits at most ``timeout_ms`` for anything and repeats nothing by itself.

    With ``health_check_s``, connections idle for that long are tried before they are used.
    """
    client: Redis = Redis.from_url(
        config.address,
        password=password,
        decode_responses=True,
        encoding_errors="replace",  # text that makes no sense is for us to judge
        socket_timeout=config.timeout_ms / 1000,
        socket_connect_timeout=config.timeout_ms / 1000,
        health_check_interval=health_check_s,
        retry=Retry(NoBackoff(), 0),
    )
    return client


def _record(
    epoch: str | None, status: str | None, owner: str | None, node: str | None, reason: str | None
) -> FleetRecord | None:
    if epoch is None or not epoch.isdecimal() or int(epoch) >= MAX_EPOCH:
        return None
    if status not in (_CLEAR, _TRIGGERED):
        return None
    return FleetRecord(int(epoch), status == _TRIGGERED, owner or "?", node or "", reason or "")
