"""A process that takes as much processor time as another one took, and talks to nobody.

Two processes on few cores take time from each other whatever they do. What a crew's questions cost
the core is what it loses beside the crew and not beside this.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection

_PERIOD_S = 0.02

Burn = Callable[[float, float], Awaitable[None]]


@asynccontextmanager
async def burner(nice: int) -> AsyncIterator[Burn]:
    """Calling it burns a share of one processor for so many seconds."""
    pipe, far_end = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_burn, args=(far_end, nice), daemon=True)
    process.start()
    far_end.close()
    loop = asyncio.get_running_loop()

    async def burn(share: float, seconds: float) -> None:
        pipe.send((share, seconds))
        await loop.run_in_executor(None, pipe.recv)

    try:
        await loop.run_in_executor(None, pipe.recv)
        yield burn
    finally:
        process.kill()
        process.join()


def _burn(pipe: Connection, nice: int) -> None:
    os.nice(nice)
    pipe.send("ready")
    while True:
        share, seconds = pipe.recv()
        began, burnt = time.monotonic(), time.process_time()
        while (passed := time.monotonic() - began) < seconds:
            if time.process_time() - burnt < passed * share:
                sum(range(1_000))
            else:
                time.sleep(_PERIOD_S * (1 - share))
        pipe.send("done")
