"""What happened on one UTC day, for the compliance report: sums over the store's tables."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from trading.clock import DAY_MS, iso
from trading.model.order import ZERO
from trading.storage.repository import Repository


@dataclass(frozen=True, slots=True)
class RefusalCount:
    """Refusals of entries, and other risk events, of one rule; limit and value of the last one."""

    rule: str
    count: int
    limit: str | None
    value: str | None
    message: str


@dataclass(frozen=True, slots=True)
class OrderCounts:
    """Orders of one venue made on the day. Money in the quote asset."""

    venue: str
    entries: int  # sent or under way; refused ones are not among them
    entry_notional: Decimal  # filled, or approved where they may still fill
    exits: int
    fills: int
    fill_notional: Decimal
    fees: dict[str, Decimal]  # by asset
    closed_trades: int
    profit_loss: Decimal  # of closed trades, fees taken off


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that a person, or the breaker, did."""

    time: str
    what: str
    who: str
    details: str


@dataclass(frozen=True, slots=True)
class DayReport:
    """Everything of one day; ``entry`` numbers are those of the audit log."""

    day: str
    venues: tuple[OrderCounts, ...]
    refusals: tuple[RefusalCount, ...]
    approvals: dict[str, int]  # by status
    decisions: dict[str, int]  # by agent
    breaker: tuple[Happening, ...]
    operator: tuple[Happening, ...]
    configuration: tuple[Happening, ...]
    first_entry: int | None
    last_entry: int | None


class DayReporter(Repository):
    """Reads one day. Safe beside a running core."""

    def report(self, day_start_ms: int) -> DayReport:
        """The day that begins at ``day_start_ms``. Raises StoreError."""
        span = (day_start_ms, day_start_ms + DAY_MS)
        ends = self._row(
            "SELECT min(seq), max(seq) FROM audit_log WHERE timestamp_ms >= ? AND timestamp_ms < ?",
            span,
        )
        assert ends is not None
        return DayReport(
            day=iso(day_start_ms)[:10],
            venues=tuple(self._orders(venue, span) for venue in self._venues(span)),
            refusals=self._refusals(span),
            approvals=self._counts("approvals", "status", "requested_at_ms", span),
            decisions=self._counts("agent_decisions", "agent_name", "timestamp_ms", span),
            breaker=self._happenings("breaker", span),
            operator=self._happenings("operator", span, "control", "anchor"),
            configuration=self._happenings("configuration", span),
            first_entry=ends[0],
            last_entry=ends[1],
        )

    def _venues(self, span: tuple[int, int]) -> list[str]:
        # An order of the day before may be filled, and its position closed, on this day.
        rows = self._rows(
            "SELECT venue FROM orders WHERE created_at_ms >= ? AND created_at_ms < ?"
            " UNION SELECT o.venue FROM fills AS f JOIN orders AS o USING (client_order_id)"
            " WHERE f.filled_at_ms >= ? AND f.filled_at_ms < ?"
            " UNION SELECT venue FROM trades WHERE closed_at_ms >= ? AND closed_at_ms < ?"
            " ORDER BY venue",
            span * 3,
        )
        return [row["venue"] for row in rows]

    def _orders(self, venue: str, span: tuple[int, int]) -> OrderCounts:
        orders = self._rows(
            "SELECT purpose, status, reserved_notional, filled_notional FROM orders"
            " WHERE venue = ? AND created_at_ms >= ? AND created_at_ms < ?",
            (venue, *span),
        )
        entries = [
            row for row in orders if row["purpose"] == "ENTRY" and row["status"] != "REJECTED"
        ]
        ended = ("FILLED", "CANCELED", "EXPIRED")
        fills = self._rows(
            "SELECT f.price, f.quantity, f.fee, f.fee_asset FROM fills AS f"
            " JOIN orders AS o USING (client_order_id)"
            " WHERE o.venue = ? AND f.filled_at_ms >= ? AND f.filled_at_ms < ?",
            (venue, *span),
        )
        fees: dict[str, Decimal] = {}
        for row in fills:
            fees[row["fee_asset"]] = fees.get(row["fee_asset"], ZERO) + Decimal(row["fee"])
        trades = self._rows(
            "SELECT pnl FROM trades WHERE venue = ? AND closed_at_ms >= ? AND closed_at_ms < ?",
            (venue, *span),
        )
        return OrderCounts(
            venue=venue,
            entries=len(entries),
            entry_notional=_sum(
                row["filled_notional" if row["status"] in ended else "reserved_notional"]
                for row in entries
            ),
            exits=sum(row["purpose"] != "ENTRY" for row in orders),
            fills=len(fills),
            fill_notional=sum(
                (Decimal(row["price"]) * Decimal(row["quantity"]) for row in fills), ZERO
            ),
            fees=fees,
            closed_trades=len(trades),
            profit_loss=_sum(row["pnl"] for row in trades),
        )

    def _refusals(self, span: tuple[int, int]) -> tuple[RefusalCount, ...]:
        rows = self._rows(
            "SELECT rule, count(*) AS number, max(id) AS last FROM risk_events"
            " WHERE timestamp_ms >= ? AND timestamp_ms < ? AND severity <> 'info'"
            " GROUP BY rule ORDER BY number DESC, rule",
            span,
        )
        found = []
        for row in rows:
            last = self._row("SELECT * FROM risk_events WHERE id = ?", (row["last"],))
            assert last is not None
            found.append(
                RefusalCount(
                    row["rule"], row["number"], last["limit_value"], last["value"], last["message"]
                )
            )
        return tuple(found)

    def _counts(
        self, table: str, column: str, time_column: str, span: tuple[int, int]
    ) -> dict[str, int]:
        rows = self._rows(
            f"SELECT {column} AS name, count(*) AS number FROM {table}"
            f" WHERE {time_column} >= ? AND {time_column} < ? GROUP BY {column} ORDER BY {column}",
            span,
        )
        return {row["name"]: row["number"] for row in rows}

    def _happenings(self, kind: str, span: tuple[int, int], *others: str) -> tuple[Happening, ...]:
        kinds = (kind, *others)
        rows = self._rows(
            f"SELECT * FROM audit_log WHERE kind IN ({', '.join('?' * len(kinds))})"
            " AND timestamp_ms >= ? AND timestamp_ms < ? ORDER BY seq",
            (*kinds, *span),
        )
        return tuple(
            Happening(row["timestamp"], row["subject"], row["actor"], _said(row["payload"]))
            for row in rows
        )


def _sum(texts: Iterable[str]) -> Decimal:
    return sum((Decimal(text) for text in texts), ZERO)


def _said(payload: str) -> str:
    """The one line of a payload that a reader wants."""
    values = json.loads(payload)
    if "changed" in values and isinstance(values["changed"], dict):
        return f"{len(values['changed'])} settings"
    if "from" in values:
        return f"{values['from']} → {values['to']}, epoch {values['epoch']}: {values['reason']}"
    return ", ".join(f"{name}: {value}" for name, value in values.items() if value is not None)
