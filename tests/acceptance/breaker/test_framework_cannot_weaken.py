"""Whatever CrewAI does: at most one order per intent, and none after a trip.

Real crews with real tools on a model that answers over HTTP as the hazard wants it, a real core
behind its sockets. Every hazard is judged at the exchange's socket, the crew's end at the model's.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from crew_hazards import (
    Hazard,
    late_thread,
    parallel_calls,
    raising_hooks,
    repeated_kickoff,
    retried_task,
    running_on,
    tool_cache,
    two_crews,
)
from crew_mutants import (
    everything_is_cached,
    gate_open_for_everything,
    hooks_fail_open,
    no_epoch_check,
    no_hooks,
    no_identity,
)
from crew_stage import Stage, crew_stage
from proofs import Held, record, rounds

SECTION = "The framework cannot weaken it"
MUTANT_TRIALS = 4

PROOFS: tuple[tuple[str, Hazard, str, Callable[[], Any], Hazard], ...] = (
    (
        "CrewAI's tool cache on: the tool reads the breaker afresh, no order after the trip",
        tool_cache,
        "a tool that trusts a cached reading",
        everything_is_cached,
        tool_cache,
    ),
    (
        "Raising hooks: at most one order, none after a trip",
        raising_hooks,
        "a guard, tools and a core that fail open",
        hooks_fail_open,
        raising_hooks,
    ),
    (
        "Parallel tool calls: at most one order, none after a trip",
        parallel_calls,
        "intents without identity",
        no_identity,
        parallel_calls,
    ),
    (
        "A tool thread that goes on after its time-out: no order after a trip or the deadline",
        late_thread,
        "a core without a check of epoch and deadline",
        no_epoch_check,
        partial(late_thread, how="halted and cleared"),
    ),
    (
        "A tool thread that goes on while halted: no order",
        partial(late_thread, how="halted"),
        "a gate that stays open",
        gate_open_for_everything,
        partial(late_thread, how="halted"),
    ),
    (
        "A retried task: at most one order, none after a trip",
        retried_task,
        "intents without identity",
        no_identity,
        retried_task,
    ),
    (
        "Two crews on one spike: at most one order, none after a trip",
        two_crews,
        "intents without identity",
        no_identity,
        two_crews,
    ),
    (
        "A repeated kickoff: at most one order for a spike",
        repeated_kickoff,
        "intents without identity",
        no_identity,
        repeated_kickoff,
    ),
    (
        "A running crew stops at its next model call after a trip",
        running_on,
        "no hook before the model call",
        no_hooks,
        running_on,
    ),
)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with crew_stage(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


def violations(stage: Stage, hazard: Hazard, seeds: range) -> tuple[list[str], int]:
    """What was violated, with its seed, and how many orders arrived in all."""
    found, orders = [], 0
    for seed in seeds:
        stage.begin()
        try:
            if wrong := hazard(stage, random.Random(seed)):
                found.append(f"seed {seed}: {'; '.join(wrong)}")
            orders += stage.orders
        finally:
            stage.end()
    return found, orders


@pytest.mark.filterwarnings("ignore::DeprecationWarning:crewai")
@pytest.mark.parametrize(
    ("guarantee", "hazard", "mutant", "broken", "on_mutant"), PROOFS, ids=[p[0] for p in PROOFS]
)
def test_the_framework_cannot_weaken(
    stage: Stage,
    tmp_path: Path,
    guarantee: str,
    hazard: Hazard,
    mutant: str,
    broken: Callable[[], Any],
    on_mutant: Hazard,
) -> None:
    found, _ = violations(stage, hazard, range(trials := rounds(2, 50)))
    assert not found, found
    caught = 0
    # Two orders for one intent are more than a core's books can hold: they get a core of their own.
    with crew_stage(tmp_path) if broken is no_identity else nullcontext(stage) as victim, broken():
        for tried in range(1, rounds(MUTANT_TRIALS, 20) + 1):
            caught += len(violations(victim, on_mutant, range(tried - 1, tried))[0])
            if caught and tried >= rounds(1, 20):
                break
    record(
        Held(
            section=SECTION,
            guarantee=guarantee,
            trials=trials,
            unit="crew runs" if hazard is not two_crews else "pairs of crew runs",
            violations=len(found),
            mutant=mutant,
            caught=f"{caught} of {tried}",
        )
    )
    assert caught
