"""What the order path does when the breaker changes, and what the halt was worth."""

from __future__ import annotations

import logging
from decimal import Decimal

from trading.clock import Clock
from trading.errors import StoreError
from trading.execution.account import AccountBook
from trading.execution.desk import OrderDesk
from trading.execution.jobs import Jobs
from trading.execution.positions import PositionBook
from trading.execution.shadow import ShadowAccount
from trading.execution.sweep import Sweep
from trading.execution.trust import BookTrust
from trading.execution.watch import Watch
from trading.model.breaker import BreakerSnapshot, BreakerStatus, Latch
from trading.model.order import OrderPurpose
from trading.risk.circuit_breaker import CircuitBreaker

logger = logging.getLogger(__name__)


class HaltResponse:
    """Starts the sweep at each trip and keeps the shadow account of the current halt."""

    def __init__(
        self,
        *,
        breaker: CircuitBreaker,
        sweep: Sweep,
        jobs: Jobs,
        account: AccountBook,
        positions: PositionBook,
        desk: OrderDesk,
        clock: Clock,
        entry_time_to_live_ms: int,
        fee_rate: Decimal,
        trust: BookTrust,
        watch: Watch,
    ) -> None:
        self._breaker = breaker
        self._sweep = sweep
        self._jobs = jobs
        self._account = account
        self._positions = positions
        self._desk = desk
        self._clock = clock
        self._entry_time_to_live_ms = entry_time_to_live_ms
        self._fee_rate = fee_rate
        self._trust = trust
        self._watch = watch
        self._shadow: ShadowAccount | None = None
        self._final_saving: Decimal | None = None

    def on_change(self, previous: BreakerSnapshot, current: BreakerSnapshot) -> None:
        """The breaker changed. On the order loop, in order."""
        halted = current.status is BreakerStatus.TRIGGERED
        was_halted = previous.status is BreakerStatus.TRIGGERED
        if halted and (not was_halted or current.epoch != previous.epoch):
            self.begin(current, new_halt=not was_halted)
        if was_halted and not halted:
            self._sweep.end()
            self._trust.resumed()
            self._record_saving(previous.event_id)
            self._shadow = None
        if previous.latch is Latch.MANUAL and current.latch is Latch.NONE:
            self._trust.accept()
            self._watch.accept_losses()

    def begin(self, snapshot: BreakerSnapshot, *, new_halt: bool) -> None:
        """Sweep for ``snapshot``'s trip; a new halt also starts a new shadow."""
        if new_halt or self._shadow is None:
            self._start_shadow()
        self._sweep.begin(snapshot.event_id)
        self._trust.halted(snapshot, new_halt=new_halt)
        self._jobs.start("sweep", self._sweep.run)

    def advance(self, now_ms: int) -> None:
        """Follow the prices and repeat what the sweep has not finished."""
        if self._shadow is not None:
            self._shadow.follow(self._account.price_of, now_ms)
        if self._sweep.is_due():
            self._jobs.start("sweep", self._sweep.run, again=False)

    @property
    def capital_saved(self) -> Decimal | None:
        """Actual less shadow equity, of the current halt or the last; None before the first."""
        if self._shadow is None:
            return self._final_saving
        return self._account.equity - self._shadow.equity(self._account.price_of)

    @property
    def equity_without_breaker(self) -> Decimal | None:
        """The shadow's equity while a halt lasts."""
        if self._shadow is None:
            return None
        return self._shadow.equity(self._account.price_of)

    def end(self) -> None:
        """The program ends: note what the halt that still stands has been worth so far."""
        snapshot = self._breaker.snapshot
        if snapshot.status is BreakerStatus.TRIGGERED:
            self._record_saving(snapshot.event_id)

    def _start_shadow(self) -> None:
        if not self._account.known:
            return
        self._shadow = ShadowAccount(
            cash=self._account.cash,
            positions=self._positions.all(),
            entries=self._desk.live(purpose=OrderPurpose.ENTRY),
            entry_time_to_live_ms=self._entry_time_to_live_ms,
            fee_rate=self._fee_rate,
        )
        self._shadow.follow(self._account.price_of, self._clock.now_ms())

    def _record_saving(self, event_id: int | None) -> None:
        if self._shadow is None:
            return
        self._final_saving = self.capital_saved
        if event_id is None:
            return
        try:
            self._breaker.update_event(event_id, capital_saved=self._final_saving)
        except StoreError:
            logger.exception("the capital saved by the halt could not be stored")
