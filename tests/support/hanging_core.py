"""The core process, with loops that a test can make hang: ``python -m hanging_core``.

A file in the folder HANGING_CORE names what stands still from the moment on that it appears.
"connections" is answered with a file of all SQLite connections that are open, "pace" with one of
how soon threads hand over the interpreter and how many objects the garbage collector leaves out.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from connections import open_connections, watch_connections

from trading.execution.service import ExecutionService
from trading.node import __main__ as core
from trading.node.guard import Guard
from trading.node.pulse import Pulse

FOLDER = Path(os.environ["HANGING_CORE"])
HANGS_S = 4.0


def hang_once(name: str) -> None:
    """Like a call that does not come back for a while: on the loop's own thread."""
    order = FOLDER / name
    if order.exists():
        order.unlink()
        time.sleep(HANGS_S)


def answer(name: str, tell: Callable[[], Any]) -> None:
    order = FOLDER / name
    if order.exists():
        order.unlink()
        draft = FOLDER / f"{name}.draft"
        draft.write_text(json.dumps(tell()))
        draft.rename(FOLDER / f"{name}.json")


def pace() -> dict[str, float]:
    return {"switch_interval_s": sys.getswitchinterval(), "frozen": gc.get_freeze_count()}


def main() -> int:
    watch_connections()
    order_duties, advance = ExecutionService.advance, Guard.advance

    async def hanging_order_duties(self: ExecutionService, now_ms: int) -> None:
        hang_once("orders")
        await order_duties(self, now_ms)

    def hanging_advance(self: Guard, now_ms: int) -> None:
        hang_once("guardian")
        answer("connections", open_connections)
        answer("pace", pace)
        advance(self, now_ms)

    def look_away(self: Guard, pulse: Pulse) -> None:
        """The mutant: nobody watches the loops."""

    ExecutionService.advance = hanging_order_duties  # type: ignore[method-assign]
    Guard.advance = hanging_advance  # type: ignore[method-assign]
    if (FOLDER / "unwatched").exists():
        Guard.trip_if_silent = look_away  # type: ignore[method-assign]
        watch: Any = lambda self, snapshot, now_ms: None  # noqa: E731
        Guard._watch_data = watch  # type: ignore[method-assign]
    return core.main()


if __name__ == "__main__":
    sys.exit(main())
