"""The audit log's head record: which entry was the newest one, noted beside the store.

A chain whose end was cut is still whole, and one that was written anew from some entry on is whole
again; both contradict this record. It only ever names entries that are on the disk, so after a loss
of power it is at most behind the log, never ahead of it. Whoever can write the folder can write
this file, too: against such a one only a head that is kept elsewhere helps (``audit head``).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from trading.errors import StoreCorruptError, StoreError
from trading.storage.audit_chain import AuditHead
from trading.storage.audit_log import AuditLog

SUFFIX = ".audit-head"


class AuditAnchor:
    """The head record of the store at ``store_path``. Several processes may keep it."""

    def __init__(self, store_path: Path) -> None:
        self._store_path = store_path
        self.path = store_path.with_name(store_path.name + SUFFIX)

    def read(self) -> AuditHead | None:
        """The noted head; None where there is no record.

        Raises:
            StoreCorruptError: it does not say one.
            StoreError: it cannot be read.
        """
        try:
            noted = json.loads(self.path.read_bytes())
            return AuditHead(seq=int(noted["seq"]), hash=str(noted["hash"]))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"the audit log's head record {self.path}: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise StoreCorruptError(f"{self.path} is no head record: {error!r}") from error

    def advance(self, log: AuditLog) -> AuditHead:
        """Note the log's newest entry; returns it.

        Raises:
            StoreCorruptError: the log contradicts what was noted before, which then stays noted.
            StoreError: log or record cannot be read or written.
        """
        noted = self.read()  # before the log, which others may lengthen meanwhile
        head = log.head()
        if head is None:
            raise StoreCorruptError("the audit log is empty: its entries were removed")
        if noted == head:
            return head
        if noted is not None:
            there = log.entry(noted.seq)
            if there is None or there.hash != noted.hash:
                raise StoreCorruptError(
                    f"the audit log does not hold entry {noted.seq} as it was noted; it ends at "
                    f"{head.seq}: it was cut or written anew, or the store is an older copy"
                )
        self.write(head)
        return head

    def write(self, head: AuditHead) -> None:
        """Replace the record at once, after everything committed is on the disk. StoreError."""
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            self._sync_log()
            with draft.open("w") as file:
                json.dump({"seq": head.seq, "hash": head.hash}, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as error:
            raise StoreError(f"the audit log's head record {self.path}: {error}") from error

    def _sync_log(self) -> None:
        """Commits of connections that do not sync by themselves, too. SQLite keeps no locks on
        this file, so that opening and closing it does no harm."""
        try:
            log = os.open(f"{self._store_path}-wal", os.O_RDONLY)
        except FileNotFoundError:  # all of it is in the store already
            return
        try:
            os.fsync(log)
        finally:
            os.close(log)
