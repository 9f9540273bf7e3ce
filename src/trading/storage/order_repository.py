"""Orders, as the journal keeps them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from trading.clock import iso
from trading.model.order import (
    ZERO,
    OrderPurpose,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from trading.storage.audit_log import append_audit
from trading.storage.database import atomically
from trading.storage.repository import Repository, from_text, to_text


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """One order of ours: what was asked, why, and where it stands.

    ``parent_id`` is the client order id of the entry that the order protects or closes. An entry
    carries its exits' distances (``stop_loss_pct``, ``take_profit_pct``). ``reserved_notional`` is
    what was reserved for it at first; see ``reserved_now``.
    """

    request: OrderRequest
    intent_hash: str
    epoch: int
    created_at_ms: int
    updated_at_ms: int
    status: OrderStatus = OrderStatus.PENDING
    spike_id: str | None = None
    parent_id: str | None = None
    reserved_notional: Decimal = ZERO
    filled_quantity: Decimal = ZERO
    filled_notional: Decimal = ZERO
    stop_loss_pct: float | None = None
    take_profit_pct: float | None = None
    venue_order_id: str | None = None
    reason: str = ""
    sent_at_ms: int | None = None
    deadline_ms: int | None = None
    decision_price: Decimal | None = None  # the last price when it was decided on

    @property
    def id(self) -> str:
        """The client order id."""
        return self.request.client_order_id

    @property
    def symbol(self) -> str:
        return self.request.symbol

    @property
    def purpose(self) -> OrderPurpose:
        return self.request.purpose

    @property
    def entry_id(self) -> str:
        """The entry this order belongs to: itself for an entry."""
        return self.parent_id or self.id

    @property
    def is_unresolved(self) -> bool:
        """Whether nobody can say yet whether the venue has it."""
        return self.status in (OrderStatus.PENDING, OrderStatus.UNKNOWN)

    @property
    def remaining_quantity(self) -> Decimal:
        """What may still fill; zero once final."""
        if self.status.is_final:
            return ZERO
        return self.request.quantity - self.filled_quantity

    @property
    def reserved_now(self) -> Decimal:
        """The part of the reservation that the unfilled rest still needs."""
        return self.reserved_notional * self.remaining_quantity / self.request.quantity

    @property
    def average_price(self) -> Decimal | None:
        return self.filled_notional / self.filled_quantity if self.filled_quantity else None

    def report(self) -> OrderReport:
        """This record in the form a venue reports an order."""
        return OrderReport(
            client_order_id=self.id,
            venue_order_id=self.venue_order_id or "",
            symbol=self.symbol,
            side=self.request.side,
            type=self.request.type,
            status=self.status,
            quantity=self.request.quantity,
            filled_quantity=self.filled_quantity,
            filled_notional=self.filled_notional,
            limit_price=self.request.limit_price,
            trigger_price=self.request.trigger_price,
            time_ms=self.updated_at_ms,
            reason=self.reason or None,
        )


_INSERT = """
INSERT INTO orders (client_order_id, intent_hash, spike_event_id, symbol, side, type, purpose,
    quantity, limit_price, trigger_price, time_in_force, status, epoch, reserved_notional,
    filled_quantity, filled_notional, average_price, stop_loss_pct, take_profit_pct, venue,
    venue_order_id, parent_client_order_id, reason, created_at, created_at_ms, sent_at, sent_at_ms,
    updated_at, updated_at_ms, deadline_at, deadline_at_ms, decision_price)
VALUES (:id, :intent_hash, :spike_id, :symbol, :side, :type, :purpose, :quantity, :limit_price,
    :trigger_price, :time_in_force, :status, :epoch, :reserved_notional, :filled_quantity,
    :filled_notional, :average_price, :stop_loss_pct, :take_profit_pct, :venue, :venue_order_id,
    :parent_id, :reason, :created_at, :created_at_ms, :sent_at, :sent_at_ms, :updated_at,
    :updated_at_ms, :deadline_at, :deadline_ms, :decision_price)
