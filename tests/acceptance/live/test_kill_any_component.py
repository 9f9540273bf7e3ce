"""SIGKILL to any part of a run at random: back within ten seconds, with the same positions.

The parts are those of a run on an outside exchange: the core, both crew workers and the nursery
that makes them, the news worker, and the supervisor. All the others are started again by the
supervisor; it itself by whoever runs it, here the test, as soon as what it left behind has ended.
The exchange is not ours: the embedded one of venue sim is the market itself, and a run without it
ends.

Where other work keeps the processors busy, everything takes as many times longer as there are
tasks for a processor; the ten seconds are then stretched by that.
"""

from __future__ import annotations

import logging
import os
import random
import statistics
import time
from collections import defaultdict
from pathlib import Path

import pytest
from killed_run import CORE, NURSERY, SUPERVISOR, WORKERS, KilledRun, killed_run
from proofs import Held, record, rounds

logger = logging.getLogger(__name__)
pytestmark = [pytest.mark.long, pytest.mark.timeout(14_400)]

BACK_WITHIN_S = 10.0
A_MINUTE_S = 60.0
GIVE_UP_S = 180.0
PARTS = (CORE, SUPERVISOR, NURSERY, *WORKERS)
KILLS = rounds(len(PARTS), 100)
MUTANT = "a supervisor that starts nothing again"


def stretch() -> float:
    """How many tasks there are for each processor; at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def kill_and_wait(run: KilledRun, name: str, give_up_s: float = GIVE_UP_S) -> tuple[float, str]:
    """Seconds until all is well again; and what is not as it was before."""
    before, process = run.held, run.process(name)
    killed_s = run.kill(name)
    while problem := run.is_back(name, process, killed_s):
        if time.monotonic() - killed_s > give_up_s:
            return give_up_s, problem
        time.sleep(0.05)
    took_s = time.monotonic() - killed_s
    return took_s, "" if run.held == before else f"{before} became {run.held}"


def parts_to_kill(dice: random.Random) -> list[str]:
    """Every part once at least, the rest by lot."""
    drawn = [*PARTS, *(dice.choice(PARTS) for _ in range(KILLS - len(PARTS)))]
    dice.shuffle(drawn)
    return drawn


def test_whatever_is_killed_is_back_within_ten_seconds_with_the_same_positions(
    tmp_path: Path,
) -> None:
    dice = random.Random("kill any")
    wrong: list[str] = []
    took_s: defaultdict[str, list[float]] = defaultdict(list)
    with killed_run(tmp_path) as run:
        for name in parts_to_kill(dice):
            time.sleep(dice.uniform(0, 2))
            seconds, problem = kill_and_wait(run, name)
            allowed_s = BACK_WITHIN_S * stretch()
            if problem or seconds > allowed_s:
                wrong.append(f"{name}: {seconds:.1f} s of {allowed_s:.1f}; {problem}")
            took_s[name].append(seconds)
            logger.info("%s: back after %.1f s of %.1f %s", name, seconds, allowed_s, problem)
        run.freeze_supervisor()
        _, caught = kill_and_wait(run, CORE, BACK_WITHIN_S * stretch())
    for name, seconds_of in took_s.items():
        figures = (len(seconds_of), statistics.median(seconds_of), max(seconds_of))
        logger.info("%s: %d kills, back after %.1f s in the median, %.1f at most", name, *figures)
    assert caught, f"{MUTANT} was not noticed"
    assert not wrong
    record(
        Held(
            section="Recovery",
            guarantee="core, workers, nursery or supervisor killed by SIGKILL, with positions and "
            "stops: well again within 10 s, times the tasks for each processor, holding the same",
            trials=KILLS,
            unit="kills",
            violations=len(wrong),
            mutant=MUTANT,
            caught=caught,
        )
    )


def test_a_run_that_begins_when_the_minutes_requests_are_used_up_waits_and_is_well(
    tmp_path: Path,
) -> None:
    with killed_run(tmp_path) as run:
        run.begin_a_minute()
        run.use_up_the_minute()
        seconds, problem = kill_and_wait(run, SUPERVISOR)
        assert not problem
        assert seconds < A_MINUTE_S + BACK_WITHIN_S * stretch()
        assert "request weight used this minute" in run.printed()
        assert run.printed().count("starting exchange, core and crews") == 2
