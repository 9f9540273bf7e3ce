"""The breaker's state in shared memory: written by the core, read by workers before every action.

A file of two slots and a few 8-byte words. The writer fills the slot that readers are not using
and moves the sequence number last, so a reader sees the old state or the new one; a checksum
catches the rest. The core beats a heartbeat of the monotonic clock, which all processes of one
machine share. Missing, torn, stale or foreign records read as TRIGGERED.

The file outlives its core, and says to the next one what the last one had in force: also a trip
that a failing store has never taken.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time
import zlib
from pathlib import Path

from pydantic import ValidationError

from trading.errors import StoreError
from trading.model.breaker import Actor, BreakerSnapshot, BreakerStatus, Latch

MAGIC = int.from_bytes(b"SPKGBRK1", "little")
SIZE = 8192
_MAGIC, _SEQUENCE, _HEARTBEAT_NS, _NOW_MS, _PID, _STORE = range(6)  # 8-byte words at the start
_SLOTS = (64, 64 + 4064)  # where the two slots begin
_SLOT_HEAD = struct.Struct("=II")  # payload length, CRC-32
_MAX_PAYLOAD = 4064 - _SLOT_HEAD.size
_READ_TRIES = 8
_REOPEN_AFTER_NS = 100_000_000


class SharedRecordWriter:
    """The core's side. ``write`` and ``beat`` may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Create or take over the record; readers see TRIGGERED until the first beat.

        Raises StoreError when the file cannot be made, also for want of space: a page that gets
        none when it is first written would end the process.
        """
        self._lock = threading.Lock()
        self._closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.ftruncate(descriptor, SIZE)
                os.posix_fallocate(descriptor, 0, SIZE)
                self._memory = mmap.mmap(descriptor, SIZE)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StoreError(f"cannot create the shared record {path}: {error}") from error
        self._words = memoryview(self._memory).cast("q")
        is_ours = self._words[_MAGIC] == MAGIC
        self._found = _decode(self._memory, self._words[_SEQUENCE]) if is_ours else None
        self._words[_HEARTBEAT_NS] = 0
        self._words[_PID] = os.getpid()
        self._words[_MAGIC] = MAGIC

    def take_over(self, store: Path) -> BreakerSnapshot | None:
        """Make this the record of the store at that path; what the last core there had in force.

        Also of a store that is missing now, or has been replaced.
        """
        identity = _identity(store)
        found = self._found if self._words[_STORE] == identity else None
        self._words[_STORE] = identity
        return found

    def write(self, snapshot: BreakerSnapshot) -> None:
        """Publish ``snapshot``: payload first, sequence last."""
        payload = _encode(snapshot)
        head = _SLOT_HEAD.pack(len(payload), zlib.crc32(payload))
        with self._lock:
            sequence = self._words[_SEQUENCE] + 1
            start = _SLOTS[sequence & 1]
            self._memory[start : start + len(head) + len(payload)] = head + payload
            self._words[_SEQUENCE] = sequence

    def beat(self, now_ms: int) -> None:
        """The core is alive and its market time is ``now_ms``."""
        with self._lock:
            if not self._closed:
                self._words[_NOW_MS] = now_ms
                self._words[_HEARTBEAT_NS] = time.monotonic_ns()

    def close(self) -> None:
        """Stop the heart: readers see TRIGGERED at once."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._words[_HEARTBEAT_NS] = 0


def last_state(path: Path, store: Path | None = None) -> BreakerSnapshot | None:
    """What the record says the last core had in force, however long ago; None without one.

    With ``store``, only what a core on the store at that path had. Changes nothing.
    """
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), SIZE, access=mmap.ACCESS_READ) as memory,
        ):
            words = memoryview(memory).cast("q")
            try:
                is_ours = words[_MAGIC] == MAGIC
                if store is not None:
                    is_ours = is_ours and words[_STORE] == _identity(store)
                return _decode(memory, words[_SEQUENCE]) if is_ours else None
            finally:
                words.release()
    except (OSError, ValueError):  # absent, or not of our size
        return None