"""

_UPDATE = """
UPDATE orders SET status = :status, filled_quantity = :filled_quantity,
    filled_notional = :filled_notional, average_price = :average_price,
    venue_order_id = :venue_order_id, reason = :reason, sent_at = :sent_at,
    sent_at_ms = :sent_at_ms, updated_at = :updated_at, updated_at_ms = :updated_at_ms
WHERE client_order_id = :id
"""

_NOT_FINAL = "status IN ('PENDING', 'NEW', 'PARTIALLY_FILLED', 'UNKNOWN')"


class OrderRepository(Repository):
    """The orders of one venue."""

    def __init__(self, connection: sqlite3.Connection, venue: str) -> None:
        super().__init__(connection)
        self._venue = venue

    def insert(self, record: OrderRecord) -> None:
        """Raises StoreError when the id or the intent is there already."""
        with atomically(self._connection, f"order {record.id}"):
            self._execute(_INSERT, self._values(record))
            self._audit(record, opened=True)

    def update(self, record: OrderRecord) -> None:
        """Write what changes over an order's life."""
        with atomically(self._connection, f"order {record.id}"):
            self._execute(_UPDATE, self._values(record))
            self._audit(record, opened=False)

    def get(self, client_order_id: str) -> OrderRecord | None:
        row = self._row("SELECT * FROM orders WHERE client_order_id = ?", (client_order_id,))
        return _record(row) if row is not None else None

    def by_intent(self, intent_hash: str) -> OrderRecord | None:
        row = self._row("SELECT * FROM orders WHERE intent_hash = ?", (intent_hash,))
        return _record(row) if row is not None else None

    def not_final(self) -> list[OrderRecord]:
        """Orders that may still fill or whose outcome is open, oldest first."""
        rows = self._rows(
            f"SELECT * FROM orders WHERE venue = ? AND {_NOT_FINAL} ORDER BY created_at_ms, rowid",
            (self._venue,),
        )
        return [_record(row) for row in rows]

    def ended_since(self, time_ms: int) -> list[OrderRecord]:
        """Orders that were filled, in part at least, and came to their end since."""
        rows = self._rows(
            f"SELECT * FROM orders WHERE venue = ? AND NOT {_NOT_FINAL} AND updated_at_ms > ?"
            " AND CAST(filled_quantity AS REAL) > 0",
            (self._venue, time_ms),
        )
        return [_record(row) for row in rows]

    def finished_since(self, time_ms: int, limit: int) -> list[str]:
        """Ids of orders that were sent and came to their end since, the newest first."""
        rows = self._rows(
            f"SELECT client_order_id FROM orders WHERE venue = ? AND NOT {_NOT_FINAL}"
            " AND sent_at_ms IS NOT NULL AND updated_at_ms > ?"
            " ORDER BY updated_at_ms DESC, rowid DESC LIMIT ?",
            (self._venue, time_ms, limit),
        )
        return [row[0] for row in rows]

    def of_entry(self, entry_id: str) -> list[OrderRecord]:
        """The entry and every order that protects or closes it, oldest first."""
        rows = self._rows(
            "SELECT * FROM orders WHERE client_order_id = :id OR parent_client_order_id = :id"
            " ORDER BY created_at_ms, rowid",
            {"id": entry_id},
        )
        return [_record(row) for row in rows]

    def children(self, entry_id: str) -> int:
        """How many orders were ever made to protect or close the entry."""
        row = self._row("SELECT count(*) FROM orders WHERE parent_client_order_id = ?", (entry_id,))
        return int(row[0]) if row is not None else 0

    def entries_since(self, time_ms: int) -> list[tuple[int, str]]:
        """When and in which pair entries were made since."""
        rows = self._rows(
            "SELECT created_at_ms, symbol FROM orders WHERE venue = ? AND purpose = 'ENTRY'"
            " AND created_at_ms > ?",
            (self._venue, time_ms),
        )
        return [(int(row[0]), row[1]) for row in rows]

    def entered_since(self, time_ms: int) -> tuple[int, Decimal]:
        """How many entries were made since, and for how much of the quote asset.

        One that ended counts with what it filled, one that may still fill with what was approved;
        refused ones do not count.
        """
        rows = self._rows(
            "SELECT status, reserved_notional, filled_notional FROM orders"
            " WHERE venue = ? AND purpose = 'ENTRY' AND created_at_ms >= ?"
            " AND status <> 'REJECTED'",
            (self._venue, time_ms),
        )
        notional = ZERO
        for row in rows:
            final = OrderStatus(row["status"]).is_final
            notional += Decimal(row["filled_notional" if final else "reserved_notional"])
        return len(rows), notional

    def _audit(self, record: OrderRecord, *, opened: bool) -> None:
        payload: dict[str, Any] = {
            "status": record.status.value,
            "filled_quantity": record.filled_quantity,
            "filled_notional": record.filled_notional,
            "reason": record.reason,
        }
        if opened:
            request = record.request
            payload |= {
                "venue": self._venue,
                "symbol": request.symbol,
                "side": request.side.value,
                "type": request.type.value,
                "purpose": request.purpose.value,
                "quantity": request.quantity,
                "limit_price": request.limit_price,
                "trigger_price": request.trigger_price,
                "epoch": record.epoch,
                "reserved_notional": record.reserved_notional,
                "spike": record.spike_id,
                "entry": record.parent_id,
            }
        append_audit(self._connection, "order", record.id, payload, record.updated_at_ms)

    def _values(self, record: OrderRecord) -> dict[str, Any]:
        request = record.request
        return {
            "id": record.id,
            "intent_hash": record.intent_hash,
            "spike_id": record.spike_id,
            "symbol": request.symbol,
            "side": request.side.value,
            "type": request.type.value,
            "purpose": request.purpose.value,
            "quantity": to_text(request.quantity),
            "limit_price": to_text(request.limit_price),
            "trigger_price": to_text(request.trigger_price),
            "time_in_force": request.time_in_force.value if request.time_in_force else None,
            "status": record.status.value,
            "epoch": record.epoch,
            "reserved_notional": to_text(record.reserved_notional),
            "filled_quantity": to_text(record.filled_quantity),
            "filled_notional": to_text(record.filled_notional),
            "average_price": to_text(record.average_price),
            "stop_loss_pct": record.stop_loss_pct,
            "take_profit_pct": record.take_profit_pct,
            "venue": self._venue,
            "venue_order_id": record.venue_order_id,
            "parent_id": record.parent_id,
            "reason": record.reason,
            "created_at": iso(record.created_at_ms),
            "created_at_ms": record.created_at_ms,
            "sent_at": iso(record.sent_at_ms) if record.sent_at_ms is not None else None,
            "sent_at_ms": record.sent_at_ms,
            "updated_at": iso(record.updated_at_ms),
            "updated_at_ms": record.updated_at_ms,
            "deadline_at": iso(record.deadline_ms) if record.deadline_ms is not None else None,
            "deadline_ms": record.deadline_ms,
            "decision_price": to_text(record.decision_price),
        }


