"""An order's whole chain, as the store has it: from the spike to the profit."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from trading.clock import DAY_MS
from trading.errors import OrderNotFoundError
from trading.model.order import Fill
from trading.model.quality import (
    ExecutionQuality,
    QualitySummary,
    execution_quality,
    summarise,
)
from trading.storage.fill_repository import FillRepository
from trading.storage.order_repository import OrderRecord, OrderRepository
from trading.storage.repository import Repository, from_json

Row = dict[str, Any]

JSON_COLUMNS = frozenset(
    {
        "arguments",
        "result",
        "input_data",
        "output_data",
        "context_analysis",
        "risk_assessment",
        "pump_features",
        "details",
    }
)


@dataclass(frozen=True, slots=True)
class OrderTrace:
    """One order of the chain, with its executions and how good they were."""

    order: OrderRecord
    fills: Sequence[Fill]
    quality: ExecutionQuality


@dataclass(frozen=True, slots=True)
class OrderChain:
    """``order_id`` is the order that was asked about; ``orders`` are its entry and all exits.

    Rows are the store's, with JSON decoded. ``refusals`` are risk events on the same spike or
    order. ``funding`` are the payments for holding the position, what it cost below zero.
    ``position`` is what is still open, ``trade`` the round trip once it is closed; the trade's
    profit has the funding in it, what a position has realised so far has not.
    """

    order_id: str
    venue: str
    spike: Row | None
    decisions: Sequence[Row]
    tools: Sequence[Row]
    refusals: Sequence[Row]
    orders: Sequence[OrderTrace]
    funding: Sequence[Row]
    position: Row | None
    trade: Row | None


class OrderChains(Repository):
    """Reads chains; writes nothing."""

    def find(self, name: str) -> OrderChain:
        """The chain of the order of this client order id, its beginning, or the venue's own id.

        Raises:
            OrderNotFoundError: no order, or more than one, is called so.
        """
        order_id, venue = self._resolve(name)
        repository = OrderRepository(self._connection, venue)
        order = repository.get(order_id)
        if order is None:
            raise OrderNotFoundError(f"no order {order_id} is in the journal")
        fills = FillRepository(self._connection)
        orders = [_traced(record, fills) for record in repository.of_entry(order.entry_id)]
        spike_id, entry_id = order.spike_id, order.entry_id
        return OrderChain(
            order_id=order_id,
            venue=venue,
            spike=self._one("SELECT * FROM spike_events WHERE id = ?", (spike_id,)),
            decisions=self._all(
                "SELECT * FROM agent_decisions WHERE spike_event_id = ? ORDER BY id", (spike_id,)
            ),
            tools=self._all(
                "SELECT * FROM tool_executions WHERE spike_event_id = ? ORDER BY id", (spike_id,)
            ),
            refusals=self._all(
                "SELECT * FROM risk_events WHERE spike_event_id = ? OR client_order_id IN"
                " (SELECT client_order_id FROM orders WHERE client_order_id = ?"
                " OR parent_client_order_id = ?) ORDER BY id",
                (spike_id, entry_id, entry_id),
            ),
            orders=orders,
            funding=self._all(
                "SELECT payment_id, amount, paid_at FROM funding_payments"
                " WHERE venue = ? AND entry_client_order_id = ? ORDER BY paid_at_ms, payment_id",
                (venue, entry_id),
            ),
            position=self._one(
                "SELECT * FROM positions WHERE entry_client_order_id = ?", (entry_id,)
            ),
            trade=self._one("SELECT * FROM trades WHERE entry_client_order_id = ?", (entry_id,)),
        )

    def quality(self, days: float) -> list[QualitySummary]:
        """Orders that ended in the ``days`` before the newest, summed up by purpose."""
        newest = self._row("SELECT max(created_at_ms) FROM orders")
        if newest is None or newest[0] is None:
            return []
        return self.quality_between(newest[0] - round(days * DAY_MS) + 1, newest[0] + 1)

    def quality_between(
        self, start_ms: int, end_ms: int, venue: str | None = None
    ) -> list[QualitySummary]:
        """Orders made from ``start_ms`` up to ``end_ms`` that have ended, summed up by purpose.

        Of all venues, or of ``venue``.
        """
        rows = self._rows(
            "SELECT client_order_id, venue FROM orders WHERE sent_at_ms IS NOT NULL"
            " AND status IN ('FILLED', 'CANCELED', 'EXPIRED')"
            " AND created_at_ms >= :start AND created_at_ms < :end"
            " AND (:venue IS NULL OR venue = :venue) ORDER BY created_at_ms",
            {"start": start_ms, "end": end_ms, "venue": venue},
        )
        by_purpose: dict[str, list[tuple[ExecutionQuality, Decimal]]] = {}
        fills = FillRepository(self._connection)
        for row in rows:
            record = OrderRepository(self._connection, row["venue"]).get(row["client_order_id"])
            assert record is not None  # it was listed just now
            entry = (quality_of(record, fills.of_order(record.id)), record.filled_notional)
            by_purpose.setdefault(record.purpose.value, []).append(entry)
        return [summarise(purpose, orders) for purpose, orders in sorted(by_purpose.items())]

    def _resolve(self, name: str) -> tuple[str, str]:
        rows = self._rows(
            "SELECT client_order_id, venue FROM orders WHERE client_order_id = :name"
            " OR venue_order_id = :name OR substr(client_order_id, 1, length(:name)) = :name"
            " ORDER BY created_at_ms DESC LIMIT 6",
            {"name": name},
        )
        exact = [row for row in rows if row["client_order_id"] == name]
        found = exact or rows
        if not found or not name:
            raise OrderNotFoundError(
                f"no order is called {name!r}; `status` and the logs name orders by their client "
                "order id"
            )
        if len(found) > 1:
            listed = ", ".join(row["client_order_id"] for row in found[:5])
            raise OrderNotFoundError(f"more than one order is called {name!r}: {listed}")
        return found[0]["client_order_id"], found[0]["venue"]

    def _one(self, sql: str, parameters: tuple[Any, ...]) -> Row | None:
        row = self._row(sql, parameters)
        return _plain(row) if row is not None else None

    def _all(self, sql: str, parameters: tuple[Any, ...]) -> list[Row]:
        return [_plain(row) for row in self._rows(sql, parameters)]


def _traced(record: OrderRecord, fills: FillRepository) -> OrderTrace:
    executed = fills.of_order(record.id)
    return OrderTrace(record, executed, quality_of(record, executed))


def quality_of(record: OrderRecord, fills: Sequence[Fill]) -> ExecutionQuality:
    """How well ``record`` was executed so far."""
    return execution_quality(
        side=record.request.side,
        quantity=record.request.quantity,
        filled_quantity=record.filled_quantity,
        average_price=record.average_price,
        decision_price=record.decision_price,
        sent_at_ms=record.sent_at_ms,
        fills=fills,
    )


def _plain(row: sqlite3.Row) -> Row:
    return {
        key: from_json(row[key]) if key in JSON_COLUMNS and row[key] else row[key]
        for key in row.keys()  # noqa: SIM118 - iterating a Row gives its values
    }
