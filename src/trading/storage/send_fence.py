"""A fence on the wire for all processes that share a store.

The transaction that journals an order reads the breaker's row, so an order that is journalled after
a trip's commit is refused. What remains are orders that were journalled before it and have not left
yet, in processes that the trip's own gate knows nothing of. For those:

- a sender holds a lock on a byte of its own while it looks at the breaker's row for the last time
  and hands over its bytes (microseconds, not the time that connecting takes);
- a trip holds the first byte from its beginning, which turns senders away at once, and after its
  commit waits until no other process holds a byte of its own.

Whoever took the byte after the commit reads the new row and gives up; whoever took it before is
waited for. The kernel frees the locks of a process that dies. A process that is stopped with its
byte held keeps a trip waiting until its bound; its order then carries a time that the venue does
not take any more (``CircuitBreakerConfig.foreign_fence_timeout_ms``).
"""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
import threading
import time
from pathlib import Path

from trading.errors import StoreError, TradingHaltedError

_HALT_BYTE = 0
_OWN_BYTE_BITS = 60
_PAUSE_S, _LONGEST_PAUSE_S = 0.000_05, 0.002
# struct flock of 64-bit Linux: type, whence, (padding), start, length, process id.
_FLOCK = "hhqqi4x"


def fence_path(store: Path) -> Path:
    """The lock file beside the store; it stays when the store is gone."""
    return store.with_name(f"{store.name}.fence")


class SendFence:
    """One party of the fence: the breaker and the gateway of a process use the same one."""

    def __init__(self, store: Path) -> None:
        """Raises StoreError when the lock file beside the store cannot be opened."""
        path = fence_path(store)
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"opening the fence {path} failed: {error}") from error
        self._own_byte = 1 + secrets.randbits(_OWN_BYTE_BITS)
        self._lock = threading.Lock()
        self._sending = 0
        self._halting = 0
        self._closed = False

    def enter(self) -> None:
        """Announce that bytes are about to leave; end it with ``leave``.

        Raises:
            TradingHaltedError: another process is tripping, or the fence cannot be taken.
        """
        with self._lock:
            if not self._closed and (self._sending or self._try(fcntl.F_RDLCK, self._own_byte)):
                self._sending += 1
            else:
                raise TradingHaltedError("the fence of the store cannot be taken")
        if self._is_locked_elsewhere(_HALT_BYTE, 1):
            self.leave()
            raise TradingHaltedError("another process that shares the store is tripping")

    def leave(self) -> None:
        """The bytes have left, or will not."""
        with self._lock:
            self._sending -= 1
            if self._sending == 0:
                self._try(fcntl.F_UNLCK, self._own_byte)

    def begin_trip(self) -> None:
        """Turn away senders of other processes; end it with ``end_trip``. Never waits.

        When another trip holds the byte already, its hold serves as well: this trip's commit is
        what turns senders away for good.
        """
        with self._lock:
            self._halting += 1
            if not self._closed:
                self._try(fcntl.F_WRLCK, _HALT_BYTE)

    def wait_for_others(self, timeout_ms: int) -> bool:
        """Wait until no other party is handing over bytes; False when the time was not enough.

        Call it after the commit of a trip.
        """
        deadline = time.monotonic() + timeout_ms / 1000
        pause_s = _PAUSE_S
        while not self._others_are_quiet():
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        return True

    def end_trip(self) -> None:
        with self._lock:
            self._halting -= 1
            if self._halting == 0 and not self._closed:
                self._try(fcntl.F_UNLCK, _HALT_BYTE)

    def close(self) -> None:
        """Give up every lock; ``enter`` refuses from now on."""
        with self._lock:
            if not self._closed:
                self._closed = True
                file, self._file = self._file, -1  # its number may be another file's soon
                os.close(file)

    def _others_are_quiet(self) -> bool:
        first, after = _HALT_BYTE + 1, self._own_byte + 1
        below = self._own_byte - first
        if below and self._is_locked_elsewhere(first, below):
            return False
        return not self._is_locked_elsewhere(after, 0)

    def _try(self, kind: int, byte: int) -> bool:
        """Take or give up one byte, for this party alone; False when another one holds it."""
        try:
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, _lock(kind, byte, 1))
        except OSError:
            return False
        return True

    def _is_locked_elsewhere(self, start: int, length: int) -> bool:
        """Whether another party holds a byte of the range; a length of 0 reaches to the end."""
        wanted = _lock(fcntl.F_WRLCK, start, length)
        try:
            found = fcntl.fcntl(self._file, fcntl.F_OFD_GETLK, wanted)
        except OSError:
            return True
        return bool(struct.unpack(_FLOCK, found)[0] != fcntl.F_UNLCK)


def _lock(kind: int, start: int, length: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, start, length, 0)
