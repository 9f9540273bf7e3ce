"""Broken variants of the fleet's protocol: each leaves one safety step out, in its own process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from trading.risk import redis_fence, redis_fleet, redis_member, redis_scripts
from trading.risk.redis_fleet import FleetHalt
from trading.risk.redis_lease import Lease
from trading.risk.redis_member import FleetMember
from trading.risk.redis_record import Renewal

_REAL_TIME_NS = time.time_ns
_step_ns = 0


def set_wall_clock(step_s: float) -> None:
    """Set this process's wall clock forward by ``step_s``, for whoever asks ``time``."""
    global _step_ns
    _step_ns += int(step_s * 1e9)
    time.time_ns = lambda: _REAL_TIME_NS() + _step_ns
    time.time = lambda: time.time_ns() / 1e9


def _no_lease() -> None:
    FleetHalt.clearance = lambda _: None  # type: ignore[method-assign]


def _lease_from_the_reply() -> None:
    renew = FleetMember.renew

    def late(self: FleetMember) -> bool:
        again = renew(self)
        if self.lease.objection is None:
            self.fresh_until_ns = redis_member.steady_ns() + self._lease_ns
            self.lease = Lease(self.fresh_until_ns)
        return again

    FleetMember.renew = late  # type: ignore[method-assign]


def _lease_on_the_wall_clock() -> None:
    for module in (redis_member, redis_fleet, redis_fence):
        module.steady_ns = lambda: time.time_ns()  # type: ignore[attr-defined]


def _clear_without_compare() -> None:
    compare = "if now[1] ~= ARGV[1] or now[2] ~= 'TRIGGERED' then return 0 end"
    assert compare in redis_scripts.CLEAR
    redis_scripts.CLEAR = redis_scripts.CLEAR.replace(compare, "")


def _list_always_trusted() -> None:
    FleetMember._distrust_list_locked = lambda _: None  # type: ignore[method-assign]


def _no_time_for_the_wire() -> None:
    construct = FleetMember.__init__

    def hasty(self: FleetMember, *arguments: object, **named: object) -> None:
        construct(self, *arguments, **{**named, "wire_ms": 0})  # type: ignore[arg-type]

    FleetMember.__init__ = hasty  # type: ignore[method-assign, assignment]


def _no_wait() -> None:
    redis_member.await_silence = lambda *_, **__: ()  # type: ignore[attr-defined]


def _takes_redis_at_its_word() -> None:
    """A gateway that joins an emptied Redis as if it were its first time."""

    def trusting(self: FleetMember, renewal: Renewal, acknowledged: int | None, _: int) -> bool:
        if renewal.record is not None and (acknowledged is None or renewal.before is not None):
            return True
        self._acknowledged = None
        self._notes._known = replace(self._notes.known, seen_epoch=0)
        return False

    FleetMember._is_continuous = trusting  # type: ignore[method-assign]


def _goes_on_without_redis() -> None:
    _no_lease()
    FleetMember.halt_for_loss = lambda *_: None  # type: ignore[method-assign]


MUTANTS: dict[str, Callable[[], None]] = {
    "no lease": _no_lease,
    "lease counted from the reply": _lease_from_the_reply,
    "lease on the wall clock": _lease_on_the_wall_clock,
    "clear without compare-and-set": _clear_without_compare,
    "the list trusted after data loss": _list_always_trusted,
    "no time for the wire": _no_time_for_the_wire,
    "no wait for the others": _no_wait,
    "takes an emptied Redis at its word": _takes_redis_at_its_word,
    "goes on without Redis": _goes_on_without_redis,
}
