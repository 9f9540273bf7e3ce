"""Notices that the store's files were deleted, replaced or cut while they are in use.

SQLite itself does not: it keeps the files that it has opened, and appends to a write-ahead log that
was cut behind the place where it knows the end to be. Nothing after such a gap is ever read again,
so that a transition would be acknowledged, and forgotten by the next start.

Only the log is opened here. SQLite's locks on the other files are the process's, and would be gone
as soon as a second descriptor of them is closed.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from trading.errors import StoreError

# https://sqlite.org/walformat.html
_LOG_HEADER = struct.Struct(">4I8s8s")  # magic, version, page size, sequence, salts, checksums
_LOG_MAGICS = (0x377F0682, 0x377F0683)
_FRAME_HEADER = struct.Struct(">2I8s8s")  # page, size after a commit (else 0), salts, checksums
_TRIES, _PAUSE_S = 5, 0.001  # a writer may be at work between two of our reads


@dataclass(frozen=True, slots=True)
class _Log:
    """The committed frames of one generation of the log, as far as they were seen."""

    salts: bytes = b""  # another generation has others
    end: int = 0  # in bytes, behind the last commit
    last_commit: bytes = b""  # its frame's header
    last_commit_at: int = 0


class FileWatch:
    """Watches the files of one open connection; used by one thread at a time."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """``connection`` must have written once, so that there is a log.

        Raises StoreError when the log cannot be opened.
        """
        self._connection = connection
        self._path = path
        self._log_path = path.with_name(f"{path.name}-wal")
        try:
            self._log = self._log_path.open("rb", buffering=0)
        except OSError as error:
            raise StoreError(f"the store's log cannot be opened: {error}") from error
        self._opened = self._identities()
        self._size = 0
        self._seen = _Log()

    def close(self) -> None:
        self._log.close()

    def require_whole(self) -> None:
        """Some system calls while nothing is wrong. Call it outside of a transaction.

        Raises StoreError when a file is not what was opened, or has lost what was committed.
        """
        if self._log.closed:
            raise StoreError(f"the store at {self._path} is closed")
        identities = self._identities()
        if None in identities or identities != self._opened:
            raise StoreError(
                f"the store at {self._path} was deleted or replaced while in use; "
                "put it back, or restart the core"
            )
        size = os.stat(self._path).st_size
        if size < self._size:
            raise self._cut(self._path)
        self._size = size
        for _ in range(_TRIES):
            seen = self._look()
            if seen is not None:
                self._seen = seen
                return
            time.sleep(_PAUSE_S)
        raise self._cut(self._log_path)

    def _look(self) -> _Log | None:
        """The log's committed frames now; None when some that were seen are gone."""
        header = os.pread(self._log.fileno(), _LOG_HEADER.size, 0)
        if not header and self._is_emptied():
            return _Log()
        if len(header) < _LOG_HEADER.size:
            return None
        magic, _, page_size, _, salts, _ = _LOG_HEADER.unpack(header)
        if magic not in _LOG_MAGICS:
            return None
        seen = self._seen if self._seen.salts == salts else _Log(salts, _LOG_HEADER.size)
        if self._frame(seen.last_commit_at) != seen.last_commit and seen.last_commit:
            return None
        length = _FRAME_HEADER.size + (page_size if page_size > 1 else 65_536)
        size = os.fstat(self._log.fileno()).st_size
        if size < seen.end:
            return None
        at = seen.end
        while at + length <= size:
            frame = self._frame(at)
            _, committed_size, frame_salts, _ = _FRAME_HEADER.unpack(frame)
            if frame_salts != salts:
                break
            if committed_size:
                seen = _Log(salts, at + length, frame, at)
            at += length
        return seen

    def _is_emptied(self) -> bool:
        """Whether a checkpoint has moved everything into the store and emptied the log.

        SQLite then counts no frames in it. It looks for frames to move, and cannot read them, when
        somebody else has emptied the log.
        """
        try:
            _, frames, _ = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error:
            return False
        return bool(frames == 0)

    def _frame(self, at: int) -> bytes:
        return os.pread(self._log.fileno(), _FRAME_HEADER.size, at)

    def _cut(self, path: Path) -> StoreError:
        return StoreError(
            f"{path} was cut or overwritten while in use; stop what else uses it and restart the "
            "core, which reads the whole store: if it is damaged, put a backup in its place"
        )

    def _identities(self) -> tuple[tuple[int, int] | None, ...]:
        """Device and inode of the store and of its log; None for one that is missing."""
        return tuple(_identity(path) for path in (self._path, self._log_path))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
