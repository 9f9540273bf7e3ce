"""Who is told about the breaker, and when.

``EntryBlock`` is the flag that stops entries before anything slow happens. ``ChangeNotifier``
delivers changes in order and never under the breaker's lock, so that a listener may call back
into the breaker: on the same thread, or by waiting for another one.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from trading.model.breaker import BreakerSnapshot

logger = logging.getLogger(__name__)
_running = threading.local()

ChangeListener = Callable[[BreakerSnapshot, BreakerSnapshot], None]
TripBarrier = Callable[[], tuple[str, ...]]
TripFence = Callable[[BreakerSnapshot], tuple[str, ...]]


class EntryBlock:
    """Whether entries are blocked: by the published state, or by a trip that is under way.

    A trip under way keeps the block even when an easing that was decided before it is published
    meanwhile. ``blocked`` is one attribute read. As a context, which may be entered from several
    places at once, it blocks for as long as one is in it: what is being judged there may trip.
    """

    def __init__(self) -> None:
        self.blocked = True
        self._by_state = True
        self._trips_under_way = 0
        self._lock = threading.Lock()  # held for a few instructions only

    def __enter__(self) -> None:
        self.begin_trip()

    def __exit__(self, *_: object) -> None:
        self.end_trip()

    def begin_trip(self) -> None:
        with self._lock:
            self._trips_under_way += 1
            self.blocked = True

    def end_trip(self) -> None:
        with self._lock:
            self._trips_under_way -= 1
            self.blocked = self._by_state or self._trips_under_way > 0

    def publish(self, by_state: bool) -> None:
        with self._lock:
            self._by_state = by_state
            self.blocked = by_state or self._trips_under_way > 0


class ChangeNotifier:
    """Ordered delivery of (previous, current) to every subscriber, one change at a time.

    ``deliver`` returns at once when another call is delivering already; that call then delivers
    the rest. A subscriber's error is logged and does not keep the others from being told.
    """

    def __init__(self) -> None:
        self._subscribers: tuple[ChangeListener, ...] = ()
        self._changes: deque[tuple[BreakerSnapshot, BreakerSnapshot]] = deque()
        self._delivering = False
        self._lock = threading.Lock()

    def subscribe(self, subscriber: ChangeListener) -> None:
        with self._lock:
            self._subscribers = (*self._subscribers, subscriber)

    def enqueue(self, previous: BreakerSnapshot, current: BreakerSnapshot) -> None:
        with self._lock:
            self._changes.append((previous, current))

    def deliver(self) -> None:
        while True:
            with self._lock:
                if self._delivering or not self._changes:
                    return
                self._delivering = True
                previous, current = self._changes.popleft()
                subscribers = self._subscribers
            try:
                for subscriber in subscribers:
                    try:
                        subscriber(previous, current)
                    except Exception:
                        logger.exception("a subscriber of the breaker failed")
            finally:
                with self._lock:
                    self._delivering = False


def run_barriers(barriers: tuple[TripBarrier, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Run every barrier; returns the client order ids in flight and the errors of failed ones.

    A barrier that trips the breaker itself runs none a second time: the outer trip waits anyway.
    """
    in_flight: list[str] = []
    errors: list[str] = []
    if getattr(_running, "barriers", False):
        return (), ()
    _running.barriers = True
    try:
        for barrier in barriers:
            try:
                in_flight.extend(barrier())
            except Exception as error:
                logger.exception("a trip barrier failed")
                errors.append(f"{type(error).__name__}: {error}")
    finally:
        _running.barriers = False
    return tuple(in_flight), tuple(errors)


def run_fences(fences: tuple[TripFence, ...], snapshot: BreakerSnapshot) -> tuple[str, ...]:
    """Run every fence after a trip's commit; the names of those who might still send."""
    unconfirmed: list[str] = []
    for fence in fences:
        try:
            unconfirmed.extend(fence(snapshot))
        except Exception as error:
            logger.exception("a trip fence failed")
            unconfirmed.append(f"{type(error).__name__}: {error}")
    return tuple(unconfirmed)
