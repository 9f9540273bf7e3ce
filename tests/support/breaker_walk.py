"""A walk over the breaker's states, each step held against ``breaker_model``'s plain model."""

from __future__ import annotations

import copy
import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest
from breaker_model import Facts, Model
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from trading.clock import MINUTE_MS, VirtualClock
from trading.errors import BreakerError, StoreError
from trading.model.breaker import Actor, BreakerSnapshot, Quiet
from trading.model.metrics import MarketSnapshot, Metric
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_state import RecoveryInputs
from trading.risk.breaker_store import BreakerStore
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.shared_record import SharedRecordWriter
from trading.storage.config import StorageConfig

START_MS = 1_760_000_000_000
CONFIG = CircuitBreakerConfig()
# States are walked here, not disks: where there is a file system in memory, it takes the files.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

# Every transition there is: its name, where it starts, where it ends.
TRANSITIONS = {
    "warning": ("SAFE", "WARNING"),
    "easing": ("WARNING", "SAFE"),
    "trip from SAFE": ("SAFE", "TRIGGERED"),
    "trip from WARNING": ("WARNING", "TRIGGERED"),
    "retrip": ("TRIGGERED", "TRIGGERED"),
    "relapse": ("RECOVERING", "TRIGGERED"),
    "latch": ("TRIGGERED", "TRIGGERED"),
    "recovery": ("TRIGGERED", "RECOVERING"),
    "stage": ("RECOVERING", "RECOVERING"),
    "complete": ("RECOVERING", "SAFE"),
    "override from WARNING": ("WARNING", "SAFE"),
    "override from TRIGGERED": ("TRIGGERED", "SAFE"),
    "override from RECOVERING": ("RECOVERING", "SAFE"),
}
IMPOSSIBLE = {
    ("latch", "latch"),  # it is released
    ("recovery", "complete"),  # the stages are between
}
PAIRS = {
    (first, second)
    for first, (_, middle) in TRANSITIONS.items()
    for second, (start, _) in TRANSITIONS.items()
    if start == middle
} - IMPOSSIBLE


def inputs(facts: Facts, epoch: int) -> RecoveryInputs:
    value = 15 * facts.worst
    metric = Metric(name="btc_drawdown_1h", value=value, hard_limit=15, soft_limit=9)
    return RecoveryInputs(
        market=MarketSnapshot(time_ms=START_MS, metrics=(metric,), prices={"BTCUSDT": 1.0}),
        further_fall_30m_pct=6 if facts.falling else 0,
        btc_regained_share=1,
        flat_minutes=60,
        volume_share_of_normal=1 if facts.volume else 0.1,
        unknown_orders=0 if facts.settled else 1,
        reconciled=facts.settled,
        quiet=Quiet(epoch=epoch if facts.at_rest else None),
        healthy=facts.sound,
    )


def transitions_of(store: Path) -> list[str]:
    """The stored transitions by the names above, oldest first."""
    with closing(sqlite3.connect(store)) as connection:
        rows = connection.execute(
            "SELECT kind, from_status, to_status, trigger_details FROM circuit_breaker_events"
            " ORDER BY id"
        ).fetchall()
    names = []
    at = "SAFE"
    for kind, start, end, details in rows:
        assert start == at, f"{kind} from {start}, and the row before ended {at}"
        at, name = end, kind
        if kind == "clear":
            name = f"override from {start}" if "override" in details else "complete"
        elif kind == "trip":
            name = f"trip from {start}"
        names.append(name)
    return names


actors = st.sampled_from(["operator", "rule", "llm", "system", "operator"])
epochs = st.sampled_from([0, 0, 0, -1, 1])
fine_or_not = st.one_of(
    st.just(Facts()),
    st.builds(
        Facts,
        worst=st.sampled_from([0.1, 0.1, 0.4, 0.5, 0.6, 0.9, 1.0]),
        sound=st.sampled_from([True, True, True, False]),
        settled=st.sampled_from([True, True, True, False]),
        at_rest=st.sampled_from([True, True, True, False]),
        falling=st.sampled_from([False, False, False, True]),
        volume=st.sampled_from([True, True, True, False]),
    ),
)


