"""Simulation sessions and their trades."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from decimal import Decimal

from trading.clock import iso
from trading.model.order import ZERO
from trading.storage.position_repository import ClosedTrade
from trading.storage.repository import Repository, to_text


@dataclass(frozen=True, slots=True)
class SimulationSession:
    """One run on virtual money. Balances are equities in ``quote_asset``."""

    id: int
    venue: str
    market: str
    status: str  # running, completed, interrupted
    quote_asset: str
    started_at: str
    ended_at: str | None
    virtual_balance: Decimal
    final_balance: Decimal | None  # None: still running, or it never got to its end
    total_trades: int
    winning_trades: int
    profit_loss: Decimal  # of closed trades, fees taken off
    fees: Decimal


class SimulationRepository(Repository):
    """Sessions of all venues."""

    def begin(
        self, venue: str, market: str, quote_asset: str, balance: Decimal, now_ms: int
    ) -> int:
        """A new session; whatever still counts as running on ``venue`` never got to its end."""
        self._execute(
            "UPDATE simulation_sessions SET status = 'interrupted'"
            " WHERE venue = ? AND status = 'running'",
            (venue,),
        )
        return self._insert(
            "simulation_sessions",
            {
                "venue": venue,
                "market": market,
                "status": "running",
                "quote_asset": quote_asset,
                "started_at": iso(now_ms),
                "started_at_ms": now_ms,
                "virtual_balance": to_text(balance),
            },
        )

    def running(self, venue: str) -> int | None:
        """The session on ``venue`` that has not ended."""
        row = self._row(
            "SELECT id FROM simulation_sessions WHERE venue = ? AND status = 'running'"
            " ORDER BY id DESC",
            (venue,),
        )
        return None if row is None else int(row["id"])

    def add_trade(self, session_id: int, trade: ClosedTrade) -> None:
        """Store a round trip and the session's totals. One that closes again is brought up to date.

        The caller holds a transaction.
        """
        values = {
            "session_id": session_id,
            "entry_client_order_id": trade.entry_id,
            "spike_event_id": trade.spike_id,
            "symbol": trade.symbol,
            "quantity": to_text(trade.quantity),
            "entry_price": to_text(trade.entry_price),
            "exit_price": to_text(trade.exit_price),
            "profit_loss": to_text(trade.pnl),
            "fees": to_text(trade.fees),
            "exit_reason": trade.exit_reason,
            "opened_at": iso(trade.opened_at_ms),
            "closed_at": iso(trade.closed_at_ms),
        }
        self._execute(
            "DELETE FROM simulation_trades WHERE session_id = ? AND entry_client_order_id = ?",
            (session_id, trade.entry_id),
        )
        self._insert("simulation_trades", values)
        rows = self._rows(
            "SELECT profit_loss, fees FROM simulation_trades WHERE session_id = ?", (session_id,)
        )
        profits = [Decimal(row["profit_loss"]) for row in rows]
        self._execute(
            "UPDATE simulation_sessions SET total_trades = ?, winning_trades = ?, profit_loss = ?,"
            " fees = ? WHERE id = ?",
            (
                len(rows),
                sum(profit > 0 for profit in profits),
                to_text(sum(profits, ZERO)),
                to_text(sum((Decimal(row["fees"]) for row in rows), ZERO)),
                session_id,
            ),
        )

    def end(self, session_id: int, balance: Decimal | None, now_ms: int) -> None:
        self._execute(
            "UPDATE simulation_sessions SET status = 'completed', final_balance = ?,"
            " ended_at = ?, ended_at_ms = ? WHERE id = ?",
            (to_text(balance), iso(now_ms), now_ms, session_id),
        )

    def latest(self, limit: int = 20) -> list[SimulationSession]:
        """Newest first."""
        rows = self._rows("SELECT * FROM simulation_sessions ORDER BY id DESC LIMIT ?", (limit,))
        return [_session(row) for row in rows]


def _session(row: sqlite3.Row) -> SimulationSession:
    final = row["final_balance"]
    return SimulationSession(
        id=row["id"],
        venue=row["venue"],
        market=row["market"],
        status=row["status"],
        quote_asset=row["quote_asset"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        virtual_balance=Decimal(row["virtual_balance"]),
        final_balance=None if final is None else Decimal(final),
        total_trades=row["total_trades"],
        winning_trades=row["winning_trades"],
        profit_loss=Decimal(row["profit_loss"]),
        fees=Decimal(row["fees"]),
    )
