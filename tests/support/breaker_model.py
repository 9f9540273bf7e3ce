"""The circuit breaker as its design's table says it, plainly: the judge of the real one.

It shares no code with ``trading.risk``: names of states and actors are plain text, times are
minutes. Every method makes what the table allows and says whether it was allowed.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

DAY = 24 * 60.0
COOLDOWN, LONGEST_COOLDOWN, LLM_ALONE = 15.0, 240.0, 15.0
EASING, STAGE = 5.0, 10.0
TRIPS_TO_LATCH = 3
STAGE_SIZES = (0.0, 0.10, 0.25, 0.50)


@dataclass(frozen=True)
class Facts:
    """What the rules are told. ``worst`` is the worst metric's share of its hard limit."""

    worst: float = 0.1
    sound: bool = True  # the data can be trusted
    settled: bool = True  # no unknown order, clean books, nobody else halts
    at_rest: bool = True  # the trip has come to rest
    falling: bool = False  # a further fall within 30 minutes
    volume: bool = True

    @property
    def breaks_a_recovery(self) -> bool:
        return not self.sound or self.worst >= 1 or self.falling

    @property
    def calm(self) -> bool:
        return self.sound and self.worst <= 0.4


@dataclass
class Model:
    """State of one store and of the one core that runs on it."""

    now: float = 0.0
    status: str = "SAFE"
    epoch: int = 0
    latched: bool = False
    stage: int = 0
    until: float = 0.0  # end of the cool-down
    stage_since: float = 0.0
    by_model_only: bool = False
    tripped_at: float = 0.0
    counted: list[float] = field(default_factory=list)
    # Known to the running core alone.
    calm_since: float | None = None
    facts: tuple[Facts, int] | None = None  # and the epoch they were gathered under
    stored: Model | None = None  # the last stored state, where a trip is in memory only
    retry_at: float = 0.0

    @property
    def size(self) -> float:
        if self.status == "RECOVERING":
            return STAGE_SIZES[self.stage]
        return {"SAFE": 1.0, "WARNING": 0.5, "TRIGGERED": 0.0}[self.status]

    @property
    def halted(self) -> bool:
        return self.status in ("TRIGGERED", "RECOVERING")

    # Tightening: anybody.

    def trip(self, actor: str, *, latch: bool = False) -> None:
        self.counted = [at for at in self.counted if self.now - at < DAY]
        again = self.status == "TRIGGERED"
        if not again:
            self.tripped_at = self.now
        model = actor == "llm"
        confirmed = again and any(at >= self.tripped_at for at in self.counted)
        if not model and not confirmed:
            self.counted.append(self.now)
            self.latched = self.latched or len(self.counted) >= TRIPS_TO_LATCH
        self.latched = self.latched or latch or actor == "operator"
        if not model:
            length = min(COOLDOWN * 2 ** (len(self.counted) - 1), LONGEST_COOLDOWN)
            self.until = max(self.until if again else 0, self.now + length)
        elif not again:
            self.until = self.now + LLM_ALONE
        self.by_model_only = model and (self.by_model_only or not self.halted)
        self.status, self.stage, self.epoch = "TRIGGERED", 0, self.epoch + 1

    def warn(self) -> bool:
        self.calm_since = None
        if self.halted:
            return False
        self.status = "WARNING"
        return True

    # Easing: a rule when the facts allow it, an operator with the current epoch.

    def recover(self, actor: str, epoch: int) -> bool:
        if actor not in ("rule", "operator") or epoch != self.epoch or not self.may_recover(actor):
            return False
        self.status, self.stage, self.stage_since = "RECOVERING", 0, self.now
        return True

    def may_recover(self, actor: str) -> bool:
        if self.status != "TRIGGERED" or self.latched or self.now < self.until or not self.facts:
            return False
        facts, epoch = self.facts
        if not (facts.sound and facts.settled and facts.at_rest and facts.worst < 1):
            return False
        if epoch != self.epoch:  # it is another trip that came to rest
            return False
        market_is_fine = facts.volume and not facts.falling
        return market_is_fine or actor == "operator" or self.by_model_only

    def clear(self, actor: str, epoch: int, force: bool) -> bool:
        if epoch != self.epoch:
            return False
        if actor == "operator" and force and self.status != "SAFE":
            self.safe()
        elif actor == "operator" and not force and self.status == "TRIGGERED" and self.latched:
            self.latched = False
        elif actor == "rule" and not force and self.stage == 3 and self.stage_is_over:
            self.safe()
        else:
            return False
        return True

    def safe(self) -> None:
        self.status, self.stage, self.latched, self.by_model_only = "SAFE", 0, False, False

    @property
    def stage_is_over(self) -> bool:
        return self.status == "RECOVERING" and self.now - self.stage_since >= STAGE

    # Time.

    def learn(self, facts: Facts) -> None:
        """The facts of now, before the rules judge by them."""
        self.facts = (facts, self.epoch)

    def judge(self) -> str | None:
        """What the facts and the time make due: "trip", the name of a step, or None."""
        assert self.facts is not None
        facts, _ = self.facts
        if self.status == "RECOVERING" and facts.breaks_a_recovery:
            return "trip"
        if not facts.calm:
            self.calm_since = None
        elif self.calm_since is None:
            self.calm_since = self.now
        if self.status == "SAFE":
            return "warn" if facts.worst >= 0.6 else None
        if self.status == "WARNING":
            calm = self.calm_since is not None and self.now - self.calm_since >= EASING
            return "ease" if calm else None
        if self.status == "TRIGGERED":
            return "recover" if self.may_recover("rule") else None
        return "stage" if self.stage_is_over else None

    def do(self, due: str | None) -> None:
        if due == "trip":
            self.trip("rule")
        elif due == "warn":
            self.status = "WARNING"
        elif due == "ease" or (due == "stage" and self.stage == 3):
            self.safe()
        elif due == "recover":
            self.recover("rule", self.epoch)
        elif due == "stage":
            self.stage, self.stage_since = self.stage + 1, self.now

    # A store that fails, and a restart.

    def hold(self, *, before: Model) -> None:
        """The trip that was just made is in memory only; ``before`` is what the store has."""
        self.latched = True
        self.stored = before.stored or before

    def lose_the_store(self) -> None:
        """A step that cannot be stored is a trip with the latch, once."""
        if self.status == "TRIGGERED" and self.latched:
            return
        before = copy.deepcopy(self)
        self.trip("system", latch=True)
        self.hold(before=before)

    def restart(self) -> None:
        """What was in force goes on; a trip that only memory held comes back with the latch."""
        if self.stored is not None:
            now, epoch = self.now, self.epoch
            self.__dict__.update(copy.deepcopy(self.stored).__dict__)
            self.now, self.stored = now, None
            self.trip("system", latch=True)
            self.epoch = epoch
        self.calm_since, self.facts, self.retry_at = None, None, 0.0

    def as_seen(self) -> dict[str, Any]:
        """What must be the same of the real one."""
        seen: dict[str, Any] = {
            "status": self.status,
            "epoch": self.epoch,
            "stage": self.stage,
            "latch": "MANUAL" if self.latched else "NONE",
            "size": self.size,
        }
        if self.status == "TRIGGERED":
            seen["until"] = self.until
        return seen
