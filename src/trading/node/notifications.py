"""Which of the core's events become messages to people.

A subscriber only queues: composing a message may ask the core's loops for positions, so it happens
on a thread of its own, and goes on without an answer after a moment.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any, TypeVar

from trading.api.schemas import ActivityEntry
from trading.events import (
    ApprovalRequested,
    BreakerChanged,
    EventBus,
    FundingCameLate,
    LiquidationEnded,
    PositionChanged,
)
from trading.model.breaker import BreakerSnapshot, BreakerStatus
from trading.node import notices
from trading.node.core import TradingCore
from trading.node.notifier import Notification, Notifier
from trading.node.notify_config import NotificationLevel

logger = logging.getLogger(__name__)

T = TypeVar("T")
Compose = Callable[[], Notification | None]

ANSWER_WITHIN_S = 2.0
LOOK_EVERY_S = 1.0
TOLD_OTHERWISE = ("breaker", "approvals", "liquidation")  # they have messages of their own
_LEVELS = {"warning": NotificationLevel.WARNING, "critical": NotificationLevel.CRITICAL}


class Notifications:
    """Built on the core's main loop, which it asks for facts."""

    def __init__(self, core: TradingCore, bus: EventBus, notifier: Notifier) -> None:
        self._core = core
        self._notifier = notifier
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Compose | None] = queue.SimpleQueue()
        self._resting: tuple[int, bool] = (-1, False)
        self._thread = threading.Thread(target=self._work, name="notices", daemon=True)
        self._thread.start()
        bus.subscribe(BreakerChanged, self._on_breaker)
        bus.subscribe(ApprovalRequested, self._on_approval)
        bus.subscribe(LiquidationEnded, self._on_liquidation)
        bus.subscribe(PositionChanged, self._on_position)
        bus.subscribe(FundingCameLate, self._on_late_funding)
        core.parts.board.on_entry(self._on_activity)

    async def watch(self) -> None:
        """Say of each halt once that it has come to rest."""
        while True:
            self._look()
            await asyncio.sleep(LOOK_EVERY_S)

    def _look(self) -> None:
        snapshot = self._core.breaker_snapshot()
        rests = self._core.parts.execution.quiet.epoch == snapshot.epoch
        before, self._resting = self._resting, (snapshot.epoch, rests)
        if rests and before == (snapshot.epoch, False) and snapshot.is_active:
            self._queue.put(lambda: self._at_rest(snapshot))

    def close(self) -> None:
        """Compose and send what waits, within a few seconds."""
        self._queue.put(None)
        self._thread.join(ANSWER_WITHIN_S)
        self._notifier.close()

    def _work(self) -> None:
        while (compose := self._queue.get()) is not None:
            try:
                notification = compose()
            except Exception:  # a message that cannot be made must not end those to come
                logger.exception("a notification could not be composed")
                continue
            if notification is not None:
                self._notifier.notify(notification)

    def _on_breaker(self, event: BreakerChanged) -> None:
        previous, current = event.previous, event.current
        self._queue.put(lambda: self._breaker_notice(previous, current))

    def _on_approval(self, event: ApprovalRequested) -> None:
        self._queue.put(lambda: notices.approval_wanted(event.approval))

    def _on_liquidation(self, event: LiquidationEnded) -> None:
        self._queue.put(lambda: notices.liquidated(event.report))

    def _on_position(self, event: PositionChanged) -> None:
        if event.closed:
            self._queue.put(lambda: notices.position_closed(event))

    def _on_late_funding(self, event: FundingCameLate) -> None:
        self._queue.put(lambda: notices.funding_came_late(event))

    def _on_activity(self, entry: ActivityEntry) -> None:
        level = _LEVELS.get(entry.level)
        if level is None or entry.source in TOLD_OTHERWISE:
            return
        text = f"{entry.source}: {entry.text}"[: notices.LONGEST_LINE]
        self._queue.put(lambda: Notification(level, text[:120], text, key=text))

    def _breaker_notice(
        self, previous: BreakerSnapshot, current: BreakerSnapshot
    ) -> Notification | None:
        match current.status:
            case BreakerStatus.TRIGGERED if current.epoch != previous.epoch:
                return self._halted(current)
            case BreakerStatus.RECOVERING if current.stage != previous.stage or (
                previous.status is not BreakerStatus.RECOVERING
            ):
                return notices.recovering(current)
            case BreakerStatus.SAFE if previous.is_active:
                return self._recovered(previous, current)
            case BreakerStatus.WARNING if previous.status is not BreakerStatus.WARNING:
                return notices.warned(current)
        return None

    def _halted(self, snapshot: BreakerSnapshot) -> Notification:
        config = self._core.parts.config
        market = self._core.parts.guard.snapshot
        exchange = config.exchange
        venue = f"{exchange.venue}{' (dry run)' if exchange.dry_run else ''}"
        return notices.halted(
            snapshot,
            config.circuit_breaker,
            venue,
            dict(market.prices) if market is not None else {},
            self._asked(self._core.portfolio),
            self._core.parts.audit.head,
        )

    def _at_rest(self, snapshot: BreakerSnapshot) -> Notification:
        row = self._episode(snapshot)
        return notices.at_rest(
            snapshot, row.get("orders_cancelled", 0), row.get("positions_affected", 0)
        )

    def _recovered(self, previous: BreakerSnapshot, current: BreakerSnapshot) -> Notification:
        saved = self._episode(previous).get("capital_saved")
        return notices.recovered(
            current,
            previous.triggered_at_ms,
            Decimal(saved) if saved is not None else None,
            self._core.parts.audit.head,
        )

    def _episode(self, snapshot: BreakerSnapshot) -> dict[str, Any]:
        """The halt's row in the store; empty where it cannot be read."""
        event_id = snapshot.event_id
        if event_id is None:
            return {}
        records = self._core.parts.records
        row = self._asked(lambda: records.call(lambda tables: tables.events.get(event_id)))
        return dict(row) if row is not None else {}

    def _asked(self, question: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
        """The core's answer; None when it fails, or takes too long."""
        future = asyncio.run_coroutine_threadsafe(question(), self._loop)
        try:
            return future.result(ANSWER_WITHIN_S)
        except Exception as error:
            future.cancel()
            logger.info("a notification goes without what was asked for: %r", error)
            return None
