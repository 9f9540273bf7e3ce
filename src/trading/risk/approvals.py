"""What the risk engine approved, and what of it was handed over to be sent.

Whatever runs away above, a loop or a confused model: the sum of the entries that go out never
exceeds the sum that was approved, because each approval is for one order id, up to one notional,
once.
"""

from __future__ import annotations

import threading
from decimal import Decimal

from trading.errors import RiskLimitError
from trading.model.order import ZERO

RULE = "unapproved_order"


class ApprovalLedger:
    """Approvals by client order id. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Decimal] = {}
        self._approved = ZERO
        self._sent = ZERO

    def approve(self, order_id: str, notional: Decimal) -> None:
        """The engine let an entry pass that costs at most ``notional``."""
        with self._lock:
            self._approved += notional - self._open.get(order_id, ZERO)
            self._open[order_id] = notional

    def withdraw(self, order_id: str) -> None:
        """The approved entry was not sent, and will not be."""
        with self._lock:
            self._approved -= self._open.pop(order_id, ZERO)

    def spend(self, order_id: str, notional: Decimal) -> None:
        """An entry of ``notional`` is about to go out: use its approval up.

        Raises:
            RiskLimitError: there is none, it was used, or it is for less.
        """
        with self._lock:
            approved = self._open.get(order_id)
            if approved is None or notional > approved:
                raise RiskLimitError(
                    RULE,
                    limit="0" if approved is None else f"{approved:f}",
                    value=f"{notional:f}",
                    message=f"{order_id} was not approved for this",
                )
            del self._open[order_id]
            self._approved -= approved - notional  # the rest lapses
            self._sent += notional

    @property
    def totals(self) -> tuple[Decimal, Decimal]:
        """Sum of what was approved and not withdrawn, and of what was sent; quote asset."""
        with self._lock:
            return self._approved, self._sent