class BreakerMachine(RuleBasedStateMachine):
    """One breaker over one SQLite file; ``kind`` is replaced by the mutants below."""

    kind: ClassVar[Callable[..., CircuitBreaker]] = CircuitBreaker
    template: ClassVar[Path]
    pairs: ClassVar[set[tuple[str, str]]]
    counts: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory(dir=MEMORY)
        path = Path(self.directory.name)
        self.storage = StorageConfig(path=path / "store.sqlite3", busy_timeout_ms=1)
        self.record_path = path / "record"
        shutil.copyfile(self.template, self.storage.path)
        self.clock = VirtualClock(START_MS)
        self.breaker = self.open()
        self.model = Model()
        self.lock: sqlite3.Connection | None = None

    def open(self) -> CircuitBreaker:
        record = SharedRecordWriter(self.record_path)
        last_run = record.take_over(self.storage.path)
        store = BreakerStore.open(self.storage, check=False)
        return type(self).kind(CONFIG, self.clock, store, record=record, last_run=last_run)

    def teardown(self) -> None:
        self.unlock()
        self.breaker.close()
        names = transitions_of(self.storage.path)
        self.pairs.update(pairwise(names))
        self.counts["transitions"] += len(names)
        self.counts["runs"] += 1
        self.directory.cleanup()

    def unlock(self) -> None:
        if self.lock is not None:
            self.lock.close()
            self.lock = None

    def attempt(self, allowed: bool, call: Callable[[], Any]) -> None:
        """Make a call that must be refused with a BreakerError unless ``allowed``."""
        self.counts["steps"] += 1
        refusal: BreakerError | None = None
        try:
            call()
        except BreakerError as error:
            refusal = error
        assert (refusal is None) is allowed, refusal or f"allowed in {self.model}"
        self.counts["refused"] += not allowed

    def step(self, model_step: Callable[[Model], bool], call: Callable[[], Any]) -> None:
        """A call other than a trip, on both; with a store that takes nothing it is a trip."""
        if self.lock is None:
            self.model.stored = None  # what waited is stored first
            self.attempt(model_step(self.model), call)
            return
        self.counts["steps"] += 1
        with pytest.raises(StoreError):
            call()
        self.model.lose_the_store()

    @rule(actor=actors, latch=st.sampled_from([False, False, True]))
    def trip(self, actor: str, latch: bool = False) -> None:
        before = copy.deepcopy(self.model)
        receipt = self.breaker.trigger("halt", actor=Actor(actor), latch=latch)
        self.counts["steps"] += 1
        self.model.trip(actor, latch=latch)
        if self.lock is not None:
            self.model.hold(before=before)
        else:
            self.model.stored = None
        assert receipt.epoch == self.model.epoch
        assert receipt.newly_triggered is (before.status != "TRIGGERED")

    @rule(actor=actors)
    def warn(self, actor: str) -> None:
        self.model.calm_since = None
        self.step(Model.warn, lambda: self.breaker.set_warning("early", actor=Actor(actor)))

    @rule(actor=actors, offset=epochs)
    def recover(self, actor: str, offset: int) -> None:
        epoch = self.model.epoch + offset
        self.step(
            lambda model: model.recover(actor, epoch),
            lambda: self.breaker.start_recovery(actor=Actor(actor), reason="calm", epoch=epoch),
        )

    @rule(actor=actors, offset=epochs, force=st.booleans())
    def clear(self, actor: str, offset: int, force: bool) -> None:
        epoch = self.model.epoch + offset
        self.step(
            lambda model: model.clear(actor, epoch, force),
            lambda: self.breaker.clear(
                actor=Actor(actor), reason="so be it", epoch=epoch, force=force
            ),
        )

    @rule(minutes=st.sampled_from([0, 1, 5, 10, 15, 60, 240, 1_440]), facts=fine_or_not)
    def pass_time(self, minutes: float, facts: Facts) -> None:
        self.counts["steps"] += 1
        model = self.model
        model.now += minutes
        now_ms = START_MS + round(model.now * MINUTE_MS)
        self.clock.advance_to(now_ms)
        self.breaker.advance(now_ms, inputs(facts, model.epoch))
        self._flush()
        model.learn(facts)
        due = model.judge()
        if due is None:
            return
        if self.lock is None:
            model.stored = None
            model.do(due)
        elif due == "trip":
            before = copy.deepcopy(model)
            model.do(due)
            model.hold(before=before)
        else:
            model.lose_the_store()

    def _flush(self) -> None:
        """A trip that waits for the store is tried again every few seconds."""
        model = self.model
        if model.stored is None or model.now < model.retry_at:
            return
        if self.lock is None:
            model.stored = None
        else:
            model.retry_at = model.now + 5 / 60

    @rule()
    def ease_without_the_right(self) -> None:
        """Whatever the state: models, the system, old epochs, and a rule that forces."""
        for actor in ("llm", "system"):
            self.recover(actor, 0)
            self.clear(actor, 0, False)
            self.clear(actor, 0, True)
        for offset in (-1, 1):
            self.recover("operator", offset)
            self.clear("operator", offset, False)
            self.clear("operator", offset, True)
        self.clear("rule", 0, True)
        self.clear("rule", 0, False)

    @rule(stages=st.integers(0, 4), then=st.sampled_from([None, "llm", "rule", "operator"]))
    def walk_the_recovery(self, stages: int, then: str | None) -> None:
        """From a halt some stages up, and down again: what chance alone rarely does."""
        if self.model.status != "TRIGGERED" or self.lock is not None:
            return
        if self.model.latched:
            self.clear("operator", 0, False)
        self.pass_time(max(0.0, self.model.until - self.model.now), Facts())
        for _ in range(stages):
            self.pass_time(10, Facts())
        if then is not None:
            self.trip(then, False)

    @rule(rarely=st.sampled_from([False, False, True]))
    def store_fails(self, rarely: bool) -> None:
        """Another program holds the store, until ``store_works``."""
        if rarely and self.lock is None:
            self.lock = sqlite3.connect(self.storage.path, isolation_level=None)
            self.lock.execute("BEGIN IMMEDIATE")

    @rule()
    def store_works(self) -> None:
        self.unlock()

    @rule(act=st.sampled_from(["trip", "clear"]))
    def another_process(self, act: str) -> None:
        """The command line, on the same store without the core's record."""
        if self.lock is not None or self.model.stored is not None:
            return
        store = BreakerStore.open(self.storage, check=False)
        with closing(CircuitBreaker(CONFIG, self.clock, store)) as other:
            if act == "trip":
                self.model.trip("operator")
                other.trigger("halt", actor=Actor.OPERATOR)
            else:
                epoch = self.model.epoch
                self.attempt(
                    self.model.clear("operator", epoch, True),
                    lambda: other.clear(
                        actor=Actor.OPERATOR, reason="so be it", epoch=epoch, force=True
                    ),
                )
        self.breaker.refresh()

    @rule()
    def restart(self) -> None:
        """The core is killed: nothing is told to it, and the store works again."""
        self.counts["restarts"] += 1
        self.unlock()
        self.breaker.close()
        self.breaker = self.open()
        self.model.restart()

    @invariant()
    def agrees_with_the_model(self) -> None:
        snapshot: BreakerSnapshot = self.breaker.snapshot
        seen: dict[str, Any] = {
            "status": snapshot.status.value,
            "epoch": snapshot.epoch,
            "stage": snapshot.stage,
            "latch": snapshot.latch.value,
            "size": snapshot.size_multiplier,
        }
        if snapshot.status == "TRIGGERED" and snapshot.cooldown_until_ms is not None:
            seen["until"] = (snapshot.cooldown_until_ms - START_MS) / MINUTE_MS
        assert seen == self.model.as_seen()
        assert self.breaker.entries_blocked is (self.model.size == 0)


