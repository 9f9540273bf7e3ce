"""One halt for gateways on several machines, through a record in Redis.

A gateway may send entries while it holds a *lease*: for ``lease_ms`` from before it asked Redis,
when the answer was that nobody halts and that the epoch is the one that this gateway has
acknowledged. To acknowledge is to have tripped its own breaker first. A trip raises the fleet's
epoch and returns when every other gateway has acknowledged it or can hold no lease any more. So
whatever is late, lost or stopped lets no entry out: it only lets a lease run out.

- Redis out of reach for longer than the lease, or with less than we have seen, is a trip.
- A trip that came from the fleet, or from losing it, is not passed on as a new one.
- Nothing in Redis eases a breaker. The gateway whose trip it was clears the record when its own
  breaker has left TRIGGERED, and an operator does who forces a clear on any gateway; both only
  while the epoch is still the one they have seen.

docs/decisions/0003-one-halt-over-redis.md says why it is built like this.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress

from trading.clock import Clock
from trading.errors import FleetError
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.redis_config import RedisConfig
from trading.risk.redis_lease import steady_ns
from trading.risk.redis_member import FleetMember
from trading.risk.redis_notes import FleetNotes
from trading.risk.redis_record import RedisRecord
from trading.storage.config import StorageConfig

logger = logging.getLogger(__name__)

WATCH_INTERVAL_S = 0.05
RETRY_AFTER_S = 0.05
CONNECT_ATTEMPTS = 5  # at the start a busy machine may miss one time-out


class FleetHalt:
    """This gateway's part in the fleet. ``connect`` before trading starts, ``stop`` at the end.

    ``clearance`` is for ``ExecutionService``, ``halted_elsewhere`` for ``RecoveryInputs``; neither
    takes a lock or waits. The trip fence is registered with the breaker here. ``wire_ms`` is how
    long the venue may take an entry after it was signed.

    Three threads: one renews the lease, one trips when it has run out, whatever the first hangs
    in, and one listens, so that a trip is not first heard of at the next renewal.
    """

    def __init__(
        self,
        config: RedisConfig,
        breaker: CircuitBreaker,
        storage: StorageConfig,
        clock: Clock,
        *,
        wire_ms: int,
        password: str | None = None,
    ) -> None:
        """Raises StoreError."""
        self._renew_interval_s = config.renew_interval_ms / 1000
        self._redis = RedisRecord(config, password)
        self._notes = FleetNotes(storage)
        self._member = FleetMember(
            config, breaker, self._redis, self._notes, clock, wire_ms=wire_ms
        )
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=f"fleet {target.__name__}", daemon=True)
            for target in (self._keep_lease, self._watch_lease, self._listen)
        ]
        breaker.add_trip_fence(self._member.pass_on)
        breaker.subscribe(lambda _previous, _current: self._wake.set())

    def clearance(self) -> str | None:
        """Why no entry may leave this gateway now; None when it may."""
        return self._member.lease.refusal(steady_ns())

    def halted_elsewhere(self) -> str | None:
        """Why this gateway must not begin to recover; None when nobody else halts it."""
        record = self._member.record
        if record is None or steady_ns() >= self._member.fresh_until_ns:
            return f"out of touch with the other gateways: Redis at {self._redis.address}"
        if record.triggered and not self._member.is_ours(record):
            return f"{record.owner} halts all gateways: {record.reason}"
        return None

    def connect(self) -> None:
        """Join, take over a halt of the others and pass on our own; renew from now on.

        Without Redis the gateway begins halted, so that somebody is there to protect and sell what
        it holds; it joins as soon as Redis answers.
        """
        for _ in range(CONNECT_ATTEMPTS - 1):
            with suppress(FleetError):
                self._join()
                break
        else:
            self._join_or_halt()
        self._member.open()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Give up the lease and leave; nothing may be sent any more. A halt of ours stays in
        Redis until we are back, or until an operator forces a clear on another gateway."""
        self._stopping.set()
        self._wake.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._member.leave()
        self._redis.close()
        self._notes.close()

    def _join(self) -> None:
        while self._member.renew():
            pass
        self._member.tell_late(at_once=True)

    def _join_or_halt(self) -> None:
        try:
            self._join()
        except FleetError as error:
            reason = f"{error}; redis is enabled (REDIS_ENABLED): start it, or switch it off"
            logger.error("begun without the other gateways: %s", reason)
            self._member.halt_for_loss(reason)

    def _keep_lease(self) -> None:
        """Renew until ``stop``. Whatever fails in here lets the lease run out."""
        is_lost = False
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                again = self._member.renew()
                self._member.tell_late()
            except Exception as error:
                if not is_lost:
                    logger.error("the lease cannot be renewed: %s", error, exc_info=error)
                is_lost = True
                self._stopping.wait(RETRY_AFTER_S)
                continue
            if is_lost:
                logger.warning("Redis at %s answers again", self._redis.address)
                is_lost = False
            if not again:
                self._wake.wait(self._renew_interval_s)

    def _watch_lease(self) -> None:
        while not self._stopping.wait(WATCH_INTERVAL_S):
            if steady_ns() >= self._member.fresh_until_ns:
                self._member.halt_for_loss(f"out of touch with Redis at {self._redis.address}")

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                self._redis.listen(self._wake.set, until=self._stopping.is_set)
            except FleetError:
                self._stopping.wait(RETRY_AFTER_S)
