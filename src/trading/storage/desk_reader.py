"""Reads from the store what there is to explain: one refusal, comparison, day or session.

A subject's facts are what the store has of it, and nothing that a note said of it before.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from trading.clock import DAY_MS, HOUR_MS, MINUTE_MS, from_iso, iso
from trading.errors import RecordNotFoundError
from trading.model.desk import DeskKind, DeskSubject
from trading.model.order import ZERO
from trading.model.recovery import RecoveryStatus
from trading.storage.audit_log import AuditLog
from trading.storage.day_report import DayReporter
from trading.storage.desk_errors import ErrorReader
from trading.storage.report_reader import ReportReader
from trading.storage.repository import Repository, digest_of, from_json, to_json

MOST_ROWS = 30
_FOREVER = 2**62
# Refusals of entries; other risk events belong to no spike.
REFUSED = "spike_event_id IS NOT NULL AND severity <> 'info'"
_SPIKE = """
SELECT trading_pair AS pair, spike_type AS type, direction, magnitude_percent AS magnitude_pct,
    timeframe_minutes, volume_multiplier AS volume_multiple, confidence_score AS confidence,
    pump_likelihood, isolated_share, severity
FROM spike_events WHERE id = ?
"""
_ALIKE = """
SELECT count(*) AS last_day, coalesce(sum(timestamp_ms > :hour), 0) AS last_hour,
    coalesce(sum(timestamp_ms > :hour AND symbol IS :symbol), 0) AS last_hour_same_pair
