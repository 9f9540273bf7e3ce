"""One gateway's side of the fleet's protocol, one request at a time; ``redis_fleet`` drives it."""

from __future__ import annotations

import logging
import secrets
import socket
import threading

from trading.clock import Clock, iso
from trading.errors import FleetError
from trading.model.breaker import Actor, BreakerSnapshot, BreakerStatus
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.redis_config import MAX_LEASE_MS, RedisConfig
from trading.risk.redis_fence import await_silence
from trading.risk.redis_lease import MS, Lease, no_lease, steady_ns
from trading.risk.redis_notes import FleetNotes
from trading.risk.redis_record import FleetRecord, RedisRecord, Renewal, Told

logger = logging.getLogger(__name__)

LOST_RULE = "redis_lost"
FOREIGN_RULE = "foreign_trip"

TELL_AGAIN_AFTER_NS = 1_000 * MS


class FleetMember:
    """``renew`` and ``tell_late`` are for one thread; everything else is for any.

    ``lease``, ``record`` and ``fresh_until_ns`` are replaced as a whole and read without a lock.
    """

    def __init__(
        self,
        config: RedisConfig,
        breaker: CircuitBreaker,
        redis: RedisRecord,
        notes: FleetNotes,
        clock: Clock,
        *,
        wire_ms: int,
    ) -> None:
        self._breaker = breaker
        self._redis = redis
        self._notes = notes
        self._clock = clock
        self._lease_ns = config.lease_ms * MS
        self._silence_ms = config.lease_ms + wire_ms
        self._unlisted_silence_ms = MAX_LEASE_MS + wire_ms
        self._instance = config.instance or socket.gethostname()
        # A new name for every process: what one has acknowledged says nothing of another.
        self._name = f"member:{self._instance}:{secrets.token_hex(8)}"
        self._lock = threading.Lock()  # held for a few instructions only
        self._trip_lock = threading.Lock()  # one loss is one trip
        self._quiet = threading.local()  # the trip of this thread is not to be passed on
        self._is_open = False
        self._acknowledged: int | None = None  # None: no member
        self._beat = 0
        self._confirmed_beat = 0
        self._list_complete_at_ns = 0
        self._telling = 0  # trips that are being passed on
        self._untold: tuple[int, int] | None = None  # epoch of the breaker, since when
        self.record: FleetRecord | None = None
        self.fresh_until_ns = 0
        self.lease: Lease = no_lease("not connected to Redis yet")

    def open(self) -> None:
        """From now on trips are passed on, and leases held."""
        with self._lock:
            self._is_open = True

    def leave(self) -> None:
        """Give up the lease for good, then be a member no longer."""
        with self._lock:
            self._is_open = False
            self.lease = no_lease("this gateway is leaving the fleet")
        try:
            self._redis.leave(self._name)
        except FleetError as error:
            logger.warning("the next trip will wait for this gateway: %s", error)

    def is_ours(self, record: FleetRecord) -> bool:
        """Whether the newest halt in ``record`` is one that this gateway made."""
        known = self._notes.known
        return record.node == known.node and record.epoch == known.owned_epoch

    # Trips made here. ------------------------------------------------------------------------

    def pass_on(self, snapshot: BreakerSnapshot) -> tuple[str, ...]:
        """The breaker's trip fence: tell the fleet, and wait for its silence."""
        if getattr(self._quiet, "reason", None) == snapshot.reason:
            return ()  # and not what a listener trips on top of it
        others = f"the gateways that share {self._redis.address}"
        with self._lock:
            if not self._is_open:
                return (f"{others}: not connected",)
            self._telling += 1
        try:
            told, told_at_ns = self._tell_twice(snapshot)
            await_silence(
                self._redis,
                told,
                own=self._name,
                told_at_ns=told_at_ns,
                list_complete_at_ns=self._list_complete_at_ns,
                unlisted_silence_ms=self._unlisted_silence_ms,
            )
        except FleetError as error:
            return (f"{others}: {error}",)
        finally:
            with self._lock:
                self._telling -= 1
        return ()

    def tell_late(self, *, at_once: bool = False) -> None:
        """Pass on a trip that could not be told, or that was made before we had joined."""
        snapshot = self._breaker.snapshot
        if snapshot.epoch <= self._notes.known.told_epoch:
            self._untold = None
            return
        if snapshot.status is not BreakerStatus.TRIGGERED:
            self._notes.need_not_tell(snapshot.epoch, and_before=True)
            return
        now_ns = steady_ns()
        if self._untold is None or self._untold[0] != snapshot.epoch:
            self._untold = snapshot.epoch, now_ns
        # The tripping thread, here or in another process on the same store, comes first.
        is_left_to_us = not self._telling and now_ns - self._untold[1] >= TELL_AGAIN_AFTER_NS
        if at_once or (is_left_to_us and snapshot.epoch > self._notes.look_again().told_epoch):
            self._tell(snapshot)

    def _tell_twice(self, snapshot: BreakerSnapshot) -> tuple[Told, int]:
        """A broken connection is found out by using it; a second attempt makes a new one."""
        if steady_ns() < self.fresh_until_ns:
            try:
                return self._tell(snapshot)
            except FleetError as error:
                logger.warning("telling the fleet failed, trying again: %s", error)
        return self._tell(snapshot)

    def _tell(self, snapshot: BreakerSnapshot) -> tuple[Told, int]:
        """Make the breaker's trip one of the fleet; the answer, and when it had come."""
        told = self._redis.trip(
            self._name,
            seen=self._notes.known.seen_epoch,
            beat=self._next_beat(),
            silence_ms=self._silence_ms,
            owner=self._instance,
            node=self._notes.known.node,
            reason=snapshot.reason,
            at=iso(self._clock.now_ms()),
        )
        now_ns = steady_ns()
        with self._lock:
            if told.before is None or told.before.beat < self._confirmed_beat:
                self._distrust_list_locked()
            self._acknowledged = max(self._acknowledged or 0, told.epoch)
            self.lease = no_lease("this gateway has halted all of them")
        self._notes.made(told.epoch, snapshot.epoch)
        logger.warning("halted all gateways: epoch %d of the fleet", told.epoch)
        return told, now_ns

    # The lease. ------------------------------------------------------------------------------

    def renew(self) -> bool:
        """Ask Redis once and act on its answer; True when it must be asked again at once.

        Raises FleetError when it does not answer.
        """
        acknowledged, seen = self._acknowledged, self._notes.known.seen_epoch
        beat = self._next_beat()
        sent_at_ns = steady_ns()  # before the request: the answer may take its time
        ask = self._redis.join if acknowledged is None else self._redis.renew
        renewal = ask(self._name, acknowledged or seen, beat, self._silence_ms)
        if not self._is_continuous(renewal, acknowledged, seen):
            return True
        record = renewal.record
        assert record is not None
        if 0 < self.fresh_until_ns <= sent_at_ns:  # stopped, or asleep, beyond the lease
            self.halt_for_loss(f"was out of touch with Redis at {self._redis.address}")
        until_ns = sent_at_ns + self._lease_ns
        with self._lock:
            self._confirmed_beat = max(self._confirmed_beat, beat)
            self.record = record
            self.fresh_until_ns = until_ns
        if record.epoch != acknowledged:
            self._take_over(record, has_just_joined=acknowledged is None)
            return True
        if record.triggered and self._breaker.snapshot.status is not BreakerStatus.TRIGGERED:
            return self._end_or_resume(record)
        with self._lock:
            if record.triggered:
                self.lease = no_lease(f"{record.owner} halts all gateways: {record.reason}")
            elif self._is_open and record.epoch == self._acknowledged:
                self.lease = Lease(until_ns)
        return False

    def halt_for_loss(self, reason: str) -> None:
        """Trip, unless halted already: without Redis that halt does not end either."""
        with self._trip_lock:
            if self._breaker.snapshot.status is not BreakerStatus.TRIGGERED:
                self._trip_quietly(reason, LOST_RULE)

    def _is_continuous(self, renewal: Renewal, acknowledged: int | None, seen: int) -> bool:
        """Whether Redis still has what it had; where it has not, the breaker trips."""
        record = renewal.record
        loss = None
        is_behind = record is None or record.epoch < seen
        if is_behind:
            found = f"epoch {record.epoch}" if record else "nothing that makes sense"
            loss = f"Redis has lost the fleet's halt: {found}, after epoch {seen}"
        elif acknowledged is not None and renewal.before is None:
            loss = "Redis does not know this gateway any more"
        with self._lock:
            went_back = renewal.before and renewal.before.beat < self._confirmed_beat
            if loss or acknowledged is None or went_back:
                self._distrust_list_locked()
            if loss:
                self.lease = no_lease(loss)
                self._acknowledged = None
        if loss is None:
            return True
        self.halt_for_loss(loss)
        if is_behind:
            self._tell(self._breaker.snapshot)  # puts the record right
        return False

    def _take_over(self, record: FleetRecord, *, has_just_joined: bool) -> None:
        """Obey an epoch that we have not acknowledged, then acknowledge it."""
        with self._lock:
            self.lease = no_lease(f"{record.owner} tripped: {record.reason}")
        is_of_our_store = record.node == self._notes.known.node
        if is_of_our_store:
            self._breaker.refresh()  # it may have been another process
        is_halted = self._breaker.snapshot.status is BreakerStatus.TRIGGERED
        if self.is_ours(record) or (is_of_our_store and is_halted):
            pass
        elif record.triggered:
            self._trip_quietly(f"{record.owner} tripped: {record.reason}", FOREIGN_RULE)
        elif not has_just_joined and not is_halted:
            self._trip_quietly(f"missed a trip of {record.owner}: {record.reason}", FOREIGN_RULE)
        self._notes.saw(record.epoch)
        with self._lock:
            self._acknowledged = max(self._acknowledged or 0, record.epoch)

    def _end_or_resume(self, record: FleetRecord) -> bool:
        """The fleet is halted and our breaker is not: clear the record, or halt again."""
        snapshot = self._breaker.snapshot
        is_of_our_store = record.node == self._notes.known.node
        is_override = snapshot.status is BreakerStatus.SAFE and snapshot.actor is Actor.OPERATOR
        if not is_of_our_store and not is_override:
            self._trip_quietly(f"{record.owner} tripped: {record.reason}", FOREIGN_RULE)
            return False
        now_ms = self._clock.now_ms()
        if self._redis.clear(record.epoch, self._instance, iso(now_ms)):
            by = f"{snapshot.actor}: {snapshot.reason}"
            message = f"cleared epoch {record.epoch} of the fleet, made by {record.owner}; {by}"
            logger.warning("%s", message)
            self._notes.record_clear(message, now_ms, snapshot.epoch)
        return True

    # Inside. ---------------------------------------------------------------------------------

    def _next_beat(self) -> int:
        with self._lock:
            self._beat += 1
            return self._beat

    def _distrust_list_locked(self) -> None:
        self._list_complete_at_ns = steady_ns() + self._unlisted_silence_ms * MS

    def _trip_quietly(self, reason: str, rule: str) -> None:
        """A trip that the fleet made, or that losing it makes."""
        self._quiet.reason = reason
        try:
            receipt = self._breaker.trigger(
                reason,
                {"redis": self._redis.address, "instance": self._instance},
                actor=Actor.SYSTEM,
                rule=rule,
            )
        finally:
            self._quiet.reason = None
        self._notes.need_not_tell(receipt.epoch)
