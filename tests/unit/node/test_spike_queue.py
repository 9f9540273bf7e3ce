"""The queue between the detector and the crews."""

from __future__ import annotations

import asyncio

import pytest
from spikes import rising_spike

from trading.clock import VirtualClock
from trading.model.spike import Spike
from trading.node.spike_queue import Discarded, SpikeQueue

NOW_MS = 1_700_000_000_000


def spike(name: str, *, magnitude_pct: float = 4.0, at_ms: int = NOW_MS) -> Spike:
    return rising_spike(name, "SOLUSDT", at_ms, 104.0, magnitude_pct)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW_MS)


@pytest.fixture
def discarded() -> list[Discarded]:
    return []


@pytest.fixture
def queue(clock: VirtualClock, discarded: list[Discarded]) -> SpikeQueue:
    return SpikeQueue(clock, capacity=2, max_age_ms=60_000, on_discard=discarded.append)


async def test_the_strongest_spike_is_claimed_first(queue: SpikeQueue) -> None:
    queue.offer(spike("weak", magnitude_pct=3))
    queue.offer(spike("strong", magnitude_pct=-9))
    first = await queue.claim(0)
    assert first is not None
    assert first.id == "strong"


async def test_of_two_equal_spikes_the_newer_is_claimed_first(
    queue: SpikeQueue, clock: VirtualClock
) -> None:
    queue.offer(spike("older"))
    clock.advance_to(NOW_MS + 10_000)
    queue.offer(spike("newer", at_ms=NOW_MS + 10_000))
    first = await queue.claim(0)
    assert first is not None
    assert first.id == "newer"


async def test_a_spike_is_handed_out_once_however_often_it_is_offered(queue: SpikeQueue) -> None:
    assert queue.offer(spike("one"))
    assert not queue.offer(spike("one"))
    assert await queue.claim(0) is not None
    assert not queue.offer(spike("one"))
    assert await queue.claim(0) is None


async def test_a_full_queue_drops_the_weakest_and_says_so(
    queue: SpikeQueue, discarded: list[Discarded]
) -> None:
    for name, magnitude in (("a", 5.0), ("b", 2.0), ("c", 7.0)):
        queue.offer(spike(name, magnitude_pct=magnitude))
    assert [gone.spike.id for gone in discarded] == ["b"]
    assert len(queue) == 2


async def test_a_spike_too_old_to_act_on_is_never_claimed(
    queue: SpikeQueue, clock: VirtualClock, discarded: list[Discarded]
) -> None:
    queue.offer(spike("old"))
    clock.advance_to(NOW_MS + 60_001)
    assert await queue.claim(0) is None
    assert "too old" in discarded[0].reason


async def test_a_waiting_claim_wakes_when_a_spike_arrives(queue: SpikeQueue) -> None:
    waiting = asyncio.create_task(queue.claim(5))
    await asyncio.sleep(0)
    queue.offer(spike("fresh"))
    claimed = await asyncio.wait_for(waiting, 1)
    assert claimed is not None
    assert claimed.id == "fresh"


async def test_two_waiting_workers_never_get_the_same_spike(queue: SpikeQueue) -> None:
    waiting = [asyncio.create_task(queue.claim(0.2)) for _ in range(2)]
    await asyncio.sleep(0)
    queue.offer(spike("only"))
    claims = [claim for claim in await asyncio.gather(*waiting) if claim is not None]
    assert len(claims) == 1


async def test_closing_the_queue_sends_waiting_workers_away(queue: SpikeQueue) -> None:
    waiting = asyncio.create_task(queue.claim(30))
    await asyncio.sleep(0)
    queue.close()
    assert await asyncio.wait_for(waiting, 1) is None
    queue.offer(spike("late"))
    assert await queue.claim(30) is None


async def test_emptying_the_queue_reports_every_spike(
    queue: SpikeQueue, discarded: list[Discarded]
) -> None:
    queue.offer(spike("a"))
    queue.offer(spike("b"))
    queue.discard_all("halted")
    assert {gone.reason for gone in discarded} == {"halted"}
    assert len(discarded) == 2
