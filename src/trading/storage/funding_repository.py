"""Payments for holding futures, each with the position or trade that it belongs to."""

from __future__ import annotations

import sqlite3
from decimal import Decimal

from trading.clock import iso
from trading.model.futures import FundingPayment
from trading.model.order import ZERO
from trading.storage.repository import Repository, to_text


class FundingRepository(Repository):
    """Writes and reads funding_payments of one venue."""

    def __init__(self, connection: sqlite3.Connection, venue: str) -> None:
        super().__init__(connection)
        self._venue = venue

    def add(self, payment: FundingPayment, entry_id: str | None) -> None:
        """Raises StoreError when it is there already."""
        self._execute(
            "INSERT INTO funding_payments (venue, payment_id, symbol, amount, paid_at, paid_at_ms,"
            " entry_client_order_id) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                self._venue,
                payment.id,
                payment.symbol,
                to_text(payment.amount),
                iso(payment.time_ms),
                payment.time_ms,
                entry_id,
            ),
        )

    def has(self, payment_id: str) -> bool:
        row = self._row(
            "SELECT 1 FROM funding_payments WHERE venue = ? AND payment_id = ?",
            (self._venue, payment_id),
        )
        return row is not None

    def of_entry(self, entry_id: str) -> Decimal:
        """What the position of ``entry_id`` earned, less what it paid."""
        rows = self._rows(
            "SELECT amount FROM funding_payments WHERE venue = ? AND entry_client_order_id = ?",
            (self._venue, entry_id),
        )
        return sum((Decimal(row["amount"]) for row in rows), ZERO)
