"""What every repository shares: execution with translated errors, JSON and decimals as TEXT."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from trading.errors import StoreError
from trading.storage.database import translated_errors

Parameters = Sequence[Any] | Mapping[str, Any]


class Repository:
    """Statements over one connection. Not thread-safe: one thread at a time per connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def _execute(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        with translated_errors(type(self).__name__, self._connection):
            return self._connection.execute(sql, parameters)

    def _rows(self, sql: str, parameters: Parameters = ()) -> list[sqlite3.Row]:
        with translated_errors(type(self).__name__, self._connection):
            return self._connection.execute(sql, parameters).fetchall()

    def _row(self, sql: str, parameters: Parameters = ()) -> sqlite3.Row | None:
        rows = self._rows(sql, parameters)
        return rows[0] if rows else None

    def _insert(self, table: str, values: Mapping[str, Any]) -> int:
        """Insert one row and return its row id."""
        columns = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        cursor = self._execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", values)
        if cursor.lastrowid is None:
            raise StoreError(f"no row was inserted into {table}")
        return cursor.lastrowid


def to_json(value: Any) -> str:
    """Compact JSON with sorted keys; decimals as strings, so that equal values store equally."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)


def digest_of(texts: Iterable[object]) -> str:
    """SHA-256 of several values, each in its place, in hexadecimal."""
    return hashlib.sha256(to_json([str(text) for text in texts]).encode()).hexdigest()


def from_json(text: str | None) -> Any:
    """The value of a JSON column; None for NULL."""
    return None if text is None else json.loads(text)


def to_text(value: float | Decimal | int | None) -> str | None:
    """A number as plain decimal text, without exponent."""
    if value is None:
        return None
    decimal = value if isinstance(value, Decimal) else Decimal(repr(value))
    return format(decimal, "f")


def from_text(text: str | None) -> Decimal | None:
    """What ``to_text`` wrote."""
    return None if text is None else Decimal(text)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    return str(value)
