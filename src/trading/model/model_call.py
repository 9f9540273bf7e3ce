"""What one call of a language model used, and what all of them used of late."""

from __future__ import annotations

from pydantic import Field

from trading.model.base import ValueModel


class ModelCall(ValueModel):
    """One call, as it goes into model_calls. Money is in millionths of a USD, exact.

    ``estimated``: the endpoint gave no usage, so tokens are counted as characters / 4.
    """

    crew: str
    agent_name: str
    task: str
    provider: str
    model: str
    prompt_hash: str = ""
    ok: bool
    error: str = ""
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    estimated: bool = False
    cost_micro_usd: int = Field(ge=0)
    duration_ms: float = Field(ge=0)
    spike_event_id: str | None = None


class ModelUsage(ValueModel):
    """Sums over the wall clock's last 60 minutes and 24 hours, all processes on the store."""

    hour_tokens: int = Field(default=0, ge=0)
    hour_micro_usd: int = Field(default=0, ge=0)
    day_tokens: int = Field(default=0, ge=0)
    day_micro_usd: int = Field(default=0, ge=0)
