"""Market time of a venue whose clock is not the wall's, as one process tells it to another."""

from __future__ import annotations

from pydantic import Field

from trading.model.base import ValueModel


class ClockSettings(ValueModel):
    """From when on, and how fast: what a ``ScaledClock`` needs."""

    start_ms: int
    speed: float = Field(ge=0)  # 0: paused
    anchor_monotonic_ns: int
