"""Rows of risk_events: refusals of limits and everything else a risk officer wants to see."""

from __future__ import annotations

import sqlite3
from typing import Any, Literal

from trading.clock import iso
from trading.storage.audit_log import append_audit
from trading.storage.database import atomically
from trading.storage.repository import Repository, to_json

Severity = Literal["info", "notice", "warning", "critical"]

ACCOUNT_FORGOTTEN = "account_forgotten"  # the venue's account is a new one


class RiskEventRepository(Repository):
    """Writes and reads risk_events."""

    def record(
        self,
        rule: str,
        message: str,
        now_ms: int,
        *,
        severity: Severity = "notice",
        symbol: str | None = None,
        limit: str | None = None,
        value: str | None = None,
        details: dict[str, Any] | None = None,
        client_order_id: str | None = None,
        spike_event_id: str | None = None,
        breaker_epoch: int | None = None,
    ) -> int:
        """Add one event; ``limit`` and ``value`` are what ``rule`` compared, as text."""
        values = {
            "timestamp": iso(now_ms),
            "timestamp_ms": now_ms,
            "rule": rule,
            "severity": severity,
            "symbol": symbol,
            "limit_value": limit,
            "value": value,
            "message": message,
            "details": to_json(details) if details is not None else None,
            "client_order_id": client_order_id,
            "spike_event_id": spike_event_id,
            "breaker_epoch": breaker_epoch,
        }
        with atomically(self._connection, "recording a risk event"):
            event_id = self._insert("risk_events", values)
            payload = {
                "event": event_id,
                "severity": severity,
                "symbol": symbol,
                "limit": limit,
                "value": value,
                "message": message,
                "spike": spike_event_id,
            }
            append_audit(self._connection, "risk", rule, payload, now_ms)
        return event_id

    def latest(self, limit: int = 50, rule: str | None = None) -> list[sqlite3.Row]:
        """The newest events, newest first; of one rule where named."""
        return self._rows(
            "SELECT * FROM risk_events WHERE :rule IS NULL OR rule = :rule"
            " ORDER BY id DESC LIMIT :limit",
            {"rule": rule, "limit": limit},
        )
