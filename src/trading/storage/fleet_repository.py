"""The one row of fleet_memory: what survives a restart of the halt shared through Redis."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from trading.errors import StoreCorruptError
from trading.storage.repository import Repository


@dataclass(frozen=True, slots=True)
class FleetMemory:
    """``node`` names this store among all. Of the fleet's epochs, ``seen_epoch`` is the highest
    ever heard of and ``owned_epoch`` the newest that this store's own trip made; 0 for none.
    ``told_epoch`` is the breaker's epoch up to which every trip has been passed on, or came from
    the fleet."""

    node: str
    seen_epoch: int
    owned_epoch: int
    told_epoch: int


class FleetRepository(Repository):
    """Reads and writes fleet_memory; epochs never fall."""

    def load(self) -> FleetMemory:
        """The row, made when there is none. Raises StoreError."""
        self._execute(
            "INSERT INTO fleet_memory (id, node, seen_epoch, owned_epoch, told_epoch)"
            " VALUES (1, ?, 0, 0, 0) ON CONFLICT (id) DO NOTHING",
            (secrets.token_hex(8),),
        )
        row = self._row("SELECT node, seen_epoch, owned_epoch, told_epoch FROM fleet_memory")
        if row is None:
            raise StoreCorruptError("fleet_memory takes no row")
        return FleetMemory(*row)

    def raise_to(self, *, seen: int = 0, owned: int = 0, told: int = 0) -> None:
        """Raise each epoch to the given one where it is lower. Raises StoreError."""
        self._execute(
            "UPDATE fleet_memory SET seen_epoch = max(seen_epoch, :seen),"
            " owned_epoch = max(owned_epoch, :owned), told_epoch = max(told_epoch, :told)",
            {"seen": seen, "owned": owned, "told": told},
        )

    def skip(self, epoch: int) -> None:
        """The breaker's trip of ``epoch`` need not be passed on; those before it still must.

        Raises StoreError.
        """
        self._execute(
            "UPDATE fleet_memory SET told_epoch = :epoch WHERE told_epoch = :epoch - 1",
            {"epoch": epoch},
        )
