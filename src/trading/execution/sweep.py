"""What a trip does to orders and positions, until it is confirmed done."""

from __future__ import annotations

import asyncio
import logging

from trading.clock import Clock
from trading.errors import SpikeguardError, StoreError
from trading.execution.config import ExecutionConfig
from trading.execution.desk import OrderDesk
from trading.execution.positions import HeldPosition, PositionBook
from trading.execution.protector import Protector
from trading.model.order import OrderPurpose, OrderStatus
from trading.risk.breaker_config import CircuitBreakerConfig, PositionsPolicy
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.order_repository import OrderRecord

logger = logging.getLogger(__name__)


class Sweep:
    """Cancels every open entry and applies the policy for positions; repeats until confirmed.

    Protective stops and other reductions stay. It stays armed for as long as the halt lasts: an
    entry that turns out to be open after all, or a fill that arrives late, is swept too. The
    figures go into the breaker's event.
    """

    def __init__(
        self,
        *,
        desk: OrderDesk,
        positions: PositionBook,
        protector: Protector,
        halt: CircuitBreakerConfig,
        config: ExecutionConfig,
        wait_clock: Clock,
        breaker: CircuitBreaker,
    ) -> None:
        self._desk = desk
        self._positions = positions
        self._protector = protector
        self._halt = halt
        self._config = config
        self._wait_clock = wait_clock
        self._breaker = breaker
        self._event_id: int | None = None
        self._armed = False
        self._recorded = False
        self._next_ms = 0
        self._asked: set[str] = set()  # entries we have tried to cancel
        self._cancelled: set[str] = set()
        self._handled: set[str] = set()  # entries whose positions the policy was applied to
        self.entries_cancelled = 0

    def begin(self, event_id: int | None) -> None:
        """A new trip; a further one of the same halt adds to its figures."""
        if event_id is None or event_id != self._event_id:
            self._asked.clear()
            self._cancelled.clear()
            self._handled.clear()
        self._event_id = event_id
        self._armed = True
        self._recorded = False
        self._next_ms = 0

    def end(self) -> None:
        """The halt is over."""
        self._armed = False

    @property
    def is_done(self) -> bool:
        """Whether no entry is open, every position is as the policy wants it, its stop in place,
        and the figures are on record."""
        return self._recorded and self._nothing_left()

    def is_due(self) -> bool:
        return self._armed and not self.is_done and self._wait_clock.now_ms() >= self._next_ms

    async def run(self) -> None:
        """One pass over all entries and positions, all pairs at once: one that the venue does not
        answer for holds up no other. Failures are for the next pass."""
        if not self._armed:
            return
        self._next_ms = self._wait_clock.now_ms() + self._config.sweep_retry_ms
        symbols = {record.symbol for record in self._open_entries()}
        symbols.update(held.symbol for held in self._unhandled())
        await asyncio.gather(*(self._sweep(symbol) for symbol in sorted(symbols)))
        self._count()
        self._recorded = self._nothing_left()
        if self._recorded:
            logger.info("sweep done: %d entries cancelled", len(self._cancelled))
            self._record()

    async def _sweep(self, symbol: str) -> None:
        try:
            await self._cancel_entries(symbol)
            await self._handle_position(symbol)
        except Exception:  # a fault with one pair must not end the sweep of the others
            logger.exception("sweeping %s failed", symbol)

    async def _cancel_entries(self, symbol: str) -> None:
        for record in self._open_entries():
            if record.symbol != symbol:
                continue
            self._asked.add(record.id)
            try:
                await self._desk.cancel(record.id, "breaker tripped")
            except SpikeguardError as error:
                logger.warning("entry %s is not cancelled yet: %s", record.id, error)

    async def _handle_position(self, symbol: str) -> None:
        held = self._positions.get(symbol)
        if held is None or self._is_handled(held):
            return
        try:
            await self._apply_policy(symbol)
        except SpikeguardError as error:
            logger.warning("position in %s is not handled yet: %s", symbol, error)
        else:
            self._handled.add(held.entry_id)

    async def _apply_policy(self, symbol: str) -> None:
        policy = self._halt.positions_policy
        if policy is PositionsPolicy.CLOSE_AT_MARKET:
            await self._protector.close(symbol, "breaker")
            return
        if policy is PositionsPolicy.KEEP_WITH_TIGHT_STOPS:
            self._protector.tighten(symbol, self._halt.tight_stop_pct)
        await self._protector.ensure(symbol)

    def _nothing_left(self) -> bool:
        # A stop that could not be moved at once is the protector's to retry.
        in_place = all(self._protector.is_in_place(held) for held in self._positions.all())
        return in_place and not self._open_entries() and not self._unhandled()

    def _open_entries(self) -> list[OrderRecord]:
        if not self._halt.trip_cancels_entries:
            return []
        return self._desk.live(purpose=OrderPurpose.ENTRY)

    def _unhandled(self) -> list[HeldPosition]:
        return [held for held in self._positions.all() if not self._is_handled(held)]

    def _is_handled(self, held: HeldPosition) -> bool:
        """What is to be closed is dealt with when it is gone, and not before."""
        closes = self._halt.positions_policy is PositionsPolicy.CLOSE_AT_MARKET
        return not closes and held.entry_id in self._handled

    def _count(self) -> None:
        """Entries that our asking ended; one that filled meanwhile was not cancelled."""
        for entry_id in self._asked - self._cancelled:
            record = self._desk.find(entry_id)
            if record is not None and record.status is OrderStatus.CANCELED:
                self._cancelled.add(entry_id)
                self.entries_cancelled += 1

    def _record(self) -> None:
        if self._event_id is None:
            return
        try:
            self._breaker.update_event(
                self._event_id,
                orders_cancelled=len(self._cancelled),
                positions_affected=len(self._handled),
            )
        except StoreError:
            logger.exception("the sweep's figures could not be stored")
