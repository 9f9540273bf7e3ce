"""The loop on which orders live.

The order path commits to disk before it sends; on a loop of its own it never holds up the feed,
and a trip called from the feed's loop can wait for sends to reach the wire without deadlock.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

CANCEL_AGAIN_S = 2.0


class OrderLoop(Protocol):
    """Runs coroutines of the order path; ``call`` may be awaited from the main loop."""

    async def call(self, coroutine: Coroutine[Any, Any, T]) -> T: ...

    async def on_main(self, work: Callable[[], T]) -> T:
        """Run ``work`` on the main loop; awaited from the order path."""
        ...


class SameLoop:
    """The caller's own loop: for a replay, where everything happens in turn."""

    async def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return await coroutine

    async def on_main(self, work: Callable[[], T]) -> T:
        return work()


class OrderThread:
    """An event loop on a thread of its own. ``main`` is the loop that ``on_main`` goes to."""

    def __init__(self, main: asyncio.AbstractEventLoop | None = None) -> None:
        self._main = main
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="orders", daemon=True)
        self._thread.start()

    async def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return await asyncio.wrap_future(future)

    async def on_main(self, work: Callable[[], T]) -> T:
        if self._main is None:
            raise RuntimeError("this order thread was not told of a main loop")

        async def run() -> T:
            return work()

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(run(), self._main))

    def spawn(
        self, coroutine: Coroutine[Any, Any, Any], on_failure: Callable[[BaseException], None]
    ) -> None:
        """Start ``coroutine`` on the order loop without waiting; it ends with ``stop``.

        ``on_failure`` is called on the caller's loop with what the coroutine raised, its
        cancellation included.
        """
        caller = asyncio.get_running_loop()

        def on_end(future: Future[Any]) -> None:
            error = asyncio.CancelledError() if future.cancelled() else future.exception()
            if error is not None and not caller.is_closed():
                caller.call_soon_threadsafe(on_failure, error)

        asyncio.run_coroutine_threadsafe(coroutine, self._loop).add_done_callback(on_end)

    def stop(self) -> None:
        """Cancel what still runs there and end the thread."""
        asyncio.run_coroutine_threadsafe(self._cancel_all(), self._loop).result(timeout=5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _cancel_all(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        await cancel_all(tasks)


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel ``tasks`` until every one has ended, for code from elsewhere may lose a cancellation.

    What they raise on their way is theirs: it goes nowhere.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        ended, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
        await asyncio.gather(*ended, return_exceptions=True)
