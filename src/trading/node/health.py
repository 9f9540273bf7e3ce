"""What ``status`` shows of each part of the core, and of the crews."""

from __future__ import annotations

from trading.api.schemas import ComponentHealth
from trading.node.parts import CoreParts

WORKER_LOST_AFTER_MS = 5_000


def components_of(parts: CoreParts, monotonic_ms: int) -> tuple[ComponentHealth, ...]:
    """The core's parts first, then the crew workers."""
    snapshot = parts.guard.snapshot
    unknown = parts.execution.unknown_orders
    core: tuple[ComponentHealth, ...] = (
        ComponentHealth(
            name="feed",
            ok=snapshot is not None and snapshot.healthy,
            detail=snapshot.problem if snapshot else "",
            starting=snapshot is None,
            age_ms=parts.market.feed_age_ms,
        ),
        ComponentHealth(
            name="orders",
            ok=unknown == 0,
            detail=f"{unknown} of unknown outcome" if unknown else "",
        ),
        ComponentHealth(
            name="books",
            ok=parts.execution.reconciled,
            detail=parts.execution.operations.books_objection(),
        ),
    )
    if parts.records.problem:
        core += (ComponentHealth(name="records", ok=False, detail=parts.records.problem),)
    if parts.fleet is not None:
        objection = parts.fleet.clearance()
        core += (ComponentHealth(name="fleet", ok=objection is None, detail=objection or ""),)
    core += _stopped(parts)
    core += tuple(
        ComponentHealth(name=f"notify {one.name}", ok=one.ok, detail=one.detail)
        for one in parts.notifier.health
    )
    if not parts.config.circuit_breaker.enabled:
        off = ComponentHealth(name="breaker", ok=False, detail="OFF: nothing halts trading")
        core = (off, *core)
    return core + parts.board.workers(
        monotonic_ms, WORKER_LOST_AFTER_MS, expected=parts.config.crews_expected
    )


def _stopped(parts: CoreParts) -> tuple[ComponentHealth, ...]:
    """What an operator has halted or paused."""
    return tuple(
        ComponentHealth(
            name=control.agent or control.name,
            ok=False,
            detail=f"{'paused' if control.agent else 'halted'} by {control.actor}: "
            f"{control.reason}",
        )
        for control in parts.execution.operations.controls().active
    )
