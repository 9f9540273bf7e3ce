"""Rows of tool_executions: every call of every tool."""

from __future__ import annotations

import sqlite3

from trading.clock import iso
from trading.model.decision import ToolExecution
from trading.storage.repository import Repository, to_json


class ToolExecutionRepository(Repository):
    """Writes and reads tool_executions."""

    def record(self, execution: ToolExecution, now_ms: int) -> int:
        """Add one call; returns its id."""
        return self._insert(
            "tool_executions",
            {
                "timestamp": iso(now_ms),
                "timestamp_ms": now_ms,
                "tool_name": execution.tool_name,
                "agent_name": execution.agent_name,
                "tool_class": execution.tool_class,
                "arguments": to_json(execution.arguments),
                "result": to_json(execution.result),
                "ok": int(execution.ok),
                "breaker_status": execution.breaker_status,
                "breaker_epoch": execution.breaker_epoch,
                "execution_time_ms": execution.execution_time_ms,
                "spike_event_id": execution.spike_event_id,
            },
        )

    def latest(self, limit: int = 50, tool_name: str | None = None) -> list[sqlite3.Row]:
        """The newest calls, newest first; of one tool where named."""
        return self._rows(
            "SELECT * FROM tool_executions WHERE :tool IS NULL OR tool_name = :tool"
            " ORDER BY id DESC LIMIT :limit",
            {"tool": tool_name, "limit": limit},
        )
