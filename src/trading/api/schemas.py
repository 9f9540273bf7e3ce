"""Bodies of the control API: described once, used by the app, the clients and the screens."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from trading.model.base import ValueModel
from trading.model.breaker import Actor, BreakerSnapshot
from trading.model.breaker import BreakerStatistics as BreakerStatistics
from trading.model.breaker import RecoveryConditions as RecoveryConditions
from trading.model.metrics import MarketSnapshot
from trading.model.operations import Approval, Controls
from trading.model.portfolio import Portfolio as Portfolio
from trading.model.recovery import RecoveryStatus, ServiceLevel
from trading.model.spike import Spike, SpikeStatus

LONGEST_REASON = 500
NO_REASON = "no reason given"


def one_line(text: str) -> str:
    """``text`` as one line that can be stored and shown: no control characters, no half ones."""
    whole = text.encode(errors="replace").decode()
    return " ".join("".join(c if c.isprintable() else " " for c in whole).split())


def _whole(text: object) -> object:
    return one_line(text) if isinstance(text, str) else text


def _usable(text: object) -> object:
    return (one_line(text)[:LONGEST_REASON] or NO_REASON) if isinstance(text, str) else text


AgentName = Annotated[str, Field(pattern=r"^[a-z][a-z_]{1,40}$")]
# Of commands that ease: a reason is asked for, so an empty or endless one is refused.
Reason = Annotated[str, BeforeValidator(_whole), Field(min_length=1, max_length=LONGEST_REASON)]
# Of commands that tighten: whatever was written, the halt does not wait for a better text.
AnyReason = Annotated[str, BeforeValidator(_usable)]


class TripCommand(ValueModel):
    reason: AnyReason
    actor: Actor = Actor.OPERATOR
    rule: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class WarnCommand(ValueModel):
    reason: AnyReason
    actor: Actor = Actor.OPERATOR
    details: dict[str, Any] = Field(default_factory=dict)


class RecoverCommand(ValueModel):
    """TRIGGERED → RECOVERING. ``epoch`` must echo the current one for an operator."""

    reason: Reason
    actor: Actor = Actor.OPERATOR
    epoch: int | None = None


class ClearCommand(ValueModel):
    """→ SAFE, or only the latch. ``force`` is an operator's recorded override; ``false_alarm`` says
    that the trip should not have been."""

    reason: Reason
    actor: Actor = Actor.OPERATOR
    epoch: int
    force: bool = False
    false_alarm: bool = False


class BreakerView(ValueModel):
    """The breaker with what an operator needs to decide."""

    snapshot: BreakerSnapshot
    market: MarketSnapshot | None = None
    blockers: tuple[str, ...] = ()  # why recovery cannot start yet
    quiescent_at_ms: int | None = None  # when the latest trip came to rest; None: not yet
    running: bool = True  # False when read from the store with no core running


NOT_ENFORCED = (
    "NOT halted: the breaker is switched off (circuit_breaker.enabled: false); "
    "the trip is recorded and trading goes on"
)


class CommandResult(ValueModel):
    """Answer to a breaker command."""

    applied: bool
    message: str
    snapshot: BreakerSnapshot
    in_flight: tuple[str, ...] = ()


class SpikeView(ValueModel):
    spike: Spike
    status: SpikeStatus
    note: str = ""


class ActivityEntry(ValueModel):
    """One line of the activity feed."""

    time_ms: int
    source: str  # "guardian", "spike_crew", "breaker", "orders", "core", …
    text: str
    level: str = "info"  # info, notice, warning, critical


STARTING = "starting"  # what a worker says of itself before it works


class ComponentHealth(ValueModel):
    """How one part is: ``ok`` whether it works; ``starting``, it has not begun to and is not late,
    so that there is nothing to mend."""

    name: str
    ok: bool
    detail: str = ""
    age_ms: int | None = None
    starting: bool = False


class CoreStatus(ValueModel):
    """Everything the terminal view shows."""

    time_ms: int
    venue: str
    dry_run: bool
    account: str
    process_id: int
    started_at_ms: int
    breaker: BreakerView
    portfolio: Portfolio | None
    spikes: tuple[SpikeView, ...]
    activity: tuple[ActivityEntry, ...]
    components: tuple[ComponentHealth, ...]
    counters: dict[str, int]
    level: ServiceLevel = ServiceLevel.FULL
    level_reason: str = ""  # why it is not full
    recovery: RecoveryStatus = RecoveryStatus()
    approvals: tuple[Approval, ...] = ()  # that wait for a person, oldest first


class WorkerFailure(ValueModel):
    """A worker that whoever starts it will not start again."""

    worker: str
    reason: AnyReason


class OperatorCommand(ValueModel):
    """A word of the operator's that tightens, or closes."""

    reason: AnyReason


class ResumeCommand(ValueModel):
    """A word of the operator's that lets go on what was stopped, or lets an entry out."""

    reason: Reason


class PauseAgentsCommand(ValueModel):
    agents: tuple[AgentName, ...] = Field(min_length=1)
    reason: AnyReason


class ResumeAgentsCommand(ValueModel):
    agents: tuple[AgentName, ...] = Field(min_length=1)
    reason: Reason


class ControlResult(ValueModel):
    """Answer to a command that stops or resumes something."""

    changed: bool  # False: it was so before
    controls: Controls


class SpikeClaim(ValueModel):
    """A spike handed to one worker, with what the run needs from the start."""

    spike: Spike
    deadline_ms: int
    epoch: int
    now_ms: int
