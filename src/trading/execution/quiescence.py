"""When a trip has come to rest: nothing is on its way any more, and the venue says so twice."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from trading.clock import Clock
from trading.errors import StoreError
from trading.execution.desk import OrderDesk
from trading.execution.reconcile import Comparison
from trading.execution.sweep import Sweep
from trading.model.breaker import Actor, BreakerSnapshot, Quiet
from trading.model.order import Balance
from trading.risk.circuit_breaker import CircuitBreaker

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Calm:
    """Nothing was on its way when a comparison began, at ``began_ms`` of the wait clock.

    ``trip`` and ``changes`` number the trip and the latest change of any order.
    """

    trip: int
    changes: int
    began_ms: int


@dataclass(frozen=True, slots=True)
class CleanSnapshot:
    """A comparison that began in calm and found the account as our books have it."""

    calm: Calm
    balances: Mapping[str, Balance]


class Quiescence:
    """Judges comparisons after a trip, until two in a row are clean and agree. On the order loop.

    A comparison counts only when it *began* with the sweep done and every outcome known. One
    snapshot would not do: what a venue shows may lag behind what it has done, and then agrees with
    books that are as old. The second is taken ``apart_ms`` later and must show the same balances,
    with no order changed in between.
    """

    def __init__(
        self,
        *,
        desk: OrderDesk,
        sweep: Sweep,
        breaker: CircuitBreaker,
        clock: Clock,
        wait_clock: Clock,
        apart_ms: int,
    ) -> None:
        self._desk = desk
        self._sweep = sweep
        self._breaker = breaker
        self._clock = clock
        self._wait_clock = wait_clock
        self._apart_ms = apart_ms
        self._trip: BreakerSnapshot | None = None
        self._trips = 0
        self._first: CleanSnapshot | None = None
        self._quiet = Quiet()

    @property
    def quiet(self) -> Quiet:
        """The last trip that came to rest, or what the current one waits for. From any thread."""
        return self._quiet

    @property
    def awaited(self) -> bool:
        """Whether a trip has not come to rest yet."""
        return self._trip is not None

    def begin(self, trip: BreakerSnapshot, *, new_halt: bool) -> None:
        """A new trip, or a further one of the same halt: all proof is to be given anew.

        Not so for a model's further trips, before which nothing could be sent either: one a
        second would keep the halt from ever coming to rest.
        """
        repeated = trip.actor is Actor.LLM and not new_halt
        if repeated and self._trip is None:
            self._come_to_rest(trip)
            return
        self._trip = trip
        if not repeated:
            self._trips += 1
            self._first = None
            self._wait_for("the account has not been compared since the trip")

    def end(self) -> None:
        """The halt is over, whoever ended it."""
        self._trip = None
        self._first = None

    def calm(self) -> Calm | None:
        """What a comparison that begins now may prove; None when it is too early for proof."""
        if self._trip is None:
            return None
        if self._desk.unknown:
            self._wait_for(f"{self._desk.unknown} orders of unknown outcome")
        elif not self._sweep.is_done:
            self._wait_for("open entries and positions are being dealt with")
        else:
            return Calm(self._trips, self._desk.changes, self._wait_clock.now_ms())
        self._first = None
        return None

    def weigh(self, calm: Calm | None, result: Comparison) -> None:
        """Judge the ``result`` of a comparison that began in ``calm``."""
        if self._trip is None or calm is None or calm.trip != self._trips:
            return
        if not result.is_clean:
            self._first = None
            self._wait_for(result.problem or "the account differs from our books")
            return
        first, second = self._first, CleanSnapshot(calm, result.balances)
        if first is None or not self._agree(first, second):
            self._first = second
            self._wait_for("a second account snapshot must agree with the first")
        elif self._are_apart(first, second):
            self._come_to_rest(self._trip)

    def _agree(self, first: CleanSnapshot, second: CleanSnapshot) -> bool:
        """Whether nothing moved between two snapshots."""
        moved = first.calm.changes != second.calm.changes
        return not moved and first.balances == second.balances

    def _are_apart(self, first: CleanSnapshot, second: CleanSnapshot) -> bool:
        """Whether they are far enough apart for the second to show what the first missed."""
        return second.calm.began_ms - first.calm.began_ms >= self._apart_ms

    def _wait_for(self, what: str) -> None:
        self._quiet = Quiet(waits_for=what)

    def _come_to_rest(self, trip: BreakerSnapshot) -> None:
        now_ms = self._clock.now_ms()
        self._trip = None
        try:
            now_ms = self._breaker.note_quiescent(trip, now_ms)
        except StoreError:
            logger.exception("the time at which the trip came to rest could not be stored")
        self._quiet = Quiet(epoch=trip.epoch, at_ms=now_ms)
        logger.info("quiescent: the trip of epoch %d has come to rest", trip.epoch)