# A tour through every pair, so that none is left to chance.


def reach(machine: BreakerMachine, first: str, second: str) -> None:
    """From whatever state to the one that ``first`` starts in, with ``second`` to follow."""
    machine.pass_time(1_440, Facts())  # yesterday's trips count no more
    if machine.model.status != "SAFE":
        machine.clear("operator", 0, True)
    start = TRANSITIONS[first][0]
    if start == "WARNING":
        machine.warn("llm")
    elif start != "SAFE":
        machine.trip("operator" if first == "latch" else "rule")
    if start == "RECOVERING":
        machine.pass_time(15, Facts())
        stages = {"complete": 3, "stage": 2 if second == "complete" else 0}.get(first, 0)
        for _ in range(stages):
            machine.pass_time(10, Facts())


def perform(machine: BreakerMachine, name: str, following: str) -> None:
    """Transition ``name``, from where it starts; ``following`` comes after it."""
    if name == "warning":
        machine.warn("rule")
    elif name == "easing":
        machine.pass_time(0, Facts())
        machine.pass_time(5, Facts())
    elif name.startswith("trip") or name in ("retrip", "relapse"):
        actor = "llm" if name == "relapse" else "rule"
        machine.trip("operator" if following == "latch" else actor)
    elif name == "latch":
        machine.clear("operator", 0, False)
    elif name in ("recovery", "stage", "complete"):
        machine.pass_time(240, Facts())
    else:
        machine.clear("operator", 0, True)


def tour(machine: BreakerMachine) -> None:
    """Every pair of transitions that can follow each other."""
    for first, second in sorted(PAIRS):
        reach(machine, first, second)
        perform(machine, first, second)
        perform(machine, second, "")
        machine.agrees_with_the_model()
