"""What a gateway knows of the fleet, in memory and in its store."""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import suppress
from dataclasses import replace

from trading.errors import StoreError
from trading.storage.config import StorageConfig
from trading.storage.database import open_database
from trading.storage.fleet_repository import FleetMemory, FleetRepository
from trading.storage.risk_event_repository import RiskEventRepository

logger = logging.getLogger(__name__)

CLEARED_RULE = "fleet_cleared"


class FleetNotes:
    """Thread-safe. A store that fails does not keep the fleet from halting: the breaker trips for
    it, and memory goes on."""

    def __init__(self, storage: StorageConfig) -> None:
        """Raises StoreError."""
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection = open_database(storage, check=False)
        self._rows = FleetRepository(self._connection)
        self._events = RiskEventRepository(self._connection)
        self._known: FleetMemory = self._rows.load()

    @property
    def known(self) -> FleetMemory:
        return self._known

    def saw(self, epoch: int) -> None:
        """The fleet has reached ``epoch``."""
        with self._lock:
            known = self._known
            self._known = replace(known, seen_epoch=max(known.seen_epoch, epoch))
            self._store(seen=epoch)

    def made(self, epoch: int, breaker_epoch: int) -> None:
        """Our own trip, of ``breaker_epoch`` here, is ``epoch`` of the fleet."""
        with self._lock:
            known = self._known
            self._known = replace(
                known,
                seen_epoch=max(known.seen_epoch, epoch),
                owned_epoch=max(known.owned_epoch, epoch),
                told_epoch=max(known.told_epoch, breaker_epoch),
            )
            self._store(seen=epoch, owned=epoch, told=breaker_epoch)

    def need_not_tell(self, breaker_epoch: int, *, and_before: bool = False) -> None:
        """The trip of ``breaker_epoch`` came from the fleet; or all up to it are over."""
        with self._lock:
            known = self._known
            if and_before:
                self._known = replace(known, told_epoch=max(known.told_epoch, breaker_epoch))
                self._store(told=breaker_epoch)
                return
            if known.told_epoch == breaker_epoch - 1:
                self._known = replace(known, told_epoch=breaker_epoch)
            try:
                self._rows.skip(breaker_epoch)
            except StoreError as error:
                logger.error("not remembered over a restart: %s", error)

    def look_again(self) -> FleetMemory:
        """What another process on the same store has noted, too."""
        with self._lock, suppress(StoreError):
            stored, known = self._rows.load(), self._known
            self._known = replace(known, told_epoch=max(known.told_epoch, stored.told_epoch))
        return self._known

    def record_clear(self, message: str, now_ms: int, breaker_epoch: int) -> None:
        with self._lock:
            try:
                self._events.record(CLEARED_RULE, message, now_ms, breaker_epoch=breaker_epoch)
            except StoreError as error:
                logger.error("the clearing of the fleet could not be recorded: %s", error)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _store(self, *, seen: int = 0, owned: int = 0, told: int = 0) -> None:
        try:
            self._rows.raise_to(seen=seen, owned=owned, told=told)
        except StoreError as error:
            logger.error("not remembered over a restart: %s", error)
