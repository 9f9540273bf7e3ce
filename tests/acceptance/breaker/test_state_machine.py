"""The breaker against a plain model of its promises, driven by Hypothesis."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from breaker_walk import PAIRS, START_MS, BreakerMachine, tour
from breaker_walk_mutants import MUTANTS
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from proofs import Held, record, rounds

from trading.clock import VirtualClock
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.config import StorageConfig

RUNS = rounds(40, 2_000)
STEPS = rounds(60, 100)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    storage = StorageConfig(path=tmp_path / "template.sqlite3")
    create_store(storage, VirtualClock(START_MS))
    return storage.path


def machine_of(kind: type[CircuitBreaker], template: Path) -> type[BreakerMachine]:
    members = {"kind": kind, "template": template, "pairs": set(), "counts": Counter()}
    return type("Machine", (BreakerMachine,), members)


def explore(machine: type[BreakerMachine]) -> None:
    """The tour, and random walks: the same ones every time."""
    walk = machine()
    try:
        tour(walk)
    finally:
        walk.teardown()
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


def is_found(kind: type[CircuitBreaker], template: Path) -> bool:
    """Whether the same exploration tells the mutant from the model."""
    try:
        explore(machine_of(kind, template))
    except Exception:  # an assertion, or an error that the machine did not expect
        return True
    return False


@pytest.mark.timeout(240)
def test_the_breaker_does_what_its_model_says_on_every_walk(template: Path) -> None:
    sound = machine_of(CircuitBreaker, template)
    explore(sound)
    found = [kind.__name__ for kind in MUTANTS if is_found(kind, template)]

    counts = sound.counts
    assert sound.pairs == PAIRS
    assert found == [kind.__name__ for kind in MUTANTS]
    caught = f"{len(found)} of {len(MUTANTS)} found"
    mutants = ", ".join(
        (
            "eases for a model",
            "ignores the epoch",
            "clears by rule",
            "deaf to a model in recovery",
            "operator's trip without latch",
            "latch lost at a restart",
            "unstored trip lost at a restart",
        )
    )
    record(
        Held(
            section="State machine",
            guarantee=f"the breaker does what its model says: all {len(PAIRS)} pairs of "
            "consecutive transitions, with restarts, failing stores and another process",
            trials=counts["steps"],
            unit=f"steps of {counts['runs']} walks",
            violations=0,
            mutant=mutants,
            caught=caught,
        )
    )
    record(
        Held(
            section="State machine",
            guarantee="every illegal transition is refused: easing by a model, an old epoch, "
            "TRIGGERED to SAFE or WARNING by rule, a latch released by anybody but an operator",
            trials=counts["refused"],
            unit="illegal calls",
            violations=0,
            mutant=mutants,
            caught=caught,
        )
    )
