"""Exposure promised to orders under way, so that two of them never spend the same room."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

from trading.model.order import ZERO


class Reservation(NamedTuple):
    symbol: str
    notional: Decimal


class ReservationBook:
    """Reservations by client order id. Thread-safe; ``reserve`` checks and books in one step."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._held: dict[str, Reservation] = {}

    def reserve(
        self,
        order_id: str,
        reservation: Reservation,
        check: Callable[[Mapping[str, Decimal]], None],
    ) -> None:
        """Book ``reservation`` if ``check`` (given what is reserved by symbol) does not raise."""
        with self._lock:
            check(self.by_symbol())
            self._held[order_id] = reservation

    def restore(self, order_id: str, reservation: Reservation) -> None:
        """Book without a check: an order that already exists after a restart."""
        with self._lock:
            self._held[order_id] = reservation

    def shrink(self, order_id: str, notional: Decimal) -> None:
        """Lower a reservation to ``notional`` as its order fills; zero releases it."""
        with self._lock:
            held = self._held.get(order_id)
            if held is None:
                return
            if notional <= 0:
                del self._held[order_id]
            else:
                self._held[order_id] = held._replace(notional=min(held.notional, notional))

    def release(self, order_id: str) -> None:
        with self._lock:
            self._held.pop(order_id, None)

    def by_symbol(self) -> dict[str, Decimal]:
        """Reserved notional by symbol; symbols without a reservation are absent."""
        with self._lock:
            totals: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
            for reservation in self._held.values():
                totals[reservation.symbol] += reservation.notional
            return dict(totals)

    @property
    def total(self) -> Decimal:
        with self._lock:
            return sum((held.notional for held in self._held.values()), ZERO)
