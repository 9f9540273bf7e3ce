"""Rows of model_calls: what every call of a language model used."""

from __future__ import annotations

from trading.clock import MINUTE_MS, iso
from trading.model.model_call import ModelCall, ModelUsage
from trading.storage.repository import Repository

_HOUR_MS = 60 * MINUTE_MS
_DAY_MS = 24 * _HOUR_MS

_SUMS = """
SELECT
    coalesce(sum(CASE WHEN timestamp_ms > :hour THEN input_tokens + output_tokens END), 0),
    coalesce(sum(CASE WHEN timestamp_ms > :hour THEN cost_micro_usd END), 0),
    coalesce(sum(input_tokens + output_tokens), 0),
    coalesce(sum(cost_micro_usd), 0)
FROM model_calls WHERE timestamp_ms > :day
"""


class ModelCallRepository(Repository):
    """Writes and sums model_calls. Times are wall time: money is spent by the wall's clock."""

    def record(self, call: ModelCall, wall_ms: int) -> None:
        """Add one call."""
        self._insert(
            "model_calls",
            {
                "timestamp": iso(wall_ms),
                "timestamp_ms": wall_ms,
                "crew": call.crew,
                "agent_name": call.agent_name,
                "task": call.task,
                "provider": call.provider,
                "model": call.model,
                "prompt_hash": call.prompt_hash,
                "ok": int(call.ok),
                "error": call.error,
                "input_tokens": call.input_tokens,
                "output_tokens": call.output_tokens,
                "estimated": int(call.estimated),
                "cost_micro_usd": call.cost_micro_usd,
                "duration_ms": call.duration_ms,
                "spike_event_id": call.spike_event_id,
            },
        )

    def usage(self, wall_ms: int) -> ModelUsage:
        """Sums up to ``wall_ms``."""
        row = self._rows(_SUMS, {"hour": wall_ms - _HOUR_MS, "day": wall_ms - _DAY_MS})[0]
        return ModelUsage(
            hour_tokens=row[0], hour_micro_usd=row[1], day_tokens=row[2], day_micro_usd=row[3]
        )