class SharedRecordReader:
    """A worker's side. ``read`` never raises."""

    def __init__(self, path: Path, *, stale_after_ms: int = 1_000) -> None:
        self._path = path
        self._stale_after_ns = stale_after_ms * 1_000_000
        self._memory: mmap.mmap | None = None
        self._words: memoryview | None = None
        # One attribute, so that a reader never pairs one read's sequence with another's snapshot.
        self._cached: tuple[int, BreakerSnapshot] | None = None
        self._opened_ns = 0
        self._lock = threading.Lock()

    def read(self) -> BreakerSnapshot:
        """The published state, or TRIGGERED with the reason why it cannot be trusted."""
        words = self._words
        if words is not None:
            age_ns = time.monotonic_ns() - words[_HEARTBEAT_NS]
            # A beat from the future is one of an earlier boot.
            if -self._stale_after_ns <= age_ns <= self._stale_after_ns:
                cached = self._cached
                if cached is not None and words[_SEQUENCE] == cached[0]:
                    return cached[1]
                return self._decode()
        return self._reopen()

    def now_ms(self) -> int | None:
        """Market time of the core at its last beat; None without a record."""
        words = self._words
        return words[_NOW_MS] if words is not None else None

    def silent_ms(self) -> int | None:
        """Real time since the core's last beat; None where none beats or ever has."""
        self.read()  # opens the record, if there is one
        words = self._words
        beaten_ns = words[_HEARTBEAT_NS] if words is not None else 0
        return (time.monotonic_ns() - beaten_ns) // 1_000_000 if beaten_ns else None

    def close(self) -> None:
        with self._lock:
            self._close()

    def _decode(self) -> BreakerSnapshot:
        with self._lock:
            memory, words = self._memory, self._words
            if memory is None or words is None:
                return self._unsafe("the shared record is closed")
            if words[_MAGIC] != MAGIC:
                return self._unsafe("the shared record is not ours")
            for _ in range(_READ_TRIES):
                sequence = words[_SEQUENCE]
                snapshot = _decode(memory, sequence)
                if snapshot is not None and words[_SEQUENCE] == sequence:
                    self._cached = (sequence, snapshot)
                    return snapshot
            return self._unsafe("the shared record is torn")

    def _reopen(self) -> BreakerSnapshot:
        """Stale or missing: look for a new file now and then, and read unsafe meanwhile."""
        with self._lock:
            now_ns = time.monotonic_ns()
            if now_ns - self._opened_ns >= _REOPEN_AFTER_NS:
                self._opened_ns = now_ns
                self._open()
            words = self._words
            if words is None:
                return self._unsafe(f"no shared record of the core at {self._path}")
            if abs(time.monotonic_ns() - words[_HEARTBEAT_NS]) > self._stale_after_ns:
                return self._unsafe("the core's heartbeat is stale")
        return self._decode()

    def _open(self) -> None:
        self._close()
        try:
            descriptor = os.open(self._path, os.O_RDONLY)
        except OSError:
            return
        try:
            if os.fstat(descriptor).st_size != SIZE:
                return
            self._memory = mmap.mmap(descriptor, SIZE, access=mmap.ACCESS_READ)
        except OSError:
            return
        finally:
            os.close(descriptor)
        self._words = memoryview(self._memory).cast("q")

    def _close(self) -> None:
        # The views are dropped, not released: another thread may be reading through them.
        self._words = None
        self._memory = None
        if self._cached is not None:
            self._cached = (-1, self._cached[1])  # another file: decode anew, keep the epoch

    def _unsafe(self, reason: str) -> BreakerSnapshot:
        last = self._cached[1] if self._cached is not None else None
        return BreakerSnapshot(
            status=BreakerStatus.TRIGGERED,
            epoch=last.epoch if last else 0,
            latch=last.latch if last else Latch.NONE,
            causes=(reason,),
            reason=reason,
            actor=Actor.SYSTEM,
            changed_at_ms=last.changed_at_ms if last else 0,
            size_multiplier=0.0,
        )


def _identity(store: Path) -> int:
    return zlib.crc32(os.fsencode(store.resolve()))


def _decode(memory: mmap.mmap, sequence: int) -> BreakerSnapshot | None:
    """The state in the slot of ``sequence``; None when it is torn."""
    start = _SLOTS[sequence & 1]
    length, checksum = _SLOT_HEAD.unpack_from(memory, start)
    body = start + _SLOT_HEAD.size
    payload = memory[body : body + min(length, _MAX_PAYLOAD)]
    if zlib.crc32(payload) != checksum:
        return None
    try:
        return BreakerSnapshot.model_validate_json(payload)
    except ValidationError:
        return None


def _encode(snapshot: BreakerSnapshot) -> bytes:
    payload = snapshot.model_dump_json().encode()
    if len(payload) > _MAX_PAYLOAD:
        short = snapshot.model_copy(
            update={"causes": (), "reason": snapshot.reason[:500]},
        )
        payload = short.model_dump_json().encode()
    return payload
