"""The core's tasks end when they are told to."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from trading.node import order_thread
from trading.node.order_thread import cancel_all


async def deaf(times: int) -> None:
    """Loses its first cancellations, as code from elsewhere may."""
    for _ in range(times):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3_600)
    await asyncio.sleep(3_600)


async def failing() -> None:
    try:
        await asyncio.sleep(3_600)
    finally:
        raise OSError("on the way out")


async def test_tasks_are_cancelled_until_all_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_thread, "CANCEL_AGAIN_S", 0.01)
    tasks = [asyncio.create_task(work) for work in (deaf(2), deaf(0), failing())]
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await cancel_all(tasks)
    assert all(task.done() for task in tasks)


async def test_cancelled_once_a_deaf_task_goes_on() -> None:
    """The mutant: one cancellation each."""
    task = asyncio.create_task(deaf(1))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=0.05)
    assert not task.done()
    await cancel_all([task])
