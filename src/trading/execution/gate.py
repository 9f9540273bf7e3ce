"""The gate: the one place an order passes on its way to the wire.

Naive code checks the breaker and then sends; a trip between the two lets the order out. Here the
check and the registration of the sender are one step under one lock, and a trip

1. has already set the breaker's flag, so that nobody new enters;
2. waits, bounded, until every sender inside has reached the wire or given up;
3. fences those that are still inside: their permit is void, and a send with a void permit fails
   before its first byte (``ExchangeClient.submit_order`` calls ``on_wire`` right before it writes).

Epoch, deadline and data of an entry are checked at admission and again in that last instant.
What other processes and machines say is asked there too (``WireFence``), outside the gate's lock:
it may take a moment, and a trip must never wait for it to get that lock.

The wait for the venue's answer is not inside: it may take seconds.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from trading.errors import DecisionRejectedError, TradingHaltedError
from trading.model.order import OrderPurpose


class _Stage(Enum):
    INSIDE = 1  # admitted, not yet at the wire; a trip waits for it and may fence it
    LEAVING = 2  # past its last check; its bytes are being handed over
    AWAY = 3  # on the wire: the answer is awaited
    FENCED = 4  # void: whatever comes, it must not be sent


@dataclass(frozen=True, slots=True)
class GateIntent:
    """What the gate needs to know of an order. ``epoch`` and ``deadline_ms`` bind entries only."""

    client_order_id: str
    symbol: str
    purpose: OrderPurpose
    epoch: int
    deadline_ms: int | None = None


class WireFence(Protocol):
    """What else must let an entry pass: other processes on the store, other machines."""

    def enter(self, epoch: int) -> None:
        """The bytes are about to leave, for a decision of ``epoch``.

        Raises TradingHaltedError or DecisionRejectedError when they must not; ``leave`` is then
        not called.
        """

    def leave(self) -> None:
        """The bytes have left, or will not."""


class NobodyElse:
    """A gateway that shares nothing with another one."""

    def enter(self, epoch: int) -> None:
        pass

    def leave(self) -> None:
        pass


class SendPermit:
    """Admission of one order. Pass ``on_wire`` to the client; call ``done`` with the outcome."""

    def __init__(self, gate: Gate, intent: GateIntent) -> None:
        self._gate = gate
        self.intent = intent
        self.stage = _Stage.INSIDE
        self.thread_id = threading.get_ident()
        self.refused = False
        self.at_fence = False  # inside the wire fence; one thread at a time has the permit

    @property
    def left(self) -> bool:
        """Whether bytes may have reached the wire."""
        return self._gate.has_left(self)

    def on_wire(self) -> None:
        """Last check, in the instant before the bytes are handed to the socket.

        On an event loop the hand-over counts as done once the loop runs its next callback, which
        is after the client's write.

        Raises:
            TradingHaltedError: a trip has fenced this send, or an entry's epoch, deadline or data
                have gone by since it was admitted; nothing may be sent.
        """
        self.leave()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        loop.call_soon(self.away)

    def leave(self) -> None:
        """The check of ``on_wire`` alone; the caller calls ``away`` once the bytes are out."""
        self._gate.leave(self)

    def away(self) -> None:
        """The bytes are handed over: a trip need not wait for this send any more."""
        self._gate.away(self)

    def done(self) -> None:
        """The outcome is known, or journalled as unknown."""
        self._gate.done(self)


class Gate:
    """Admits orders to the wire. Thread-safe.

    ``entries_blocked`` (by the breaker), ``entries_halted`` (by an operator), ``epoch``,
    ``data_fresh`` and ``positions_trusted`` are read under the gate's lock at every admission, so
    they must be cheap and must not block; the last takes a symbol.
    """

    def __init__(
        self,
        *,
        entries_blocked: Callable[[], bool],
        epoch: Callable[[], int],
        now_ms: Callable[[], int],
        data_fresh: Callable[[], bool],
        positions_trusted: Callable[[str], bool],
        entries_halted: Callable[[], bool] = lambda: False,
        elsewhere: WireFence | None = None,
    ) -> None:
        self._elsewhere = elsewhere or NobodyElse()
        self._entries_blocked = entries_blocked
        self._entries_halted = entries_halted
        self._epoch = epoch
        self._now_ms = now_ms
        self._data_fresh = data_fresh
        self._positions_trusted = positions_trusted
        self._changed = threading.Condition()
        self._permits: dict[int, SendPermit] = {}
        self.fenced = 0

    def enter(self, intent: GateIntent) -> SendPermit:
        """Admit one order, or raise.

        Raises:
            TradingHaltedError: entries are blocked, or nothing may be sold on untrusted books.
            DecisionRejectedError: the epoch has changed, the deadline passed or data is stale.
        """
        with self._changed:
            if intent.purpose.increases_risk:
                self._check_entry(intent)
            else:
                self.check_reduction(intent.purpose, intent.symbol)
            permit = SendPermit(self, intent)
            self._permits[id(permit)] = permit
            return permit

    def close_and_wait(self, timeout_ms: int) -> tuple[str, ...]:
        """Wait for entries inside to reach the wire, at most ``timeout_ms`` of wall time.

        Call it with the breaker's flag already set. Returns the client order ids of all entries
        whose outcome is unknown now: on the wire without an answer, or fenced. Senders of the
        calling thread cannot proceed while it waits; they are fenced at once.
        """
        deadline = time.monotonic() + timeout_ms / 1000
        me = threading.get_ident()
        with self._changed:
            for permit in self._entries(_Stage.INSIDE):
                if permit.thread_id == me:
                    self._fence(permit)
            while any(p.thread_id != me for p in self._entries(_Stage.INSIDE, _Stage.LEAVING)):
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._changed.wait(remaining):
                    break
            for permit in self._entries(_Stage.INSIDE):
                self._fence(permit)
            unknown = self._entries(_Stage.LEAVING, _Stage.AWAY, _Stage.FENCED)
            return tuple(permit.intent.client_order_id for permit in unknown)

    @property
    def in_flight(self) -> int:
        """Orders of any kind between admission and outcome."""
        with self._changed:
            return len(self._permits)

    def has_left(self, permit: SendPermit) -> bool:
        with self._changed:
            return permit.stage in (_Stage.LEAVING, _Stage.AWAY)

    def leave(self, permit: SendPermit) -> None:
        self._enter_fence(permit)
        try:
            self._leave(permit)
        except BaseException:
            self._leave_fence(permit)
            raise

    def away(self, permit: SendPermit) -> None:
        with self._changed:
            if permit.stage is _Stage.LEAVING:
                permit.stage = _Stage.AWAY
                self._changed.notify_all()
        self._leave_fence(permit)

    def done(self, permit: SendPermit) -> None:
        with self._changed:
            # A permit that is done keeps saying whether it left: the sender still asks.
            self._permits.pop(id(permit), None)
            self._changed.notify_all()
        self._leave_fence(permit)

    def _leave(self, permit: SendPermit) -> None:
        with self._changed:
            if permit.stage is _Stage.FENCED:
                permit.refused = True
                raise TradingHaltedError(
                    f"{permit.intent.client_order_id} was fenced by a trip before it was sent"
                )
            if permit.stage is _Stage.INSIDE:
                self._check_still_valid(permit)
                permit.stage = _Stage.LEAVING

    def _enter_fence(self, permit: SendPermit) -> None:
        if permit.at_fence or not permit.intent.purpose.increases_risk:
            return
        if permit.stage is _Stage.FENCED:
            return  # refused in a moment, by the gate itself
        try:
            self._elsewhere.enter(permit.intent.epoch)
        except (TradingHaltedError, DecisionRejectedError) as error:
            with self._changed:
                self._refuse_at_the_wire(permit)
            raise TradingHaltedError(f"too late at the wire: {error}") from error
        permit.at_fence = True

    def _leave_fence(self, permit: SendPermit) -> None:
        if permit.at_fence:
            permit.at_fence = False
            self._elsewhere.leave()

    def _check_entry(self, intent: GateIntent) -> None:
        if self._entries_blocked():
            raise TradingHaltedError("the breaker blocks entries")
        if self._entries_halted():
            raise TradingHaltedError("an operator halted entries")
        self._check_decision(intent)

    def _check_still_valid(self, permit: SendPermit) -> None:
        """Connecting to the venue takes seconds when it is slow; the decision ages meanwhile.

        The breaker's flag is not asked again: the trip that sets it waits for this very send.
        """
        if not permit.intent.purpose.increases_risk:
            return
        try:
            self._check_decision(permit.intent)
        except DecisionRejectedError as error:
            self._refuse_at_the_wire(permit)
            raise TradingHaltedError(f"too late at the wire: {error}") from error

    def _refuse_at_the_wire(self, permit: SendPermit) -> None:
        permit.refused = True
        if permit.stage is _Stage.INSIDE:
            self._fence(permit)
        self._changed.notify_all()

    def _check_decision(self, intent: GateIntent) -> None:
        epoch = self._epoch()
        if intent.epoch != epoch:
            raise DecisionRejectedError(
                "epoch",
                f"decided under epoch {intent.epoch}, the current one is {epoch}",
                limit=str(epoch),
                value=str(intent.epoch),
            )
        now_ms = self._now_ms()
        if intent.deadline_ms is not None and now_ms >= intent.deadline_ms:
            raise DecisionRejectedError(
                "deadline",
                "the decision expired before it was sent",
                limit=str(intent.deadline_ms),
                value=str(now_ms),
            )
        if not self._data_fresh():
            raise DecisionRejectedError(
                "data_stale", "market data is not fresh", limit="fresh", value="stale"
            )

    def check_reduction(self, purpose: OrderPurpose, symbol: str) -> None:
        """Raise what ``enter`` would raise for a reducing order; admits nothing."""
        if not self._entries_blocked():
            return
        if not self._positions_trusted(symbol):
            raise TradingHaltedError(f"halted, and the position in {symbol} cannot be trusted")
        if purpose is not OrderPurpose.PROTECTIVE_STOP and not self._data_fresh():
            raise TradingHaltedError("halted with market data that cannot be trusted")

    def _entries(self, *stages: _Stage) -> list[SendPermit]:
        return [
            permit
            for permit in self._permits.values()
            if permit.stage in stages and permit.intent.purpose.increases_risk
        ]

    def _fence(self, permit: SendPermit) -> None:
        permit.stage = _Stage.FENCED
        self.fenced += 1
