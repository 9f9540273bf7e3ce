"""What the core can still do, as one of four levels."""

from __future__ import annotations

from trading.model.breaker import BreakerStatus
from trading.model.recovery import ServiceLevel
from trading.node.parts import CoreParts


def service_level(parts: CoreParts) -> tuple[ServiceLevel, str]:
    """The level, and why it is not a better one. Worse reasons come first."""
    snapshot = parts.breaker.snapshot
    if snapshot.status is BreakerStatus.TRIGGERED and parts.breaker.enforcing:
        return ServiceLevel.HALTED, snapshot.reason
    objection = parts.recovery.objection() if parts.recovery is not None else None
    if objection is not None:
        return ServiceLevel.GUARDIAN_ONLY, objection
    if not parts.guard.data_is_fresh():
        return ServiceLevel.NO_NEW_ENTRIES, "market data is not fresh"
    if parts.breaker.entries_blocked:
        return ServiceLevel.NO_NEW_ENTRIES, f"the breaker is {snapshot.status}"
    if parts.fleet is not None and (foreign := parts.fleet.clearance()) is not None:
        return ServiceLevel.NO_NEW_ENTRIES, foreign
    controls = parts.execution.operations.controls()
    if controls.entries_halted:
        return ServiceLevel.NO_NEW_ENTRIES, "an operator has halted entries"
    if (paused := controls.paused_link) is not None:
        return ServiceLevel.NO_NEW_ENTRIES, f"an operator has paused {paused.agent}"
    return ServiceLevel.FULL, ""
