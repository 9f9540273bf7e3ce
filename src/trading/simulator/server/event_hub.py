"""User data on its way out: held while an order is answered, delayed by faults, then sent."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable

from trading.simulator.config import UserEventOrder
from trading.simulator.server.connection import Connection


class EventHub(ABC):
    """Encoded events of accounts to the connections that listen to them.

    While an order is being answered its events are held, and then sent before or after the answer
    (``UserEventOrder``); both happen on the real venue and a client must survive both.
    """

    def __init__(self, order: UserEventOrder, seed: int) -> None:
        self._order = order
        self._random = random.Random(seed)
        self._holds: defaultdict[str, int] = defaultdict(int)
        self._held: defaultdict[str, list[tuple[bytes, float]]] = defaultdict(list)

    def sends_before_answer(self) -> bool:
        """Whether the events of the order now being handled go out before its answer."""
        if self._order is UserEventOrder.MIXED:
            return self._random.random() < 0.5
        return self._order is UserEventOrder.BEFORE

    def hold(self, account_id: str) -> Callable[[], None]:
        """Keep the account's events back until the returned function is called."""
        self._holds[account_id] += 1

        def release() -> None:
            self._holds[account_id] -= 1
            if self._holds[account_id] == 0:
                for event, delay_s in self._held.pop(account_id, []):
                    self._send(account_id, event, delay_s)

        return release

    async def flush(self, account_id: str) -> None:
        """Wait until the events sent so far are on the wire."""
        for connection in list(self._connections(account_id)):
            await connection.flush()

    def _deliver(self, account_id: str, event: bytes, delays_s: Iterable[float]) -> None:
        """Send ``event`` once for each delay, or hold it."""
        for delay_s in delays_s:
            if self._holds[account_id]:
                self._held[account_id].append((event, delay_s))
            else:
                self._send(account_id, event, delay_s)

    def _send(self, account_id: str, event: bytes, delay_s: float = 0.0) -> None:
        if delay_s > 0:
            asyncio.get_running_loop().call_later(delay_s, self._send, account_id, event)
        else:
            self._write(account_id, event)

    @abstractmethod
    def _connections(self, account_id: str) -> Iterable[Connection]:
        """Who listens to the account."""

    @abstractmethod
    def _write(self, account_id: str, event: bytes) -> None:
        """Queue the event on every connection that listens."""
