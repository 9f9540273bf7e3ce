"""What operators have stopped, as the order path obeys it."""

from __future__ import annotations

import sqlite3

from trading.errors import RiskLimitError
from trading.model.operations import ENTRIES, Control, Controls
from trading.storage.control_repository import ControlRepository
from trading.storage.database import translated_errors


class OperatingControls:
    """The rows of operating_controls and a copy in memory. On the order loop; reads from anywhere.

    The copy follows what other processes on the store set (the command line, where the core does
    not answer); an entry's own transaction and its last look before the wire read the row itself.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._rows = ControlRepository(connection)
        self._data_version = -1
        self._halting = False
        self.now = Controls()
        self.follow()

    @property
    def entries_halted(self) -> bool:
        return self._halting or self.now.entries_halted

    def set(self, name: str, reason: str, now_ms: int, *, actor: str) -> bool:
        """In force at once, and durable when this returns; False when it was in force already.

        Raises StoreError: it is in force in this process, and not stored.
        """
        if name == ENTRIES:
            self._halting = True
        elif self.now.get(name) is None:
            added = Control(name=name, reason=reason, actor=actor, since_ms=now_ms)
            self.now = Controls(active=(*self.now.active, added))
        changed = self._rows.set(name, reason, now_ms, actor=actor)
        self.now = self._rows.load()
        self._halting = False
        return changed

    def lift(self, name: str, reason: str, now_ms: int, *, actor: str) -> bool:
        """Out of force once that is durable. Raises StoreError."""
        changed = self._rows.lift(name, reason, now_ms, actor=actor)
        self.now = self._rows.load()
        self._halting = self._halting and name != ENTRIES
        return changed

    def follow(self) -> None:
        """Read the rows again where another connection has written. Raises StoreError."""
        with translated_errors("reading the operating controls", self._connection):
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._data_version:
            self.now = self._rows.load()
            self._data_version = version

    def check_entry(self) -> None:
        """Raise RiskLimitError while an operator's word stands against any entry."""
        halted = self.now.get(ENTRIES)
        if halted is not None or self._halting:
            raise RiskLimitError(
                "entries_halted", limit="entries allowed", value="halted", message=_why(halted)
            )
        paused = self.now.paused_link
        if paused is not None:
            raise RiskLimitError(
                "agent_paused",
                limit="all agents running",
                value=f"{paused.agent} paused",
                message=_why(paused),
            )


def _why(control: Control | None) -> str:
    return f"by {control.actor}: {control.reason}" if control is not None else "just now"
