"""Duties of the clock: expiries, exits that the price has reached, loss limits."""

from __future__ import annotations

import logging
from decimal import Decimal
from functools import partial

from trading.clock import Clock
from trading.errors import ExchangeError
from trading.execution.account import AccountBook
from trading.execution.config import ExecutionConfig
from trading.execution.desk import OrderDesk
from trading.execution.jobs import Jobs
from trading.execution.position_watch import PositionWatch
from trading.model.breaker import Actor
from trading.model.order import OrderPurpose
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.risk_config import RiskConfig
from trading.storage.equity_repository import MarkKind

logger = logging.getLogger(__name__)

LOSS_RULES: dict[MarkKind, str] = {
    "day": "max_daily_loss_pct",
    "week": "max_weekly_loss_pct",
    "peak": "max_drawdown_pct",
}


class Watch:
    """Looks at every order and position now and then and starts what is due."""

    def __init__(
        self,
        *,
        desk: OrderDesk,
        position_watch: PositionWatch,
        account: AccountBook,
        breaker: CircuitBreaker,
        jobs: Jobs,
        clock: Clock,
        wait_clock: Clock,
        config: ExecutionConfig,
        risk: RiskConfig,
    ) -> None:
        self._desk = desk
        self._position_watch = position_watch
        self._account = account
        self._breaker = breaker
        self._jobs = jobs
        self._clock = clock
        self._wait_clock = wait_clock
        self._config = config
        self._risk = risk
        self._cancel_again_ms: dict[str, int] = {}

    def advance(self, now_ms: int) -> None:
        """Start whatever is due; waits for nothing."""
        if self._desk.has_questions:
            self._jobs.start("resolve", self._desk.resolve_due, again=False)
        self._expire_entries(now_ms)
        self._position_watch.advance(now_ms)
        self._watch_losses(now_ms)

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

    def accept_losses(self) -> None:
        """An operator released the latch: go on from here, whatever the drawdown was."""
        if self._account.known:
            self._account.marks.accept_drawdown(self._clock.now_ms(), self._account.equity)

    def _watch_losses(self, now_ms: int) -> None:
        """The loss limits: each is a trip with the MANUAL latch, once a day, a week, a peak."""
        if not self._account.known:
            return
        self._account.marks.advance(now_ms, self._account.equity)
        view, risk = self._account.view(), self._risk
        self._judge("day", view.daily_loss_pct, risk.max_daily_loss_pct, "today")
        self._judge("week", view.weekly_loss_pct, risk.max_weekly_loss_pct, "this week")
        self._judge("peak", view.drawdown_pct, risk.max_drawdown_pct, "since the peak")

    def _judge(self, kind: MarkKind, loss_pct: Decimal, limit: float, since: str) -> None:
        if loss_pct < Decimal(str(limit)) or not self._account.marks.may_trip(kind):
            return
        self._account.marks.note_trip(kind)
        self._breaker.trigger(
            f"lost {loss_pct:.2f} % of equity {since}, {limit} % allowed",
            {"loss_pct": f"{loss_pct:.4f}"},
            actor=Actor.RULE,
            rule=LOSS_RULES[kind],
            latch=True,
        )
