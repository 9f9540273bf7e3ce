"""One pair's order book, kept by the venue's recipe: a snapshot, then every difference in order.

Sources: binance-spot-api-docs, web-socket-streams.md, "How to manage a local order book
correctly"; for USD-M futures the page of the same name of their documentation, where an event names
the id of the one before it (``pu``).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import msgspec

from trading.model.signals import BookTop

Levels = tuple[tuple[float, float], ...]
MAX_BUFFERED = 10_000  # differences kept until a snapshot arrives; more are as good as a gap


class DepthDiff(msgspec.Struct, frozen=True, gc=False):
    """A ``depthUpdate``: new quantities of price levels, 0 for a level that is gone."""

    s: str
    E: int
    U: int
    u: int
    b: Levels
    a: Levels
    pu: int | None = None  # futures only: ``u`` of the event before


class BookSnapshot(msgspec.Struct, frozen=True, gc=False):
    """A depth snapshot as REST answers it."""

    lastUpdateId: int  # noqa: N815 - the venue's name
    bids: Levels
    asks: Levels


class LocalBook:
    """Levels of one pair. Empty, and not in sync, until a snapshot and the stream fit together."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.update_id = 0
        self.is_synced = False
        self._time_ms = 0
        self._bids: dict[float, float] = {}
        self._asks: dict[float, float] = {}
        self._early: list[DepthDiff] = []
        self._joins_snapshot = False

    def reset(self) -> None:
        """The stream broke off: nothing is known any more."""
        self.is_synced = False
        self.update_id = 0
        self._bids, self._asks, self._early = {}, {}, []

    def apply(self, diff: DepthDiff) -> bool:
        """Take in the next event of the stream; False when a gap shows and a snapshot is needed."""
        if not self.is_synced:
            if len(self._early) >= MAX_BUFFERED:
                self._early = []
            self._early.append(diff)
            return True
        if diff.u <= self.update_id:
            return True
        if not self._follows(diff):
            self.reset()
            self._early.append(diff)
            return False
        self._joins_snapshot = False
        self.update_id = diff.u
        self._time_ms = diff.E
        _set(self._bids, diff.b)
        _set(self._asks, diff.a)
        return True

    def load(self, snapshot: BookSnapshot, time_ms: int) -> bool:
        """Begin with ``snapshot``; False when the stream has gone on without it: take another."""
        early = [diff for diff in self._early if diff.u > snapshot.lastUpdateId]
        self.update_id = snapshot.lastUpdateId
        self._time_ms = time_ms
        self._bids, self._asks = dict(snapshot.bids), dict(snapshot.asks)
        self._joins_snapshot = True
        self.is_synced = True
        for index, diff in enumerate(early):
            if not self.apply(diff):
                self._early = early[index:]
                return False
        self._early = []
        return True

    def top(self, levels: int) -> BookTop | None:
        """The best ``levels`` of both sides; None while the book is not in sync."""
        if not self.is_synced:
            return None
        bids = heapq.nlargest(levels, self._bids.items())
        asks = heapq.nsmallest(levels, self._asks.items())
        return BookTop(self.symbol, tuple(bids), tuple(asks), self._time_ms)

    def _follows(self, diff: DepthDiff) -> bool:
        if diff.pu is None:
            return self.update_id + 1 >= diff.U
        # The event that joins a snapshot holds its id, or comes right after one that ended with it.
        joins = self._joins_snapshot and self.update_id >= diff.U
        return joins or diff.pu == self.update_id


def _set(side: dict[float, float], levels: Iterable[tuple[float, float]]) -> None:
    for price, quantity in levels:
        if quantity:
            side[price] = quantity
        else:
            side.pop(price, None)
