"""What operators see and stop where no core answers: through the store, which cores obey."""

from __future__ import annotations

from collections.abc import Sequence

from crews.config import AppConfig
from trading.api.schemas import ControlResult
from trading.clock import SystemClock
from trading.model.breaker import Actor
from trading.model.operations import Approval, Controls
from trading.storage.approval_repository import ApprovalRepository
from trading.storage.control_repository import ControlRepository
from trading.storage.database import open_database, open_read_only


def store_controls(
    config: AppConfig, names: Sequence[str], reason: str, *, stop: bool
) -> ControlResult:
    """Put ``names`` in force, or out of it. Raises StoreError."""
    connection = open_database(config.storage, check=False)
    try:
        rows = ControlRepository(connection)
        change = rows.set if stop else rows.lift
        now_ms = SystemClock().now_ms()
        changed = [change(name, reason, now_ms, actor=Actor.OPERATOR.value) for name in names]
        return ControlResult(changed=any(changed), controls=rows.load())
    finally:
        connection.close()


def load_controls(config: AppConfig) -> Controls:
    """What the store has in force. Raises StoreError."""
    connection = open_database(config.storage, check=False)
    try:
        return ControlRepository(connection).load()
    finally:
        connection.close()


def load_approvals(config: AppConfig, limit: int) -> tuple[Approval, ...]:
    """Approvals on the configured venue, newest first, as the last core left them.

    Raises StoreError.
    """
    connection = open_read_only(config.storage)
    try:
        return ApprovalRepository(connection, config.exchange.account_name).latest(limit)
    finally:
        connection.close()
