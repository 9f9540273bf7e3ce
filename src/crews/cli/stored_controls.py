"""Halting and pausing where no core runs, or none answers: through the store, which cores obey."""

from __future__ import annotations

from collections.abc import Sequence

from crews.config import AppConfig
from trading.api.schemas import ControlResult
from trading.clock import SystemClock
from trading.model.breaker import Actor
from trading.model.operations import Controls
from trading.storage.control_repository import ControlRepository
from trading.storage.database import open_database


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