def _record(row: sqlite3.Row) -> OrderRecord:
    return OrderRecord(
        request=OrderRequest(
            client_order_id=row["client_order_id"],
            symbol=row["symbol"],
            side=Side(row["side"]),
            type=OrderType(row["type"]),
            quantity=Decimal(row["quantity"]),
            limit_price=from_text(row["limit_price"]),
            trigger_price=from_text(row["trigger_price"]),
            time_in_force=TimeInForce(row["time_in_force"]) if row["time_in_force"] else None,
            purpose=OrderPurpose(row["purpose"]),
        ),
        intent_hash=row["intent_hash"],
        epoch=row["epoch"],
        created_at_ms=row["created_at_ms"],
        updated_at_ms=row["updated_at_ms"],
        status=OrderStatus(row["status"]),
        spike_id=row["spike_event_id"],
        parent_id=row["parent_client_order_id"],
        reserved_notional=Decimal(row["reserved_notional"]),
        filled_quantity=Decimal(row["filled_quantity"]),
        filled_notional=Decimal(row["filled_notional"]),
        stop_loss_pct=row["stop_loss_pct"],
        take_profit_pct=row["take_profit_pct"],
        venue_order_id=row["venue_order_id"],
        reason=row["reason"],
        sent_at_ms=row["sent_at_ms"],
        deadline_ms=row["deadline_at_ms"],
        decision_price=from_text(row["decision_price"]),
    )
