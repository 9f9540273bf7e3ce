"""A bad day: which faults come, and when."""

from __future__ import annotations

from pydantic import Field

from trading.model.base import ConfigModel
from trading.simulator.server.faults import Fault, FaultKind


class TimedFault(Fault):
    """A fault, and when it comes: so many wall seconds after the server is ready."""

    at_s: float = Field(ge=0, allow_inf_nan=False, description="Wall seconds from the start on.")


class RandomFaultsConfig(ConfigModel):
    """Faults drawn with a seed: each kind comes up once before any comes up again."""

    seed: int = Field(default=1, ge=0, description="Seed of kinds, times and durations.")
    every_s: float = Field(
        default=5.0, gt=0, allow_inf_nan=False, description="Mean wall seconds between two faults."
    )
    kinds: tuple[FaultKind, ...] = Field(
        default=tuple(FaultKind), min_length=1, description="Kinds to draw from."
    )
    longest_ms: int = Field(
        default=2_000, ge=1, le=3_600_000, description="Longest duration of a fault (ms)."
    )


class FaultScheduleConfig(ConfigModel):
    """A bad day: listed faults, random ones, or both."""

    faults: tuple[TimedFault, ...] = Field(default=(), description="Faults at given times.")
    random: RandomFaultsConfig | None = Field(
        default=None, description="Faults at random times; none: only the listed ones."
    )
