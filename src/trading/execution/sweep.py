"""What a trip does to orders and positions, until it is confirmed done."""

from __future__ import annotations

import logging

from trading.clock import Clock
from trading.errors import ExchangeError, SpikeguardError, StoreError
from trading.execution.config import ExecutionConfig
from trading.execution.desk import OrderDesk
from trading.execution.positions import PositionBook
from trading.execution.protector import Protector
from trading.model.order import OrderPurpose
from trading.risk.breaker_config import CircuitBreakerConfig, PositionsPolicy
from trading.risk.circuit_breaker import CircuitBreaker

logger = logging.getLogger(__name__)


class Sweep:
    """Cancels every open entry and applies the policy for positions; repeats until confirmed.

    Protective stops and other reductions stay. The figures of a finished sweep go into the
    breaker's event.
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
        self._active = False
        self._next_ms = 0
        self._cancelled: set[str] = set()
        self._handled: set[str] = set()  # entries whose positions the policy was applied to
        self.entries_cancelled = 0

    def begin(self, event_id: int | None) -> None:
        """A new trip; a further one of the same halt adds to its figures."""
        if event_id is None or event_id != self._event_id:
            self._cancelled.clear()
            self._handled.clear()
        self._event_id = event_id
        self._active = True
        self._next_ms = 0

    def is_due(self) -> bool:
        return self._active and self._wait_clock.now_ms() >= self._next_ms

    async def run(self) -> None:
        """One pass over all entries and positions. Failures are for the next pass."""
        if not self._active:
            return
        self._next_ms = self._wait_clock.now_ms() + self._config.sweep_retry_ms
        done = await self._cancel_entries()
        done = await self._handle_positions() and done
        if done:
            self._active = False
            logger.info("sweep done: %d entries cancelled", len(self._cancelled))
            self._record()

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

    async def _cancel_entries(self) -> bool:
        if not self._halt.trip_cancels_entries:
            return True
        for record in self._desk.live(purpose=OrderPurpose.ENTRY):
            try:
                result = await self._desk.cancel(record.id, "breaker tripped")
            except ExchangeError as error:
                logger.warning("entry %s is not cancelled yet: %s", record.id, error)
                continue
            if result.status.is_final and record.id not in self._cancelled:
                self._cancelled.add(record.id)
                self.entries_cancelled += 1
        return not self._desk.live(purpose=OrderPurpose.ENTRY)

    async def _handle_positions(self) -> bool:
        done = True
        for held in self._positions.all():
            if held.entry_id in self._handled:
                continue
            try:
                handled = await self._handle(held.symbol)
            except SpikeguardError as error:
                logger.warning("position in %s is not handled yet: %s", held.symbol, error)
                handled = False
            if handled:
                self._handled.add(held.entry_id)
            done = done and handled
        return done

    async def _handle(self, symbol: str) -> bool:
        policy = self._halt.positions_policy
        if policy is PositionsPolicy.CLOSE_AT_MARKET:
            await self._protector.close(symbol, "breaker")
            return self._positions.get(symbol) is None
        if policy is PositionsPolicy.KEEP_WITH_TIGHT_STOPS:
            self._protector.tighten(symbol, self._halt.tight_stop_pct)
        await self._protector.ensure(symbol)
        # A stop that could not be moved now is the protector's to retry.
        return True
