"""How well the program gets over failures of what it depends on."""

from __future__ import annotations

from enum import StrEnum

from trading.model.base import ValueModel


class ServiceLevel(StrEnum):
    """What still works, from everything to nothing."""

    FULL = "full"
    NO_NEW_ENTRIES = "no new entries"  # positions are watched and left as ever
    GUARDIAN_ONLY = "guardian only"  # the market is watched; the order path cannot act
    HALTED = "halted"


class DependencyHealth(ValueModel):
    """One dependency since the start. ``failures`` counts attempts, ``calls`` what came of them."""

    name: str
    ok: bool
    calls: int
    failures: int
    last_error: str


class ErrorPattern(ValueModel):
    """Errors alike, and what a person may look at."""

    service: str
    kind: str
    code: int | None
    count: int
    last_at_ms: int
    last_message: str
    suggestion: str


class RecoveryStatus(ValueModel):
    """Calls that failed at first: how many came right by repeating, how many were given up.

    ``recovery_rate`` is the share that came right; None before the first failure.
    """

    recovered: int = 0
    given_up: int = 0
    recovery_rate: float | None = None
    services: tuple[DependencyHealth, ...] = ()
    patterns: tuple[ErrorPattern, ...] = ()
