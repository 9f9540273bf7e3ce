"""Who listens to which market stream, and how a payload reaches them."""

from __future__ import annotations

from typing import Any

import orjson

from trading.model.order import Side
from trading.simulator.server.connection import Connection
from trading.simulator.server.wire import Json, in_microseconds

BEAT_S = 0.1  # timed streams are looked at so often

Levels = dict[Side, dict[str, str]]


class BookDiff:
    """The changes of one symbol's book since the last event of one depth stream.

    Levels that came and went in between, or went and came, count as changed. Only a snapshot shows
    them, so after one the next event names every level.
    """

    def __init__(self, version: int, levels: Levels) -> None:
        self._version = version
        self._levels = levels
        self._shown: dict[Side, set[str]] = {}

    def show(self, levels: Levels) -> None:
        """A snapshot was given to somebody."""
        for side, rows in levels.items():
            self._shown.setdefault(side, set()).update(rows)

    def advance(self, version: int, levels: Levels, nothing: str) -> Json | None:
        """Update ids and changed levels, ``nothing`` as quantity of those that are gone.

        None when nothing has changed.
        """
        if version == self._version:
            return None
        changes = {
            side: [
                [price, new.get(price, nothing)]
                for price in dict.fromkeys((*self._levels[side], *self._shown.get(side, ()), *new))
                if self._shown or new.get(price) != self._levels[side].get(price)
            ]
            for side, new in levels.items()
        }
        first, self._version, self._levels = self._version + 1, version, levels
        self._shown = {}
        return {"U": first, "u": version, "b": changes[Side.BUY], "a": changes[Side.SELL]}


class StreamBoard:
    """Listeners by stream name."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Connection]] = {}

    def subscribe(self, connection: Connection, name: str) -> None:
        connection.streams.add(name)
        self._listeners.setdefault(name, set()).add(connection)

    def unsubscribe(self, connection: Connection, name: str) -> None:
        connection.streams.discard(name)
        listeners = self._listeners.get(name, set())
        listeners.discard(connection)
        if not listeners:
            self._listeners.pop(name, None)
            self._unheard(name)

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""
        for name in list(connection.streams):
            self.unsubscribe(connection, name)

    def _unheard(self, name: str) -> None:
        """Nobody listens to ``name`` any more."""

    def _publish(self, name: str, payload: Any) -> None:
        """One frame for all listeners of a kind: raw or combined, milliseconds or microseconds."""
        frames: dict[tuple[bool, bool], bytes] = {}
        for connection in self._listeners.get(name, ()):
            kind = (connection.combined, connection.microseconds)
            frame = frames.get(kind)
            if frame is None:
                frame = orjson.dumps(in_microseconds(payload) if kind[1] else payload)
                if connection.combined:
                    frame = b'{"stream":"%b","data":%b}' % (name.encode(), frame)
                frames[kind] = frame
            connection.send_bytes(frame)
