"""The gate's view of those who may halt this process from outside."""

from __future__ import annotations

from collections.abc import Callable

from trading.errors import TradingHaltedError
from trading.execution.journal import Journal
from trading.storage.send_fence import SendFence

Clearance = Callable[[], str | None]
"""Why no entry may leave this process just now; None when it may. Cheap, and never blocks."""


def always_clear() -> str | None:
    """The clearance of a gateway that no other machine can halt."""
    return None


class SharedHalt:
    """Lets an entry pass while neither the shared store nor another machine objects.

    ``fence`` is None for a breaker without a store, which blocks entries anyway.
    """

    def __init__(self, journal: Journal, fence: SendFence | None, clearance: Clearance) -> None:
        self._journal = journal
        self._fence = fence
        self._clearance = clearance

    def enter(self, epoch: int) -> None:
        """Announce the send, then read the store's row and the clearance: never before.

        Raises:
            TradingHaltedError: another process trips or has tripped, or there is no clearance.
            DecisionRejectedError: the stored epoch is not ``epoch``.
        """
        if self._fence is not None:
            self._fence.enter()
        try:
            self._journal.check_breaker(epoch)
            objection = self._clearance()
            if objection is not None:
                raise TradingHaltedError(objection)
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        if self._fence is not None:
            self._fence.leave()
