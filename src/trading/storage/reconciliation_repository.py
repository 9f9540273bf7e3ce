"""Rows of reconciliation_reports and position_snapshots."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from typing import Any

from trading.clock import iso
from trading.model.order import ZERO
from trading.model.reconciliation import ReconciliationReport
from trading.storage.repository import Repository, from_json, to_json, to_text


class ReconciliationRepository(Repository):
    """The comparisons of one venue."""

    def __init__(self, connection: sqlite3.Connection, venue: str) -> None:
        super().__init__(connection)
        self._venue = venue

    def record(self, report: ReconciliationReport) -> int:
        """Store a comparison with what it saw; returns its id. The caller holds a transaction."""
        report_id = self._insert(
            "reconciliation_reports",
            {
                "venue": self._venue,
                "compared_at": iso(report.time_ms),
                "compared_at_ms": report.time_ms,
                "cause": report.cause,
                "outcome": report.outcome.value,
                "problem": report.problem,
                "external_orders": to_json(report.external_orders),
                "fixed_value": to_text(report.fixed_value),
                "duration_ms": report.duration_ms,
            },
        )
        for asset in report.assets:
            self._insert(
                "position_snapshots",
                {
                    "report_id": report_id,
                    "asset": asset.asset,
                    "ours": to_text(asset.ours),
                    "external": to_text(asset.external),
                    "dust": to_text(asset.dust),
                    "at_venue": to_text(asset.venue),
                    "difference": to_text(asset.difference),
                    "price": to_text(asset.price),
                },
            )
        return report_id

    def fixed_since(self, time_ms: int) -> Decimal:
        """Worth of all that was set right without asking since, in the quote asset."""
        rows = self._rows(
            "SELECT fixed_value FROM reconciliation_reports WHERE venue = ? AND compared_at_ms > ?"
            " AND outcome = 'fixed'",
            (self._venue, time_ms),
        )
        return sum((Decimal(row[0]) for row in rows), ZERO)


class ReconciliationHistory(Repository):
    """Reads the comparisons of all venues, for people."""

    def latest(self, limit: int, *, differing: bool = False) -> list[dict[str, Any]]:
        """Newest first, each with its ``assets``; ``differing`` leaves out what was clean."""
        clean = " WHERE outcome != 'clean'" if differing else ""
        rows = self._rows(
            f"SELECT * FROM reconciliation_reports{clean} ORDER BY id DESC LIMIT ?", (limit,)
        )
        reports = []
        for row in rows:
            assets = self._rows(
                "SELECT asset, ours, external, dust, at_venue, difference, price"
                " FROM position_snapshots WHERE report_id = ? ORDER BY asset",
                (row["id"],),
            )
            report = dict(row) | {"assets": [dict(asset) for asset in assets]}
            report["external_orders"] = from_json(row["external_orders"])
            reports.append(report)
        return reports