FROM risk_events WHERE rule = :rule AND timestamp_ms > :day AND timestamp_ms <= :now
"""


class DeskReader(Repository):
    """Subjects by their ids. Safe beside a running core; writes nothing."""

    def subject(
        self, kind: DeskKind, subject_id: str | None, recovery: RecoveryStatus | None = None
    ) -> DeskSubject:
        """One subject, or the newest of its kind.

        ``recovery`` is what a running core knows of failing calls, for the kind ERRORS.

        Raises:
            RecordNotFoundError: the store has none such.
        """
        match kind:
            case DeskKind.REFUSAL:
                found = self._refusal(subject_id)
            case DeskKind.RECONCILIATION:
                found = self._reconciliation(subject_id)
            case DeskKind.ERRORS:
                errors = ErrorReader(self._connection)
                found = errors.subject(self._day_start(subject_id), recovery)
            case DeskKind.DAY:
                found = self.day(self._day_start(subject_id))
            case DeskKind.SESSION:
                found = self._session(subject_id)
        if found is None:
            which = "none is recorded" if subject_id is None else f"no {subject_id!r} is recorded"
            raise RecordNotFoundError(f"{kind}: {which}")
        return found

    def day(self, start_ms: int) -> DeskSubject | None:
        """The UTC day that begins then; None when the audit log has nothing of it."""
        report = DayReporter(self._connection).report(start_ms)
        if report.first_entry is None:
            return None
        facts = from_json(to_json(asdict(report)))
        for name in ("refusals", "breaker", "operator", "configuration"):
            facts[f"{name}_count"] = len(facts[name])
            facts[name] = facts[name][-MOST_ROWS:]
        # A note is a decision, too, and must not outdate itself.
        passing = ("decisions", "first_entry", "last_entry")
        key = digest_of([to_json({k: v for k, v in facts.items() if k not in passing})])
        return DeskSubject(
            kind=DeskKind.DAY,
            id=report.day,
            key=key,
            title=f"the day {report.day}",
            at_ms=start_ms,
            facts={"day": facts},
        )

    def _refusal(self, event_id: str | None) -> DeskSubject | None:
        row = (
            self._row(f"SELECT * FROM risk_events WHERE {REFUSED} ORDER BY id DESC LIMIT 1")
            if event_id is None
            else self._row("SELECT * FROM risk_events WHERE id = ?", (_number(event_id),))
        )
        if row is None:
            return None
        at_ms = row["timestamp_ms"]
        span = {"now": at_ms, "hour": at_ms - HOUR_MS, "day": at_ms - DAY_MS}
        alike = self._row(_ALIKE, {"rule": row["rule"], "symbol": row["symbol"], **span})
        spike = self._row(_SPIKE, (row["spike_event_id"],))
        where = f" on {row['symbol']}" if row["symbol"] else ""
        return DeskSubject(
            kind=DeskKind.REFUSAL,
            id=str(row["id"]),
            key=refusal_key(row["rule"], row["symbol"]),
            title=f"{row['rule']}{where}",
            at_ms=at_ms,
            facts={
                "refusal": {
                    "at": row["timestamp"],
                    "rule": row["rule"],
                    "severity": row["severity"],
                    "pair": row["symbol"],
                    "limit": row["limit_value"],
                    "value": row["value"],
                    "message": row["message"],
                    "details": from_json(row["details"]),
                },
                "refusals_by_this_rule": _dict(alike),
                "spike": _dict(spike),
                "breaker_status": ReportReader(self._connection).breaker_status_at(at_ms + 1),
            },
        )

    def _reconciliation(self, report_id: str | None) -> DeskSubject | None:
        row = (
            self._row(
                "SELECT * FROM reconciliation_reports WHERE outcome <> 'clean'"
                " ORDER BY id DESC LIMIT 1"
            )
            if report_id is None
            else self._row(
                "SELECT * FROM reconciliation_reports WHERE id = ?", (_number(report_id),)
            )
        )
        if row is None:
            return None
        at_ms = row["compared_at_ms"]
        assets = self._rows(
            "SELECT asset, ours, external, dust, at_venue, difference, price"
            " FROM position_snapshots WHERE report_id = ? ORDER BY asset LIMIT ?",
            (row["id"], MOST_ROWS),
        )
        outcomes = self._rows(
            "SELECT outcome, count(*) AS number FROM reconciliation_reports WHERE venue = ?"
            " AND compared_at_ms > ? AND compared_at_ms <= ? GROUP BY outcome",
            (row["venue"], at_ms - DAY_MS, at_ms),
        )
        breaker = ReportReader(self._connection).breaker_status_at(at_ms + MINUTE_MS)
        return DeskSubject(
            kind=DeskKind.RECONCILIATION,
            id=str(row["id"]),
            key=str(row["id"]),
            title=f"reconciliation {row['id']}, {row['outcome']}",
            at_ms=at_ms,
            facts={
                "report": {
                    "at": row["compared_at"],
                    "venue": row["venue"],
                    "cause": row["cause"],
                    "outcome": row["outcome"],
                    "problem": row["problem"],
                    "external_orders": from_json(row["external_orders"])[:MOST_ROWS],
                    "fixed_value": row["fixed_value"],
                },
                "assets": [_dict(asset) for asset in assets],
                "outcomes_last_day": {one["outcome"]: one["number"] for one in outcomes},
                "breaker_status_a_minute_later": breaker,
            },
        )

    def _session(self, session_id: str | None) -> DeskSubject | None:
        row = (
            self._row("SELECT * FROM simulation_sessions ORDER BY id DESC LIMIT 1")
            if session_id is None
            else self._row("SELECT * FROM simulation_sessions WHERE id = ?", (_number(session_id),))
        )
        if row is None:
            return None
        span = (row["started_at_ms"], self._session_end(row))
        trades = self._rows(
            "SELECT symbol AS pair, quantity, entry_price, exit_price, profit_loss, fees,"
            " exit_reason, opened_at, closed_at FROM simulation_trades WHERE session_id = ?"
            " ORDER BY id",
            (row["id"],),
        )
        changes = ReportReader(self._connection).breaker_transitions(*span)
        left_out = ("id", "started_at_ms", "ended_at_ms")
        session = {name: value for name, value in _plain(row).items() if name not in left_out}
        return DeskSubject(
            kind=DeskKind.SESSION,
            id=str(row["id"]),
            key=f"{row['id']} {row['status']} {row['total_trades']}",
            title=f"simulation {row['id']}, {row['status']}",
            at_ms=row["started_at_ms"],
            facts={
                "session": session,
                "by_pair": _summed(trades, "pair"),
                "by_exit": _summed(trades, "exit_reason"),
                "newest_trades": [_dict(trade) for trade in trades[-MOST_ROWS:]],
                "breaker_changes": changes[-MOST_ROWS:],
                "trouble": self._trouble(span),
            },
        )

    def _session_end(self, row: sqlite3.Row) -> int:
        """When a session ended; one that was interrupted, at the latest when the next one began."""
        if row["ended_at_ms"] is not None:
            return int(row["ended_at_ms"]) + 1
        following = self._row(
            "SELECT min(started_at_ms) AS at FROM simulation_sessions WHERE venue = ? AND id > ?",
            (row["venue"], row["id"]),
        )
        return _FOREVER if following is None or following["at"] is None else int(following["at"])

    def _trouble(self, span: tuple[int, int]) -> dict[str, Any]:
        """What went wrong in a time, counted: the marks that faults leave in the store."""
        counted = {
            "risk_events": "rule FROM risk_events WHERE timestamp_ms >= ? AND timestamp_ms < ?"
            " AND severity <> 'info'",
            "reconciliations": "outcome FROM reconciliation_reports WHERE compared_at_ms >= ?"
            " AND compared_at_ms < ?",
            "failed_tools": "tool_name FROM tool_executions WHERE timestamp_ms >= ?"
            " AND timestamp_ms < ? AND NOT ok",
            "failed_agents": "agent_name FROM agent_decisions WHERE timestamp_ms >= ?"
            " AND timestamp_ms < ? AND decision IN ('failed', 'invalid output')",
            "orders": "status FROM orders WHERE created_at_ms >= ? AND created_at_ms < ?",
        }
        return {
            name: dict(Counter(row[0] for row in self._rows(f"SELECT {sql}", span)))
            for name, sql in counted.items()
        }

    def _day_start(self, day: str | None) -> int:
        """When a day of market time begins; by default that of the newest audit entry."""
        if day is None:
            newest = AuditLog(self._connection).latest(1)
            if not newest:
                raise RecordNotFoundError("the audit log is empty: there is no day to explain")
            return newest[0].time_ms - newest[0].time_ms % DAY_MS
        try:
            start_ms = from_iso(day)
        except ValueError as error:
            raise RecordNotFoundError(f"{day!r} is no day, YYYY-MM-DD") from error
        if iso(start_ms)[:10] != day:
            raise RecordNotFoundError(f"{day!r} is no day, YYYY-MM-DD")
        return start_ms


def refusal_key(rule: str, symbol: str | None) -> str:
    """Refusals of one pair by one rule are alike."""
    return f"{rule}|{symbol or ''}"


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise RecordNotFoundError(f"{text!r} is no number of a row")
    return int(text)


def _dict(row: sqlite3.Row | None) -> dict[str, Any] | None:
    return None if row is None else _plain(row)


def _plain(row: sqlite3.Row) -> dict[str, Any]:
    return dict(zip(row.keys(), row, strict=True))


def _summed(trades: list[sqlite3.Row], column: str) -> dict[str, dict[str, Any]]:
    sums: dict[str, dict[str, Any]] = {}
    for name in sorted({trade[column] for trade in trades}):
        profits = [Decimal(trade["profit_loss"]) for trade in trades if trade[column] == name]
        sums[name] = {
            "trades": len(profits),
            "won": sum(profit > 0 for profit in profits),
            "profit_loss": f"{sum(profits, ZERO):.2f}",
        }
    return sums
