"""Orders of which more has been executed than we have fills for.

A list of open orders tells how much of one is filled, not at which price and fee; so does an event
when those before it were missed. Until the fills are asked for, fees are estimates.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from trading.clock import Clock
from trading.execution.config import ExecutionConfig
from trading.model.order import ZERO, Fill
from trading.storage.order_repository import OrderRecord

logger = logging.getLogger(__name__)

MAX_QUERIES = 10  # then the estimate stands: the venue itself does not list the executions


@dataclass(slots=True)
class _Gap:
    """When to ask again, on the wait clock."""

    next_ms: int
    pause_ms: int
    queries: int = 0


class FillGaps:
    """Which orders lack fills, and when to ask for them. On the order loop."""

    def __init__(self, wait_clock: Clock, config: ExecutionConfig) -> None:
        self._wait_clock = wait_clock
        self._config = config
        self._gaps: dict[str, _Gap] = {}
        self._uncertain: dict[str, Decimal] = {}  # notional by order

    def __bool__(self) -> bool:
        return bool(self._gaps)

    def note(self, record: OrderRecord, fills: Iterable[Fill]) -> None:
        """``record`` has changed; ``fills`` are all that are known of it."""
        if sum((fill.quantity for fill in fills), ZERO) >= record.filled_quantity:
            self._gaps.pop(record.id, None)
            self._uncertain.pop(record.id, None)
            return
        self._uncertain[record.id] = record.filled_notional
        if record.id not in self._gaps:
            pause_ms = self._config.unknown_query_interval_ms
            # Mostly the fills are on their way: an answer has overtaken its events.
            self._gaps[record.id] = _Gap(self._wait_clock.now_ms() + pause_ms, pause_ms)

    @property
    def uncertain_notional(self) -> Decimal:
        """What was executed at fees, and perhaps prices, that are assumed; quote asset."""
        return sum(self._uncertain.values(), ZERO)

    def accept(self) -> None:
        """The venue's balance has been taken over: estimates given up on are in it."""
        self._uncertain = {key: self._uncertain[key] for key in self._gaps}

    def due(self) -> list[str]:
        """Orders to ask for now; each is then left alone for a growing pause."""
        now_ms = self._wait_clock.now_ms()
        due = [order_id for order_id, gap in self._gaps.items() if now_ms >= gap.next_ms]
        for order_id in due:
            gap = self._gaps[order_id]
            gap.queries += 1
            gap.next_ms = now_ms + gap.pause_ms
            gap.pause_ms = min(gap.pause_ms * 2, self._config.unknown_query_max_interval_ms)
            if gap.queries >= MAX_QUERIES:
                logger.warning(
                    "not all fills of %s are to be had; its fees are estimated", order_id
                )
                del self._gaps[order_id]
        return due
