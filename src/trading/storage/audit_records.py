"""Compares the tables with what the audit log says of them: a row edited by hand is found here."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from trading.storage.approval_repository import ASKED_COLUMNS
from trading.storage.audit_chain import AuditEntry, AuditFinding
from trading.storage.decision_repository import HASHED_COLUMNS
from trading.storage.repository import digest_of

Payload = dict[str, Any]

_ORDER_TEXTS = ("symbol", "side", "type", "purpose")
_ORDER_NUMBERS = ("quantity", "limit_price", "trigger_price")
_ORDER_NOW = ("filled_quantity", "filled_notional")


class RecordedRows:
    """What the log says of each row; fed entry by entry, then compared with the store."""

    def __init__(self) -> None:
        self._before: dict[str, int] = {}  # rows up to this one are older than the log
        self._orders: dict[str, Payload] = {}
        self._fills: dict[tuple[str, str], Payload] = {}
        self._events: dict[int, Payload] = {}
        self._decisions: dict[int, Payload] = {}
        self._trades: dict[int, Payload] = {}
        self._approvals: dict[int, Payload] = {}
        self._controls: dict[str, Payload] = {}

    def add(self, entry: AuditEntry) -> None:
        """Remember what ``entry`` says. One that cannot be read says nothing."""
        try:
            payload = json.loads(entry.payload)
            self._add(entry, payload)
        except (ValueError, TypeError, KeyError, AttributeError):
            return  # the chain has found it already

    def _add(self, entry: AuditEntry, payload: Payload) -> None:
        match entry.kind:
            case "store":
                self._before |= payload.get("last_rowids_before", {})
            case "order":
                self._orders.setdefault(entry.subject, {}).update(payload)
            case "fill":
                self._fills[(entry.subject, payload["trade"])] = payload
            case "breaker":
                self._events[int(payload["event"])] = {
                    **payload,
                    "kind": entry.subject,
                    "actor": entry.actor,
                }
            case "decision":
                self._decisions[int(entry.subject)] = {**payload, "agent": entry.actor}
            case "trade":
                self._trades[int(entry.subject)] = payload
            case "approval":
                self._approvals.setdefault(int(entry.subject), {}).update(payload)
            case "control" if payload["changed"]:
                self._add_control(entry, payload)

    def _add_control(self, entry: AuditEntry, payload: Payload) -> None:
        if payload["what"] == "lifted":
            self._controls.pop(entry.subject, None)
            return
        self._controls[entry.subject] = {
            "reason": payload["reason"],
            "actor": entry.actor,
            "since_ms": entry.time_ms,
        }

    def compare(self, connection: sqlite3.Connection) -> Iterator[AuditFinding]:
        """Every row that is not as the log has it, that it does not have, or that is gone."""
        yield from self._table(connection, "orders", self._orders, _order_key, _order_differs)
        yield from self._table(connection, "fills", self._fills, _fill_key, _fill_differs)
        yield from self._table(
            connection, "circuit_breaker_events", self._events, _id_key, _event_differs
        )
        yield from self._table(
            connection, "agent_decisions", self._decisions, _id_key, _decision_differs
        )
        yield from self._table(connection, "trades", self._trades, _id_key, _trade_differs)
        yield from self._table(connection, "approvals", self._approvals, _id_key, _approval_differs)
        yield from self._table(
            connection, "operating_controls", self._controls, _name_key, _control_differs
        )

    def _table(
        self,
        connection: sqlite3.Connection,
        table: str,
        known: dict[Any, Payload],
        key_of: Callable[[sqlite3.Row], Any],
        differs: Callable[[sqlite3.Row, Payload], str | None],
    ) -> Iterator[AuditFinding]:
        left = set(known)
        for row in connection.execute(f"SELECT rowid AS audited_rowid, * FROM {table}"):
            key = key_of(row)
            left.discard(key)
            said = known.get(key)
            if said is None:
                if row["audited_rowid"] > self._before.get(table, 0):
                    yield AuditFinding("record", 0, f"{table}: {key} is in no entry of the log")
                continue
            try:
                column = differs(row, said)
            except (LookupError, TypeError):  # of entries that were removed or edited themselves
                column = "something"
            if column is not None:
                yield AuditFinding("record", 0, f"{table}: {column} of {key} was edited")
        for key in left:
            yield AuditFinding("record", 0, f"{table}: {key} was removed")


def _order_key(row: sqlite3.Row) -> str:
    return str(row["client_order_id"])


def _fill_key(row: sqlite3.Row) -> tuple[str, str]:
    return row["client_order_id"], row["trade_id"]


def _id_key(row: sqlite3.Row) -> int:
    return int(row["id"])


def _name_key(row: sqlite3.Row) -> str:
    return str(row["name"])


def _order_differs(row: sqlite3.Row, said: Payload) -> str | None:
    texts = ("status", "reason", *(name for name in _ORDER_TEXTS if name in said))
    numbers = (*_ORDER_NOW, *(name for name in _ORDER_NUMBERS if name in said))
    return _text_differs(row, said, texts) or _number_differs(row, said, numbers)


def _fill_differs(row: sqlite3.Row, said: Payload) -> str | None:
    return _text_differs(row, said, ("symbol", "side", "fee_asset")) or _number_differs(
        row, said, ("price", "quantity", "fee")
    )


def _event_differs(row: sqlite3.Row, said: Payload) -> str | None:
    renamed = {
        "from_status": said["from"],
        "to_status": said["to"],
        "trigger_reason": said["reason"],
        "epoch": said["epoch"],
        "kind": said["kind"],
        "actor": said["actor"],
    }
    return _text_differs(row, renamed, tuple(renamed))


def _decision_differs(row: sqlite3.Row, said: Payload) -> str | None:
    renamed = {
        "decision": said["decision"],
        "decision_type": said["type"],
        "agent_name": said["agent"],
        "confidence": said["confidence"],
    }
    if digest_of(row[column] for column in HASHED_COLUMNS) != said["sha256"]:
        return " or ".join(HASHED_COLUMNS)
    return _text_differs(row, renamed, tuple(renamed))


def _trade_differs(row: sqlite3.Row, said: Payload) -> str | None:
    return _text_differs(row, said, tuple(said))


def _approval_differs(row: sqlite3.Row, said: Payload) -> str | None:
    if "sha256" not in said:  # of an earlier release, which told less
        return _text_differs(row, said, ("status", "symbol")) or _number_differs(
            row, said, ("quantity", "limit_price")
        )
    if digest_of(row[column] for column in ASKED_COLUMNS) != said["sha256"]:
        return " or ".join(ASKED_COLUMNS)
    result = None if row["result"] is None else digest_of((row["result"],))
    if result != said.get("result_sha256"):
        return "result"
    return _text_differs(
        row, {"reason": "", "decided_at_ms": None, **said}, ("status", "reason", "decided_at_ms")
    )


def _control_differs(row: sqlite3.Row, said: Payload) -> str | None:
    return _text_differs(row, said, tuple(said))


def _text_differs(row: sqlite3.Row, said: Payload, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if row[name] != said[name]), None)


def _number_differs(row: sqlite3.Row, said: Payload, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if not _equal(row[name], said[name])), None)


def _equal(stored: object, said: object) -> bool:
    if stored is None or said is None:
        return stored is said
    try:
        return Decimal(str(stored)) == Decimal(str(said))
    except InvalidOperation:
        return False
