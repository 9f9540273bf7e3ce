"""Open positions, closed trades, and what a closed trade says of its spike."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from trading.clock import iso
from trading.model.order import ZERO, Position
from trading.storage.audit_log import append_audit
from trading.storage.database import atomically
from trading.storage.repository import Repository, from_text, to_text


@dataclass(frozen=True, slots=True)
class PositionRow:
    """An open position as stored, with the sums it is made of."""

    entry_id: str
    position: Position
    bought_quantity: Decimal
    bought_notional: Decimal
    sold_quantity: Decimal
    sold_notional: Decimal


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """A round trip. ``pnl`` is what it earned in the quote asset, all fees taken off; ``funding``,
    which is part of it, is what holding it earned, less what that cost."""

    entry_id: str
    symbol: str
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    pnl: Decimal
    fees: Decimal
    exit_reason: str
    spike_id: str | None
    opened_at_ms: int
    closed_at_ms: int
    funding: Decimal = ZERO


class PositionRepository(Repository):
    """The open positions of one venue; one row per symbol and opening."""

    def __init__(self, connection: sqlite3.Connection, venue: str) -> None:
        super().__init__(connection)
        self._venue = venue

    def save(self, row: PositionRow, now_ms: int) -> None:
        position = row.position
        self._execute(
            "INSERT INTO positions (venue, symbol, quantity, average_entry_price, bought_quantity,"
            " bought_notional, sold_quantity, sold_notional, stop_price, take_profit_price,"
            " stop_client_order_id, realized_pnl, fees_paid, entry_client_order_id, spike_event_id,"
            " opened_at, opened_at_ms, updated_at, updated_at_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (venue, symbol, opened_at_ms) DO UPDATE SET quantity = excluded.quantity,"
            " average_entry_price = excluded.average_entry_price,"
            " bought_quantity = excluded.bought_quantity,"
            " bought_notional = excluded.bought_notional,"
            " sold_quantity = excluded.sold_quantity, sold_notional = excluded.sold_notional,"
            " stop_price = excluded.stop_price, take_profit_price = excluded.take_profit_price,"
            " stop_client_order_id = excluded.stop_client_order_id,"
            " realized_pnl = excluded.realized_pnl, fees_paid = excluded.fees_paid,"
            " updated_at = excluded.updated_at, updated_at_ms = excluded.updated_at_ms",
            (
                self._venue,
                position.symbol,
                to_text(position.quantity),
                to_text(position.average_entry_price),
                to_text(row.bought_quantity),
                to_text(row.bought_notional),
                to_text(row.sold_quantity),
                to_text(row.sold_notional),
                to_text(position.stop_price),
                to_text(position.take_profit_price),
                position.stop_client_order_id,
                to_text(position.realized_pnl),
                to_text(position.fees_paid),
                row.entry_id,
                position.spike_id,
                iso(position.opened_at_ms),
                position.opened_at_ms,
                iso(now_ms),
                now_ms,
            ),
        )

    def remove(self, entry_id: str) -> None:
        self._execute(
            "DELETE FROM positions WHERE venue = ? AND entry_client_order_id = ?",
            (self._venue, entry_id),
        )

    def open(self) -> list[PositionRow]:
        """All open positions, oldest first."""
        rows = self._rows(
            "SELECT * FROM positions WHERE venue = ? ORDER BY opened_at_ms, id", (self._venue,)
        )
        return [
            PositionRow(
                entry_id=row["entry_client_order_id"],
                position=Position(
                    symbol=row["symbol"],
                    quantity=Decimal(row["quantity"]),
                    average_entry_price=Decimal(row["average_entry_price"]),
                    opened_at_ms=row["opened_at_ms"],
                    stop_price=from_text(row["stop_price"]),
                    take_profit_price=from_text(row["take_profit_price"]),
                    realized_pnl=Decimal(row["realized_pnl"]),
                    fees_paid=Decimal(row["fees_paid"]),
                    spike_id=row["spike_event_id"],
                    stop_client_order_id=row["stop_client_order_id"],
                ),
                bought_quantity=Decimal(row["bought_quantity"]),
                bought_notional=Decimal(row["bought_notional"]),
                sold_quantity=Decimal(row["sold_quantity"]),
                sold_notional=Decimal(row["sold_notional"]),
            )
            for row in rows
        ]


class TradeRepository(Repository):
    """Closed round trips of one venue."""

    def __init__(self, connection: sqlite3.Connection, venue: str) -> None:
        super().__init__(connection)
        self._venue = venue

    def add(self, trade: ClosedTrade) -> int:
        """Store ``trade`` with the outcome of its spike and the decisions on it; returns its id.

        When a late fill reopens and closes the same entry again, its row is brought up to date.
        """
        values = {
            "venue": self._venue,
            "symbol": trade.symbol,
            "quantity": to_text(trade.quantity),
            "entry_price": to_text(trade.entry_price),
            "exit_price": to_text(trade.exit_price),
            "pnl": to_text(trade.pnl),
            "fees": to_text(trade.fees),
            "funding": to_text(trade.funding),
            "exit_reason": trade.exit_reason,
            "entry_client_order_id": trade.entry_id,
            "spike_event_id": trade.spike_id,
            "opened_at": iso(trade.opened_at_ms),
            "opened_at_ms": trade.opened_at_ms,
            "closed_at": iso(trade.closed_at_ms),
            "closed_at_ms": trade.closed_at_ms,
        }
        with atomically(self._connection, "storing a trade"):
            trade_id = self._put(values)
            append_audit(self._connection, "trade", str(trade_id), values, trade.closed_at_ms)
            self._tell_spike(trade_id, trade)
        return trade_id

    def _put(self, values: dict[str, Any]) -> int:
        known = self._row(
            "SELECT id FROM trades WHERE venue = :venue"
            " AND entry_client_order_id = :entry_client_order_id",
            values,
        )
        if known is None:
            return self._insert("trades", values)
        assignments = ", ".join(f"{name} = :{name}" for name in values)
        self._execute(
            f"UPDATE trades SET {assignments} WHERE id = :id", {**values, "id": known["id"]}
        )
        return int(known["id"])

    def _tell_spike(self, trade_id: int, trade: ClosedTrade) -> None:
        if trade.spike_id is not None:
            self._execute(
                "UPDATE spike_events SET trade_id = ?, outcome = ?, pnl = ?, status = 'traded'"
                " WHERE id = ?",
                (
                    trade_id,
                    "profitable" if trade.pnl > 0 else "unprofitable",
                    to_text(trade.pnl),
                    trade.spike_id,
                ),
            )
            self._execute(
                "UPDATE agent_decisions SET trade_id = ? WHERE spike_event_id = ?",
                (trade_id, trade.spike_id),
            )

    def held_at(self, symbol: str, time_ms: int) -> ClosedTrade | None:
        """The trade whose position was held at ``time_ms``, if it is closed by now."""
        row = self._row(
            "SELECT * FROM trades WHERE venue = ? AND symbol = ? AND opened_at_ms <= ?"
            " AND closed_at_ms >= ? ORDER BY id DESC LIMIT 1",
            (self._venue, symbol, time_ms, time_ms),
        )
        if row is None:
            return None
        return ClosedTrade(
            entry_id=row["entry_client_order_id"],
            symbol=row["symbol"],
            quantity=Decimal(row["quantity"]),
            entry_price=Decimal(row["entry_price"]),
            exit_price=Decimal(row["exit_price"]),
            pnl=Decimal(row["pnl"]),
            fees=Decimal(row["fees"]),
            exit_reason=row["exit_reason"],
            spike_id=row["spike_event_id"],
            opened_at_ms=row["opened_at_ms"],
            closed_at_ms=row["closed_at_ms"],
            funding=Decimal(row["funding"]),
        )

    def newest(self, limit: int, since_ms: int = 0) -> list[tuple[Decimal, int]]:
        """Profit and closing time of the last trades closed at or after ``since_ms``, newest
        first."""
        rows = self._rows(
            "SELECT pnl, closed_at_ms FROM trades WHERE venue = ? AND closed_at_ms >= ?"
            " ORDER BY closed_at_ms DESC, id DESC LIMIT ?",
            (self._venue, since_ms, limit),
        )
        return [(Decimal(row["pnl"]), int(row["closed_at_ms"])) for row in rows]

    def total_pnl(self, since_ms: int = 0) -> Decimal:
        """Profit of all trades closed at or after ``since_ms``."""
        rows = self._rows(
            "SELECT pnl FROM trades WHERE venue = ? AND closed_at_ms >= ?", (self._venue, since_ms)
        )
        return sum((Decimal(row["pnl"]) for row in rows), ZERO)


class StoredSpike(NamedTuple):
    """What validation and exits need to know of a spike."""

    symbol: str
    detected_at_ms: int
    price_from: Decimal
    price_to: Decimal


class SpikeLookup(Repository):
    """Reads spikes; the records write them."""

    def find(self, spike_id: str) -> StoredSpike | None:
        """None when no such spike is recorded."""
        row = self._row(
            "SELECT trading_pair, timestamp_ms, price_from, price_to FROM spike_events"
            " WHERE id = ?",
            (spike_id,),
        )
        if row is None:
            return None
        return StoredSpike(
            row["trading_pair"],
            int(row["timestamp_ms"]),
            Decimal(row["price_from"]),
            Decimal(row["price_to"]),
        )
