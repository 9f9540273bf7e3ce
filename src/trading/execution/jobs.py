"""Background work of the order loop, one job of a kind at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

Work = Callable[[], Awaitable[object]]


class Jobs:
    """Named jobs. Starting a name that runs already makes it run once more when it is done."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()

    @property
    def busy(self) -> bool:
        return bool(self._tasks)

    def start(self, name: str, work: Work, *, again: bool = True) -> None:
        """Run ``work`` soon; with ``again`` False nothing happens while ``name`` runs."""
        if name in self._tasks:
            if again:
                self._again.add(name)
            return
        task = asyncio.get_running_loop().create_task(self._run(name, work), name=name)
        self._tasks[name] = task

        def forget(_: asyncio.Task[None]) -> None:
            if self._tasks.get(name) is task:  # cancelled before it began: nobody else would
                del self._tasks[name]

        task.add_done_callback(forget)

    async def settle(self) -> None:
        """Wait until nothing runs, what is started meanwhile included."""
        while self._tasks:
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def cancel(self) -> None:
        """Stop everything."""
        self._again.clear()
        for task in tuple(self._tasks.values()):
            task.cancel()
        await self.settle()

    async def _run(self, name: str, work: Work) -> None:
        try:
            while True:
                self._again.discard(name)
                try:
                    await work()
                except Exception:
                    logger.exception("job %s failed", name)
                if name not in self._again:
                    return
        finally:
            self._again.discard(name)
            self._tasks.pop(name, None)
