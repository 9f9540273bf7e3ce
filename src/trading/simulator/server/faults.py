"""Faults on demand: what a venue does on a bad day. Off unless planned.

Most faults hit one REST request for an order (or its cancel): scripted (``plan``), or drawn with a
seed (``at_random``). Some leave traces for a while: queries that deny an order, refusals of every
call, user events that come twice, late or not at all. The others strike the venue as a whole, at
once (``strike``): its sockets, its streams, its clock, its gateway, its account service.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Literal

from pydantic import Field

from trading.model.base import ValueModel
from trading.model.order import OrderStatus
from trading.simulator.orders import OrderEvent


class FaultKind(StrEnum):
    """What goes wrong. Durations and delays are wall time, ``Fault.duration_ms`` long."""

    # Before the request is looked at
    REQUEST_LOST = "request_lost"  # neither looked at nor answered
    REQUEST_LATE = "request_late"  # looked at only after the delay
    RESET_SENDING = "reset_sending"  # connection reset before the request was complete
    CLOCK = "clock"  # -1021
    RATE_LIMITED = "rate_limited"  # -1003 with 429, for this and every further call
    BANNED = "banned"  # -1003 with 418, for this and every further call
    INSUFFICIENT_BALANCE = "insufficient_balance"  # -2010
    # The venue does not say whether it was accepted (``Fault.accepted`` decides)
    UNEXPECTED_RESPONSE = "unexpected_response"  # -1006
    BACKEND_TIMEOUT = "backend_timeout"  # -1007
    OVERLOADED = "overloaded"  # -1008
    BAD_GATEWAY = "bad_gateway"  # 502 with an HTML body
    UNAVAILABLE = "unavailable"  # 503 with an HTML body
    GATEWAY_TIMEOUT = "gateway_timeout"  # 504 with an HTML body
    # After acceptance
    ANSWER_LOST = "answer_lost"  # never answered
    ANSWER_LATE = "answer_late"  # answered after the delay
    RESET_READING = "reset_reading"  # connection reset instead of the answer
    ANSWER_CUT = "answer_cut"  # connection reset in the middle of the answer
    DENIED = "denied"  # answer lost; for a while no query and no event knows the order
    # The request goes well; for a while the user events do not
    EVENTS_REORDERED = "events_reordered"
    EVENTS_REPEATED = "events_repeated"
    EVENTS_SILENT = "events_silent"  # from the next partial fill on
    # At once, to sockets that are open
    MARKET_DROPPED = "market_dropped"  # cut without a closing handshake
    USER_DROPPED = "user_dropped"
    MARKET_FROZEN = "market_frozen"  # they stay open and silent for good: no message, no pong
    USER_FROZEN = "user_frozen"
    USER_LATE_ERROR = "user_late_error"  # an error, in reply to a request that nobody waits for
    SHUTDOWN_ANNOUNCED = "shutdown_announced"  # serverShutdown; all are closed after the delay
    # At once, and for a while
    MARKET_GAP = "market_gap"  # events of market streams are left out
    MARKET_REPEATED = "market_repeated"  # events of market streams come twice
    USER_GAP = "user_gap"  # user events are left out
    CLOCK_SHIFTED = "clock_shifted"  # the venue's clock is ``shift_ms`` ahead
    ACCOUNT_EMPTY = "account_empty"  # a timed-out backend: the account reads empty
    MAINTENANCE = "maintenance"  # 503 with an HTML body for everybody, every socket closed


AT_ONCE = frozenset(
    {
        FaultKind.MARKET_DROPPED,
        FaultKind.USER_DROPPED,
        FaultKind.MARKET_FROZEN,
        FaultKind.USER_FROZEN,
        FaultKind.USER_LATE_ERROR,
        FaultKind.SHUTDOWN_ANNOUNCED,
        FaultKind.MARKET_GAP,
        FaultKind.MARKET_REPEATED,
        FaultKind.USER_GAP,
        FaultKind.CLOCK_SHIFTED,
        FaultKind.ACCOUNT_EMPTY,
        FaultKind.MAINTENANCE,
    }
)


class Fault(ValueModel):
    """One fault. ``accepted`` matters only where the venue does not say."""

    kind: FaultKind
    method: Literal["POST", "DELETE"] = "POST"
    accepted: bool = True
    duration_ms: int = Field(default=1_000, ge=0, le=3_600_000)
    shift_ms: int = Field(default=5_000, ge=-3_600_000, le=3_600_000)

    @property
    def spares_the_request(self) -> bool:
        """Whether only the user events suffer."""
        return self.kind.value.startswith("events_")

    @property
    def strikes_at_once(self) -> bool:
        """Whether it waits for no request."""
        return self.kind in AT_ONCE


class Faults:
    """The server's misbehaviour: what is planned, what lasts, what was done."""

    def __init__(self) -> None:
        self.applied: list[Fault] = []
        self._planned: deque[Fault] = deque()
        self._dice = random.Random(1)
        self._share = 0.0
        self._choices: tuple[Fault, ...] = ()
        self._denied: dict[str, float] = {}  # client order id: end
        self._disturbed: tuple[FaultKind, float] | None = None
        self._silence_ms: int | None = None  # armed, and so long once it begins
        self._lasting: dict[FaultKind, float] = {}  # at-once kinds: end
        self._shift_ms = 0
        self._listeners: list[Callable[[Fault], None]] = []

    def plan(self, *faults: Fault) -> None:
        """Have each fault hit one of the next requests of its method, in this order.

        One that waits for no request strikes now.
        """
        for fault in faults:
            if fault.strikes_at_once:
                self.strike(fault)
            else:
                self._planned.append(fault)

    def strike(self, fault: Fault) -> None:
        """Let a fault of the venue as a whole happen now."""
        self.applied.append(fault)
        self._lasting[fault.kind] = time.monotonic() + fault.duration_ms / 1000
        if fault.kind is FaultKind.CLOCK_SHIFTED:
            self._shift_ms = fault.shift_ms
        for listener in self._listeners:
            listener(fault)

    def on_strike(self, listener: Callable[[Fault], None]) -> None:
        """Have ``listener`` called with every fault that strikes at once."""
        self._listeners.append(listener)

    def lasts(self, kind: FaultKind) -> bool:
        """Whether a fault that struck at once is not over yet."""
        return time.monotonic() < self._lasting.get(kind, 0.0)

    def wall_ms(self) -> int:
        """Wall time as the venue has it."""
        shift_ms = self._shift_ms if self.lasts(FaultKind.CLOCK_SHIFTED) else 0
        return time.time_ns() // 1_000_000 + shift_ms

    def copies(self, kind: str) -> int:
        """How often an event is sent on a socket of ``kind`` ("market" or "user")."""
        if not self._lasting:
            return 1
        if kind == "user":
            return 0 if self.lasts(FaultKind.USER_GAP) else 1
        if self.lasts(FaultKind.MARKET_GAP):
            return 0
        return 2 if self.lasts(FaultKind.MARKET_REPEATED) else 1

    def at_random(self, share: float, faults: Sequence[Fault], seed: int) -> None:
        """Have a ``share`` (0…1) of all requests hit by one of ``faults``."""
        self._dice = random.Random(seed)
        self._share, self._choices = share, tuple(faults)

    def end(self) -> None:
        """The bad day is over: nothing is planned and nothing lasts."""
        self._planned.clear()
        self._denied.clear()
        self._lasting.clear()
        self._share, self._disturbed, self._silence_ms = 0.0, None, None

    def take(self, method: str) -> Fault | None:
        """The fault that hits the request now arriving."""
        fault = self._next(method)
        if fault is None:
            return None
        self.applied.append(fault)
        if fault.kind in (FaultKind.EVENTS_REORDERED, FaultKind.EVENTS_REPEATED):
            self._disturbed = (fault.kind, time.monotonic() + fault.duration_ms / 1000)
        elif fault.kind is FaultKind.EVENTS_SILENT:
            self._silence_ms = fault.duration_ms
        return fault

    def deny(self, client_order_id: str, duration_ms: int) -> None:
        """Queries do not find the order until then."""
        self._denied[client_order_id] = time.monotonic() + duration_ms / 1000

    def denies(self, client_order_id: str) -> bool:
        return time.monotonic() < self._denied.get(client_order_id, 0.0)

    def event_delays(self, event: object) -> tuple[float, ...]:
        """How often a user event is sent, and after how many seconds each time."""
        now = time.monotonic()
        if isinstance(event, OrderEvent) and self.denies(event.order.client_order_id):
            return (self._denied[event.order.client_order_id] - now,)
        if self._disturbed is not None and now >= self._disturbed[1]:
            self._disturbed = None
        if self._disturbed is None:
            self._fall_silent(event)
            return (0.0,)
        kind, until = self._disturbed
        if kind is FaultKind.EVENTS_SILENT:
            return ()
        late_s = self._dice.uniform(0, until - now)
        return (late_s,) if kind is FaultKind.EVENTS_REORDERED else (0.0, late_s)

    def _next(self, method: str) -> Fault | None:
        for fault in self._planned:
            if fault.method == method:
                self._planned.remove(fault)
                return fault
        if self._dice.random() < self._share:
            choices = [fault for fault in self._choices if fault.method == method]
            return self._dice.choice(choices) if choices else None
        return None

    def _fall_silent(self, event: object) -> None:
        """The event that brings the partial fill is the last one heard."""
        if self._silence_ms is None or not isinstance(event, OrderEvent):
            return
        if event.order.status is OrderStatus.PARTIALLY_FILLED:
            until = time.monotonic() + self._silence_ms / 1000
            self._disturbed = (FaultKind.EVENTS_SILENT, until)
            self._silence_ms = None
