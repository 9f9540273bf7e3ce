"""A trip's wait until every other gateway has obeyed it, or can no longer send.

A gateway that does not acknowledge the trip holds at most a lease from before it. That one has run
out after the gateway's *silence* (its lease, and the time for which the venue takes what was signed
under it), measured here, on our own clock, from after Redis had taken the trip.

When Redis loses data, gateways that its list does not name may hold a lease from before the loss.
So the list counts as complete only once a silence has passed since we joined, or since we noticed
such a loss.
"""

from __future__ import annotations

import logging
import time

from trading.errors import FleetError
from trading.risk.redis_lease import MS, steady_ns
from trading.risk.redis_record import RedisRecord, Told

logger = logging.getLogger(__name__)

_PAUSE_S, _LONGEST_PAUSE_S = 0.001, 0.01


def await_silence(
    redis: RedisRecord,
    told: Told,
    *,
    own: str,
    told_at_ns: int,
    list_complete_at_ns: int,
    unlisted_silence_ms: int,
) -> tuple[str, ...]:
    """Return once no other gateway can send an entry that was decided before the trip.

    Returns those who never answered; they are taken off the list, so that each is waited for once.
    """
    deadlines = {
        name: told_at_ns + (member.silence_ms if member else unlisted_silence_ms) * MS
        for name, member in told.waiting.items()
    }
    overdue: list[str] = []
    is_listening = True
    pause_s = _PAUSE_S
    while True:
        now_ns = steady_ns()
        overdue += [name for name, until_ns in deadlines.items() if until_ns <= now_ns]
        deadlines = {name: until_ns for name, until_ns in deadlines.items() if until_ns > now_ns}
        if not deadlines and now_ns >= list_complete_at_ns:
            break
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        if not deadlines or not is_listening:
            continue
        try:
            waiting = redis.still_waiting(told.epoch, own, deadlines)
        except FleetError:
            continue  # their leases run out all the same
        if waiting is None:
            is_listening = False  # whoever is missing now has not answered, Redis forgot him
            list_complete_at_ns = told_at_ns + unlisted_silence_ms * MS
        else:
            deadlines = {name: deadlines[name] for name in waiting}
    if overdue:
        logger.warning("gateways that did not answer the trip: %s", ", ".join(sorted(overdue)))
        try:
            redis.reap(told.epoch, overdue)
        except FleetError as error:
            logger.warning("they stay on the list: %s", error)
    return tuple(overdue)
