"""The core's part in the audit log: its configuration, its operators' commands, its head record."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from trading.errors import StoreCorruptError, StoreError
from trading.model.breaker import Actor, BreakerStatus, Latch
from trading.node.board import Board
from trading.node.records import Records, RecordTables
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.audit_anchor import AuditAnchor
from trading.storage.audit_chain import AuditHead
from trading.storage.audit_log import AuditLog
from trading.storage.repository import digest_of, to_json

log = logging.getLogger(__name__)

AUDIT_RULE = "audit_log"
NOTE_HEAD_EVERY_MS = 1_000


class CoreAudit:
    """Writes on the records' thread, so that nothing waits for it."""

    def __init__(
        self, records: Records, store_path: Path, breaker: CircuitBreaker, board: Board
    ) -> None:
        self._records = records
        self._anchor = AuditAnchor(store_path)
        self._breaker = breaker
        self._board = board
        self._next_ms = 0
        self._problem = ""
        self.head: AuditHead | None = None  # the newest one noted

    def advance(self, monotonic_ms: int) -> None:
        """Note the newest entry once in a while; a log that contradicts the record halts."""
        if monotonic_ms >= self._next_ms:
            self._next_ms = monotonic_ms + NOTE_HEAD_EVERY_MS
            self._records.write(self._note_head)

    def operator(self, command: str, details: Mapping[str, Any], now_ms: int) -> None:
        """A command that came from the operator's socket."""
        self._records.write(
            lambda tables: tables.audit.append(
                "operator", command, details, now_ms, actor=Actor.OPERATOR.value
            )
        )

    def configuration(self, config: BaseModel, now_ms: int) -> None:
        """What the core runs with, where that differs from what it ran with before."""
        values = flattened(config.model_dump(mode="json"))
        self._records.write(lambda tables: record_configuration(tables.audit, values, now_ms))

    def close(self) -> None:
        """Note the head a last time; the records must still be open."""
        self._records.write(self._note_head)

    def _note_head(self, tables: RecordTables) -> None:
        try:
            if self._anchor.read() is None:
                self._begin(tables.audit)
            self.head = self._anchor.advance(tables.audit)
        except StoreCorruptError as error:
            self._contradicted(str(error))
        except StoreError as error:  # the log itself is whole; its record is behind
            log.error("the audit log's head could not be noted: %s", error)

    def _begin(self, audit: AuditLog) -> None:
        """There is no head record: one of an older release, or one that was removed."""
        head = audit.head()
        if head is not None:
            newest = audit.entry(head.seq)
            assert newest is not None
            audit.append("anchor", "no head record", {"ends_at": head.seq}, newest.time_ms)
        log.warning("the audit log had no head record; one begins at %s", head)

    def _contradicted(self, problem: str) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        advice = "`audit verify` says where; `audit accept` goes on with it"
        self._board.say("audit", f"{problem} ({advice})", "critical")
        snapshot = self._breaker.snapshot
        if snapshot.status is BreakerStatus.TRIGGERED and snapshot.latch is Latch.MANUAL:
            log.critical("the audit log: %s", problem)
            return
        self._breaker.trigger(problem, actor=Actor.SYSTEM, rule=AUDIT_RULE, latch=True)


def record_configuration(audit: AuditLog, values: Mapping[str, Any], now_ms: int) -> None:
    """One entry with the keys that changed since the last one, each old and new."""
    before = stored_configuration(audit)
    changed = {
        key: [before.get(key), values.get(key)]
        for key in sorted({*before, *values})
        if before.get(key) != values.get(key)
    }
    if changed:
        digest = digest_of([to_json(dict(values))])
        audit.append("configuration", "core", {"changed": changed, "sha256": digest}, now_ms)


def stored_configuration(audit: AuditLog) -> dict[str, Any]:
    """The configuration that the entries, oldest first, add up to; keys are dotted."""
    values: dict[str, Any] = {}
    for entry in reversed(audit.latest(-1, kind="configuration")):
        for key, (_, new) in json.loads(entry.payload)["changed"].items():
            values[key] = new
    return values


def flattened(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys; lists stay whole."""
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= flattened(inner, f"{prefix}.{key}" if prefix else str(key))
    return flat
