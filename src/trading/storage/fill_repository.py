"""Executions of our orders, as the journal keeps them."""

from __future__ import annotations

from decimal import Decimal

from trading.clock import iso
from trading.model.order import Fill, Side
from trading.storage.audit_log import append_audit
from trading.storage.database import atomically
from trading.storage.repository import Repository, to_text


class FillRepository(Repository):
    """Executions, each stored once."""

    def add(self, fill: Fill) -> None:
        """Store ``fill``; one that is there already is left alone."""
        values = (
            fill.client_order_id,
            fill.trade_id,
            fill.symbol,
            fill.side.value,
            to_text(fill.price),
            to_text(fill.quantity),
            to_text(fill.fee),
            fill.fee_asset,
            int(fill.is_maker),
            iso(fill.time_ms),
            fill.time_ms,
        )
        with atomically(self._connection, f"a fill of order {fill.client_order_id}"):
            cursor = self._execute(
                "INSERT OR IGNORE INTO fills (client_order_id, trade_id, symbol, side, price,"
                " quantity, fee, fee_asset, is_maker, filled_at, filled_at_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            if cursor.rowcount == 1:
                payload = {
                    "trade": fill.trade_id,
                    "symbol": fill.symbol,
                    "side": fill.side.value,
                    "price": fill.price,
                    "quantity": fill.quantity,
                    "fee": fill.fee,
                    "fee_asset": fill.fee_asset,
                }
                append_audit(
                    self._connection,
                    "fill",
                    fill.client_order_id,
                    payload,
                    fill.time_ms,
                    actor="venue",
                )

    def of_order(self, client_order_id: str) -> list[Fill]:
        rows = self._rows(
            "SELECT * FROM fills WHERE client_order_id = ? ORDER BY filled_at_ms, rowid",
            (client_order_id,),
        )
        return [
            Fill(
                trade_id=row["trade_id"],
                client_order_id=row["client_order_id"],
                symbol=row["symbol"],
                side=Side(row["side"]),
                price=Decimal(row["price"]),
                quantity=Decimal(row["quantity"]),
                fee=Decimal(row["fee"]),
                fee_asset=row["fee_asset"],
                is_maker=bool(row["is_maker"]),
                time_ms=row["filled_at_ms"],
            )
            for row in rows
        ]
