"""Background jobs run one of a kind at a time, and all of them can be stopped."""

from __future__ import annotations

import asyncio

from trading.execution.jobs import Jobs


async def test_a_job_that_is_stopped_before_it_began_is_over() -> None:
    jobs = Jobs()
    ran = []

    async def work() -> None:
        ran.append(True)

    jobs.start("sweep", work)
    async with asyncio.timeout(5):
        await jobs.cancel()
    assert not jobs.busy
    assert not ran
    jobs.start("sweep", work)
    async with asyncio.timeout(5):
        await jobs.settle()
    assert ran


async def test_a_job_that_is_asked_for_while_it_runs_runs_once_more() -> None:
    jobs = Jobs()
    runs = []
    go_on = asyncio.Event()

    async def work() -> None:
        runs.append(True)
        await go_on.wait()

    jobs.start("compare", work)
    await asyncio.sleep(0)
    jobs.start("compare", work)
    jobs.start("compare", work)
    go_on.set()
    await jobs.settle()
    assert len(runs) == 2
