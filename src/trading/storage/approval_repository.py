"""Entries that wait for a person, and what the person said."""

from __future__ import annotations

import sqlite3
from decimal import Decimal

from trading.clock import iso
from trading.errors import StoreError
from trading.model.decision import ProposalResult, TradeProposal
from trading.model.operations import Approval, ApprovalStatus
from trading.storage.audit_log import append_audit
from trading.storage.database import transaction
from trading.storage.order_repository import OrderRecord
from trading.storage.repository import Repository, digest_of, to_text

ASKED_COLUMNS = (
    "venue",
    "intent_hash",
    "spike_event_id",
    "symbol",
    "quantity",
    "limit_price",
    "notional",
    "last_price",
    "proposal",
    "requested_at_ms",
    "expires_at_ms",
)
"""What was asked. The audit log has their digest: no later step changes them."""


class ApprovalRepository(Repository):
    """The approvals of one venue; every step is an entry of the audit log, too."""

    def __init__(self, connection: sqlite3.Connection, venue: str) -> None:
        super().__init__(connection)
        self._venue = venue

    def ask(
        self,
        proposal: TradeProposal,
        record: OrderRecord,
        last_price: Decimal,
        expires_at_ms: int,
        now_ms: int,
    ) -> Approval:
        """A new one, for the order of ``record``. Raises StoreError when there is one."""
        request = record.request
        values = {
            "venue": self._venue,
            "intent_hash": record.intent_hash,
            "spike_event_id": record.spike_id,
            "status": ApprovalStatus.PENDING.value,
            "symbol": record.symbol,
            "quantity": to_text(request.quantity),
            "limit_price": to_text(request.limit_price),
            "notional": to_text(record.reserved_notional),
            "last_price": to_text(last_price),
            "proposal": proposal.model_dump_json(),
            "requested_at": iso(now_ms),
            "requested_at_ms": now_ms,
            "expires_at": iso(expires_at_ms),
            "expires_at_ms": expires_at_ms,
        }
        with transaction(self._connection, "asking for an approval"):
            approval_id = self._insert("approvals", values)
            payload = {
                "status": ApprovalStatus.PENDING.value,
                "symbol": record.symbol,
                "quantity": request.quantity,
                "limit_price": request.limit_price,
                "spike": record.spike_id,
                "expires_at_ms": expires_at_ms,
                "sha256": digest_of(values[column] for column in ASKED_COLUMNS),
            }
            append_audit(self._connection, "approval", str(approval_id), payload, now_ms)
        return self.require(approval_id)

    def decide(
        self, approval_id: int, status: ApprovalStatus, reason: str, now_ms: int, *, actor: str
    ) -> Approval:
        """A pending one's fate. Raises StoreError when it is decided already."""
        with transaction(self._connection, "deciding an approval"):
            cursor = self._execute(
                "UPDATE approvals SET status = ?, reason = ?, decided_at = ?, decided_at_ms = ?"
                " WHERE id = ? AND venue = ? AND status = 'pending'",
                (status.value, reason, iso(now_ms), now_ms, approval_id, self._venue),
            )
            if cursor.rowcount != 1:
                raise StoreError(f"approval {approval_id} is not pending")
            payload = {"status": status.value, "reason": reason, "decided_at_ms": now_ms}
            append_audit(
                self._connection, "approval", str(approval_id), payload, now_ms, actor=actor
            )
        return self.require(approval_id)

    def note_result(self, approval_id: int, result: ProposalResult, now_ms: int) -> Approval:
        """What became of the approved order."""
        text = result.model_dump_json()
        with transaction(self._connection, "noting what became of an approval"):
            self._execute("UPDATE approvals SET result = ? WHERE id = ?", (text, approval_id))
            payload = {
                "outcome": result.outcome.value,
                "rule": result.rule,
                "order": result.client_order_id,
                "result_sha256": digest_of((text,)),
            }
            append_audit(self._connection, "approval", str(approval_id), payload, now_ms)
        return self.require(approval_id)

    def get(self, approval_id: int) -> Approval | None:
        row = self._row(
            "SELECT * FROM approvals WHERE id = ? AND venue = ?", (approval_id, self._venue)
        )
        return _approval(row) if row is not None else None

    def require(self, approval_id: int) -> Approval:
        approval = self.get(approval_id)
        if approval is None:
            raise StoreError(f"there is no approval {approval_id}")
        return approval

    def of_intent(self, intent_hash: str) -> Approval | None:
        row = self._row("SELECT * FROM approvals WHERE intent_hash = ?", (intent_hash,))
        return _approval(row) if row is not None else None

    def pending(self) -> tuple[Approval, ...]:
        """Oldest first."""
        rows = self._rows(
            "SELECT * FROM approvals WHERE venue = ? AND status = 'pending' ORDER BY id",
            (self._venue,),
        )
        return tuple(_approval(row) for row in rows)

    def latest(self, limit: int) -> tuple[Approval, ...]:
        """Newest first."""
        rows = self._rows(
            "SELECT * FROM approvals WHERE venue = ? ORDER BY id DESC LIMIT ?",
            (self._venue, limit),
        )
        return tuple(_approval(row) for row in rows)


def _approval(row: sqlite3.Row) -> Approval:
    result = row["result"]
    return Approval(
        id=row["id"],
        status=ApprovalStatus(row["status"]),
        symbol=row["symbol"],
        quantity=Decimal(row["quantity"]),
        limit_price=Decimal(row["limit_price"]),
        notional=Decimal(row["notional"]),
        last_price=Decimal(row["last_price"]),
        proposal=TradeProposal.model_validate_json(row["proposal"]),
        requested_at_ms=row["requested_at_ms"],
        expires_at_ms=row["expires_at_ms"],
        decided_at_ms=row["decided_at_ms"],
        reason=row["reason"],
        result=ProposalResult.model_validate_json(result) if result is not None else None,
    )
