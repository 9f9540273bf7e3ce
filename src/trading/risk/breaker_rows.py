"""What the store says of the breaker, read over any connection, also one that cannot write."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from trading.errors import StoreCorruptError
from trading.model.breaker import Actor, BreakerStatus, Latch
from trading.risk.breaker_state import BreakerState
from trading.storage.breaker_event_repository import BreakerEventRepository
from trading.storage.database import translated_errors
from trading.storage.repository import from_json


class BreakerRows:
    """The breaker's state row and its events. Not thread-safe."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.events = BreakerEventRepository(connection)

    def load(self) -> BreakerState:
        """The stored state.

        Raises:
            StoreCorruptError: the row is missing or makes no sense.
            StoreError: it cannot be read.
        """
        state = self._read_state()
        if state is None:
            raise StoreCorruptError("the store has no breaker state")
        return state

    def quiescent_at_ms(self, event_id: int) -> int | None:
        """When the episode's newest trip came to rest; None when it has not. Raises StoreError."""
        row = self.events.latest_trip(event_id)
        return None if row is None else row["quiescent_at_ms"]

    def pending_entries(self) -> tuple[str, ...]:
        """Client order ids of entries, of any venue, that were journalled and not answered yet."""
        with translated_errors("reading the orders on their way"):
            rows = self._connection.execute(
                "SELECT client_order_id FROM orders WHERE purpose = 'ENTRY' AND status = 'PENDING'"
            ).fetchall()
        return tuple(row["client_order_id"] for row in rows)

    def trip_record(self, event_id: int) -> dict[str, Any]:
        """Rule, details and market of the episode's newest trip. Raises StoreError."""
        row = self.events.latest_trip(event_id)
        if row is None:
            return {}
        return {
            "rule": row["rule"],
            "details": from_json(row["trigger_details"]),
            "market_snapshot": from_json(row["market_snapshot"]),
        }

    def _read_state(self) -> BreakerState | None:
        with translated_errors("reading the breaker state", self._connection):
            row = self._connection.execute("SELECT * FROM breaker_state WHERE id = 1").fetchone()
        if row is None:
            return None
        try:
            return BreakerState(
                status=BreakerStatus(row["status"]),
                epoch=row["epoch"],
                latch=Latch(row["latch"]),
                changed_at_ms=row["changed_at_ms"],
                stage=row["stage"],
                causes=tuple(json.loads(row["causes"])),
                reason=row["reason"],
                actor=Actor(row["actor"]),
                triggered_at_ms=row["triggered_at_ms"],
                cooldown_until_ms=row["cooldown_until_ms"],
                stage_entered_at_ms=row["stage_entered_at_ms"],
                llm_only=bool(row["llm_only"]),
                trip_times_ms=tuple(json.loads(row["trip_times_ms"])),
                event_id=row["event_id"],
                revision=row["revision"],
            )
        except (ValueError, TypeError) as error:
            raise StoreCorruptError(f"the stored breaker state makes no sense: {error}") from error
