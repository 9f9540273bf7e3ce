"""The audit log's chain as plain functions: what an entry's hash covers, and what breaks the chain.

``hash = SHA-256(JSON of all other columns in their order)``, the hash of the entry before included.
So an edited, inserted, removed or moved entry changes what follows from it; only a cut end leaves a
whole chain behind, which is why the newest entry is also noted outside the table.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

FIRST_PREVIOUS_HASH = "0" * 64

FindingKind = Literal["edited", "missing", "broken_link", "truncated", "unprotected", "record"]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry. ``payload`` is JSON text, kept as it was hashed."""

    seq: int
    timestamp: str
    time_ms: int
    kind: str
    actor: str
    subject: str
    payload: str
    previous_hash: str
    hash: str

    @property
    def right_hash(self) -> str:
        """What ``hash`` is while nobody has edited the entry."""
        return entry_hash(
            self.seq,
            self.timestamp,
            self.time_ms,
            self.kind,
            self.actor,
            self.subject,
            self.payload,
            self.previous_hash,
        )


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The newest entry at some moment: enough to notice that the log was cut or written anew."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """Something wrong at entry ``seq``."""

    kind: FindingKind
    seq: int
    message: str


def entry_hash(
    seq: int,
    timestamp: str,
    time_ms: int,
    kind: str,
    actor: str,
    subject: str,
    payload: str,
    previous_hash: str,
) -> str:
    """SHA-256 over everything an entry says, its place included, in hexadecimal."""
    columns = [seq, timestamp, time_ms, kind, actor, subject, payload, previous_hash]
    covered = json.dumps(columns, default=repr)  # a tampered one may be of any type
    return hashlib.sha256(covered.encode()).hexdigest()


def check_chain(
    entries: Iterable[AuditEntry], heads: Iterable[AuditHead] = ()
) -> Iterator[AuditFinding]:
    """Every break in ``entries``, which come in the order of their numbers.

    ``heads`` are entries known to have been there.
    """
    wanted: defaultdict[int, set[AuditHead]] = defaultdict(set)
    for head in heads:
        wanted[head.seq].add(head)
    seq, previous_hash = 0, FIRST_PREVIOUS_HASH
    for entry in entries:
        yield from _check_entry(entry, seq, previous_hash)
        if any(head.hash != entry.hash for head in wanted.pop(entry.seq, ())):
            yield AuditFinding(
                "edited", entry.seq, f"entry {entry.seq} is not the one its head record names"
            )
        seq, previous_hash = entry.seq, entry.hash
    for gone in sorted(wanted):
        yield AuditFinding("truncated", gone, f"entry {gone} was there; the log now ends at {seq}")


def _check_entry(entry: AuditEntry, seq: int, previous_hash: str) -> Iterator[AuditFinding]:
    if entry.seq != seq + 1:
        yield AuditFinding("missing", entry.seq, f"entries {seq + 1} to {entry.seq - 1} are gone")
    elif entry.previous_hash != previous_hash:
        yield AuditFinding(
            "broken_link", entry.seq, f"entry {entry.seq} does not follow entry {seq}"
        )
    if entry.hash != entry.right_hash:
        yield AuditFinding("edited", entry.seq, f"entry {entry.seq} was edited")
