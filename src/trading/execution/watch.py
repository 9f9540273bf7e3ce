"""Duties of the clock: expiries, exits that the price has reached, the daily loss."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial

from trading.clock import DAY_MS, Clock, iso
from trading.errors import ExchangeError, StoreError
from trading.execution.account import AccountBook
from trading.execution.config import ExecutionConfig
from trading.execution.desk import OrderDesk
from trading.execution.jobs import Jobs
from trading.execution.positions import PositionBook
from trading.execution.protector import Protector
from trading.model.breaker import Actor
from trading.model.order import OrderPurpose
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.risk_config import RiskConfig
from trading.storage.risk_event_repository import RiskEventRepository

logger = logging.getLogger(__name__)

DAY_START = "equity_day_start"
ACCOUNT_FORGOTTEN = "account_forgotten"
DAILY_LOSS = "max_daily_loss_pct"


class Watch:
    """Looks at every order and position now and then and starts what is due."""

    def __init__(
        self,
        *,
        desk: OrderDesk,
        positions: PositionBook,
        protector: Protector,
        account: AccountBook,
        breaker: CircuitBreaker,
        risk_events: RiskEventRepository,
        jobs: Jobs,
        clock: Clock,
        wait_clock: Clock,
        config: ExecutionConfig,
        risk: RiskConfig,
        venue: str,
    ) -> None:
        self._desk = desk
        self._positions = positions
        self._protector = protector
        self._account = account
        self._breaker = breaker
        self._risk_events = risk_events
        self._jobs = jobs
        self._clock = clock
        self._wait_clock = wait_clock
        self._config = config
        self._risk = risk
        self._venue = venue
        self._cancel_again_ms: dict[str, int] = {}
        self._loss_tripped_on: int | None = None

    def restore_day(self) -> None:
        """Today's opening equity from before a restart, unless the account is a new one."""
        now_ms = self._clock.now_ms()
        today = self._today(now_ms)
        starts = (r for r in self._risk_events.latest(10, DAY_START) if r["message"] == today)
        start = next(starts, None)
        if start is None:
            return
        forgotten = self._risk_events.latest(1, ACCOUNT_FORGOTTEN)
        if not forgotten or forgotten[0]["id"] < start["id"]:
            self._account.restore_day(now_ms, Decimal(start["value"]))

    def advance(self, now_ms: int) -> None:
        """Start whatever is due; waits for nothing."""
        if self._desk.has_questions:
            self._jobs.start("resolve", self._desk.resolve_due, again=False)
        self._expire_entries(now_ms)
        self._watch_positions()
        self._watch_daily_loss(now_ms)

    def _expire_entries(self, now_ms: int) -> None:
        for record in self._desk.live(purpose=OrderPurpose.ENTRY):
            expires_at_ms = record.created_at_ms + self._config.entry_time_to_live_ms
            if now_ms < expires_at_ms or not record.status.is_open:
                continue
            if self._wait_clock.now_ms() < self._cancel_again_ms.get(record.id, 0):
                continue
            self._jobs.start(f"expire {record.id}", partial(self._expire, record.id), again=False)

    async def _expire(self, order_id: str) -> None:
        try:
            await self._desk.cancel(order_id, "its time to live is over")
        except ExchangeError as error:
            logger.warning("entry %s is not cancelled yet: %s", order_id, error)
        if self._desk.is_live(order_id):
            pause_ms = self._config.sweep_retry_ms
            self._cancel_again_ms[order_id] = self._wait_clock.now_ms() + pause_ms
        else:
            self._cancel_again_ms.pop(order_id, None)

    def _watch_positions(self) -> None:
        for held in self._positions.all():
            symbol = held.symbol
            if self._protector.is_profit_reached(held):
                self._start("profit", symbol, self._protector.take_profit)
            elif self._protector.needs_care(held):
                self._start("protect", symbol, self._protector.ensure)
            elif self._protector.is_overrun(held):
                self._start("check", symbol, self._protector.check_stop)

    def _start(self, what: str, symbol: str, duty: Callable[[str], Awaitable[object]]) -> None:
        self._jobs.start(f"{what} {symbol}", partial(duty, symbol), again=False)

    def _watch_daily_loss(self, now_ms: int) -> None:
        """The daily-loss floor: a trip with the MANUAL latch, once a day."""
        if not self._account.known:
            return
        start = self._account.start_day(now_ms)
        if start is not None:
            self._note_day(now_ms, start)
        loss_pct = self._account.view().daily_loss_pct
        day = now_ms // DAY_MS
        if loss_pct < Decimal(str(self._risk.max_daily_loss_pct)) or self._loss_tripped_on == day:
            return
        self._loss_tripped_on = day
        self._breaker.trigger(
            f"lost {loss_pct:.2f} % of equity today, {self._risk.max_daily_loss_pct} % allowed",
            {"loss_pct": f"{loss_pct:.4f}"},
            actor=Actor.RULE,
            rule=DAILY_LOSS,
            latch=True,
        )

    def _note_day(self, now_ms: int, equity: Decimal) -> None:
        try:
            self._risk_events.record(
                DAY_START, self._today(now_ms), now_ms, severity="info", value=str(equity)
            )
        except StoreError:
            logger.exception("the day's opening equity could not be recorded")

    def _today(self, now_ms: int) -> str:
        return f"{self._venue} {iso(now_ms)[:10]}"
