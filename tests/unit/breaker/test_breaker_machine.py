"""The breaker against a plain model of its promises, driven by Hypothesis.

The model is written from the table of the design, not from the code: it knows status, epoch,
latch, stage and cool-down, and says for every call what must happen or be refused.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from trading.clock import VirtualClock
from trading.errors import BreakerError, StaleEpochError
from trading.model.breaker import Actor, BreakerSnapshot
from trading.model.metrics import MarketSnapshot, Metric
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_state import RecoveryInputs
from trading.risk.breaker_store import BreakerStore, create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.config import StorageConfig

START_MS = 1_760_000_000_000
MINUTE = 60_000
DAY = 24 * 60 * MINUTE
CONFIG = CircuitBreakerConfig()


@dataclass
class Model:
    now: int = START_MS
    status: str = "SAFE"
    epoch: int = 0
    manual: bool = False
    stage: int = 0
    until: int = 0
    stage_since: int = 0
    by_model_only: bool = False
    triggered_at: int = 0
    counted: list[int] = field(default_factory=list)
    calm_since: int | None = None

    @property
    def size(self) -> float:
        if self.status == "RECOVERING":
            return (0.0, 0.10, 0.25, 0.50)[self.stage]
        return {"SAFE": 1.0, "WARNING": 0.5, "TRIGGERED": 0.0}[self.status]

    def trip(self, actor: Actor) -> None:
        self.counted = [time for time in self.counted if self.now - time < DAY]
        halted = self.status == "TRIGGERED"
        model = actor is Actor.LLM
        if not halted:
            self.triggered_at = self.now
        if not model and (not halted or all(at < self.triggered_at for at in self.counted)):
            self.counted.append(self.now)
            self.manual = self.manual or len(self.counted) >= 3
        if actor is Actor.OPERATOR:
            self.manual = True
        length = min(15 * 2 ** (len(self.counted) - 1), 240)
        if model:
            length = 0 if halted else 15
        self.until = max(self.until if halted else 0, self.now + length * MINUTE * (length > 0))
        self.by_model_only = model and (self.by_model_only or self.status in ("SAFE", "WARNING"))
        self.status, self.stage, self.epoch = "TRIGGERED", 0, self.epoch + 1

    def safe(self) -> None:
        self.status, self.stage, self.manual, self.by_model_only = "SAFE", 0, False, False

    def may_recover(self, actor: Actor, fine: bool) -> bool:
        return self.status == "TRIGGERED" and not self.manual and self.now >= self.until and fine

    def advance(self, share: float, fine: bool) -> None:
        if self.status == "RECOVERING" and not fine:
            self.trip(Actor.RULE)
            return
        calm = fine and share <= 0.4
        self.calm_since = None if not calm else self.calm_since or self.now
        if self.status == "SAFE" and share >= 0.6:
            self.status = "WARNING"
        elif self.status == "WARNING":
            if self.calm_since is not None and self.now - self.calm_since >= 5 * MINUTE:
                self.safe()
        elif self.status == "TRIGGERED" and self.may_recover(Actor.RULE, fine):
            self.status, self.stage, self.stage_since = "RECOVERING", 0, self.now
        elif self.status == "RECOVERING" and self.now - self.stage_since >= 10 * MINUTE:
            if self.stage == 3:
                self.safe()
            else:
                self.stage, self.stage_since = self.stage + 1, self.now


def facts(share: float, fine: bool) -> RecoveryInputs:
    metric = Metric(name="btc_drawdown_1h", value=15 * share, hard_limit=15, soft_limit=9)
    return RecoveryInputs(
        market=MarketSnapshot(time_ms=START_MS, metrics=(metric,), prices={"BTCUSDT": 1.0}),
        further_fall_30m_pct=0,
        btc_regained_share=1,
        flat_minutes=60,
        volume_share_of_normal=1,
        unknown_orders=0,
        reconciled=True,
        healthy=fine,
    )


class BreakerMachine(RuleBasedStateMachine):
    """One breaker over one SQLite file; ``kind`` is replaced by the mutants below."""

    kind: Callable[..., CircuitBreaker] = CircuitBreaker

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.storage = StorageConfig(path=Path(self.directory.name) / "store.sqlite3")
        self.clock = VirtualClock(START_MS)
        create_store(self.storage, self.clock)
        self.breaker = self.open()
        self.model = Model()
        self.facts_known = False
        self.fine = False

    def open(self) -> CircuitBreaker:
        store = BreakerStore.open(self.storage, check=False)
        return type(self).kind(CONFIG, self.clock, store)

    def teardown(self) -> None:
        self.breaker.close()
        self.directory.cleanup()

    def attempt(self, allowed: bool, call: Callable[[], Any]) -> bool:
        """Make the call; it must be refused with a BreakerError unless ``allowed``."""
        try:
            call()
        except BreakerError:
            assert not allowed
            return False
        assert allowed
        return True

    @rule(actor=st.sampled_from(Actor))
    def trip(self, actor: Actor) -> None:
        before = self.model.status
        receipt = self.breaker.trigger("halt", actor=actor)
        self.model.trip(actor)
        assert receipt.epoch == self.model.epoch
        assert receipt.newly_triggered is (before != "TRIGGERED")

    @rule(actor=st.sampled_from(Actor))
    def warn(self, actor: Actor) -> None:
        allowed = self.model.status in ("SAFE", "WARNING")
        self.model.calm_since = None
        if self.attempt(allowed, lambda: self.breaker.set_warning("early", actor=actor)):
            self.model.status = "WARNING"

    @rule(actor=st.sampled_from(Actor), offset=st.sampled_from([0, 0, 0, -1, 1]))
    def recover(self, actor: Actor, offset: int) -> None:
        allowed = (
            actor in (Actor.RULE, Actor.OPERATOR)
            and offset == 0
            and self.facts_known
            and self.model.may_recover(actor, self.fine)
        )
        epoch = self.model.epoch + offset
        if self.attempt(
            allowed,
            lambda: self.breaker.start_recovery(actor=actor, reason="calm", epoch=epoch),
        ):
            self.model.status, self.model.stage = "RECOVERING", 0
            self.model.stage_since = self.model.now

    @rule(
        actor=st.sampled_from(Actor),
        offset=st.sampled_from([0, 0, 0, -1]),
        force=st.booleans(),
    )
    def clear(self, actor: Actor, offset: int, force: bool) -> None:
        model = self.model
        epoch = model.epoch + offset
        forced = actor is Actor.OPERATOR and force and model.status != "SAFE"
        released = (
            actor is Actor.OPERATOR and not force and model.manual and model.status == "TRIGGERED"
        )
        finished = (
            actor is Actor.RULE
            and not force
            and (model.status, model.stage) == ("RECOVERING", 3)
            and model.now - model.stage_since >= 10 * MINUTE
        )
        allowed = offset == 0 and (forced or released or finished)
        if self.attempt(
            allowed,
            lambda: self.breaker.clear(actor=actor, reason="so be it", epoch=epoch, force=force),
        ):
            if released:
                model.manual = False
            else:
                model.safe()

    @rule(
        minutes=st.sampled_from([0, 1, 5, 10, 15, 60, 600]),
        share=st.sampled_from([0.1, 0.4, 0.5, 0.7]),
        fine=st.sampled_from([True, True, True, False]),
    )
    def pass_time(self, minutes: float, share: float, fine: bool) -> None:
        self.model.now += round(minutes * MINUTE)
        self.clock.advance_to(self.model.now)
        self.breaker.advance(self.model.now, facts(share, fine))
        self.facts_known, self.fine = True, fine
        self.model.advance(share, fine)

    @rule(stages=st.integers(0, 4))
    def walk_the_recovery(self, stages: int) -> None:
        """From a halt some stages up: a walk that chance alone rarely takes."""
        if self.model.status != "TRIGGERED":
            return
        if self.model.manual:
            self.clear(Actor.OPERATOR, 0, False)
        wait_ms = max(0, self.model.until - self.model.now)
        self.pass_time(wait_ms / MINUTE, 0.1, True)
        for _ in range(stages):
            self.pass_time(10, 0.1, True)

    @rule()
    def restart(self) -> None:
        before = self.breaker.snapshot
        self.breaker.close()
        self.breaker = self.open()
        assert self.breaker.snapshot == before
        self.facts_known = False
        self.model.calm_since = None

    @invariant()
    def agrees_with_the_model(self) -> None:
        snapshot: BreakerSnapshot = self.breaker.snapshot
        model = self.model
        assert (snapshot.status, snapshot.epoch, snapshot.stage) == (
            model.status,
            model.epoch,
            model.stage,
        )
        assert (snapshot.latch == "MANUAL") is model.manual
        assert snapshot.size_multiplier == model.size
        assert self.breaker.entries_blocked is (model.size == 0)
        if model.status == "TRIGGERED":
            assert snapshot.cooldown_until_ms == model.until


def run(kind: Callable[..., CircuitBreaker], examples: int, steps: int) -> None:
    machine = type("Machine", (BreakerMachine,), {"kind": staticmethod(kind)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_breaker_does_what_the_model_says() -> None:
    run(CircuitBreaker, examples=100, steps=40)


class _EasesForModels(CircuitBreaker):
    """Takes a model's clear for an operator's."""

    def clear(self, *args: Any, **kwargs: Any) -> BreakerSnapshot:
        if kwargs["actor"] is Actor.LLM:
            kwargs["actor"] = Actor.OPERATOR
        return super().clear(*args, **kwargs)


class _IgnoresTheEpoch(CircuitBreaker):
    """Lets an operator clear with whatever epoch they saw last."""

    def clear(self, *args: Any, **kwargs: Any) -> BreakerSnapshot:
        try:
            return super().clear(*args, **kwargs)
        except StaleEpochError:
            return super().clear(*args, **{**kwargs, "epoch": self.snapshot.epoch})


class _DeafInRecovery(CircuitBreaker):
    """Does not halt again for a model during a recovery."""

    def trigger(self, *args: Any, **kwargs: Any) -> Any:
        if self.snapshot.status == "RECOVERING" and kwargs.get("actor") is Actor.LLM:
            return type("Receipt", (), {"epoch": self.snapshot.epoch, "newly_triggered": True})()
        return super().trigger(*args, **kwargs)


class _NeverLatches(CircuitBreaker):
    """Takes an operator's trip for a rule's."""

    def trigger(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("actor") is Actor.OPERATOR:
            kwargs["actor"] = Actor.RULE
        return super().trigger(*args, **kwargs)


@pytest.mark.parametrize(
    "mutant", [_EasesForModels, _IgnoresTheEpoch, _DeafInRecovery, _NeverLatches]
)
def test_a_broken_breaker_does_not_pass_for_a_sound_one(mutant: type[CircuitBreaker]) -> None:
    with pytest.raises(AssertionError):
        run(mutant, examples=60, steps=40)
