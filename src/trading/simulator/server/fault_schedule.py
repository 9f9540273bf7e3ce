"""Faults by schedule: at listed times, at random ones, or both."""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
import time
from collections.abc import Iterator

from trading.simulator.server.fault_config import (
    FaultScheduleConfig,
    RandomFaultsConfig,
    TimedFault,
)
from trading.simulator.server.faults import Fault, Faults

log = logging.getLogger(__name__)
SHORTEST_SHARE = 0.1  # of the longest duration
GAP_SHARES = (0.5, 1.5)  # of the mean gap between two faults
SHIFTS_MS = (-3_000, 3_000)  # beyond every receive window of ours, and ahead of what is tolerated


def scheduled(config: FaultScheduleConfig) -> Iterator[TimedFault]:
    """All faults in order of their time; endless where random ones are wanted."""
    listed = sorted(config.faults, key=lambda fault: fault.at_s)
    drawn = iter(()) if config.random is None else _drawn(config.random)
    return heapq.merge(listed, drawn, key=lambda fault: fault.at_s)


def _drawn(config: RandomFaultsConfig) -> Iterator[TimedFault]:
    dice = random.Random(config.seed)
    at_s = 0.0
    while True:
        kinds = list(config.kinds)
        dice.shuffle(kinds)
        for kind in kinds:
            at_s += config.every_s * dice.uniform(*GAP_SHARES)
            yield TimedFault(
                at_s=at_s,
                kind=kind,
                accepted=dice.random() < 0.5,
                duration_ms=round(config.longest_ms * dice.uniform(SHORTEST_SHARE, 1)),
                shift_ms=dice.choice(SHIFTS_MS),
            )


async def follow(config: FaultScheduleConfig, faults: Faults) -> None:
    """Let every fault happen at its time; one of a request hits the next that fits."""
    started_s = time.monotonic()
    for timed in scheduled(config):
        await asyncio.sleep(max(0.0, started_s + timed.at_s - time.monotonic()))
        log.info("fault: %s for %d ms", timed.kind, timed.duration_ms)
        faults.plan(Fault.model_validate(timed.model_dump(exclude={"at_s"})))
