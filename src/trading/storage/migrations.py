"""Numbered migrations; the store's version is SQLite's ``user_version``.

``sqlite_utils`` applies them and is imported only when the schema is behind, so that opening an
up-to-date store stays cheap for the quick commands and the core's start.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from trading.errors import StoreCorruptError, StoreError
from trading.storage import (
    schema_v1,
    schema_v2,
    schema_v4,
    schema_v5,
    schema_v6,
    schema_v7,
    schema_v8,
    schema_v9,
    schema_v10,
    schema_v11,
    schema_v12,
    schema_v13,
    schema_v14,
    schema_v15,
    schema_v16,
)

if TYPE_CHECKING:
    from sqlite_utils import Database


Migration = Callable[["Database"], None]


def _add(
    statements: Iterable[str] = (),
    *,
    indexes: Iterable[tuple[str, tuple[str, ...]]] = (),
    columns: Iterable[tuple[str, str]] = (),
) -> Migration:
    """Run ``statements``, then make ``indexes`` and add ``columns``, each given with its table."""

    def migrate(db: Database) -> None:
        for statement in statements:
            db.execute(statement)
        for table, names in indexes:
            db.table(table).create_index(list(names))
        for table, column in columns:
            db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")

    return migrate


def _add_audit_log(db: Database) -> None:
    schema_v6.create(db.conn)
    _add(indexes=schema_v6.INDEXES)(db)


def _add_funding(db: Database) -> None:
    _add(schema_v15.TABLES, indexes=schema_v15.INDEXES, columns=schema_v15.COLUMNS)(db)
    schema_v15.note_rows_before(db.conn)


MIGRATIONS: tuple[Migration, ...] = (
    _add(schema_v1.TABLES, indexes=schema_v1.INDEXES),
    _add(schema_v2.TABLES),
    _add(
        columns=(
            ("circuit_breaker_events", "quiescent_at TEXT"),
            ("circuit_breaker_events", "quiescent_at_ms INTEGER"),
        )
    ),
    _add(columns=[("spike_events", column) for column in schema_v4.SPIKE_COLUMNS]),
    _add(schema_v5.TABLES),
    _add_audit_log,
    _add(schema_v7.TABLES, indexes=schema_v7.INDEXES),
    _add(schema_v8.TABLES, indexes=schema_v8.INDEXES),
    _add(schema_v9.STATEMENTS),
    _add(
        schema_v10.TABLES,
        indexes=schema_v10.INDEXES,
        columns=[("agent_decisions", column) for column in schema_v10.DECISION_COLUMNS],
    ),
    _add(schema_v11.TABLES, indexes=schema_v11.INDEXES),
    _add(schema_v12.TABLES),
    _add(columns=schema_v13.COLUMNS),
    _add(schema_v14.TABLES, indexes=schema_v14.INDEXES),
    _add_funding,
    _add(columns=schema_v16.COLUMNS),
)
"""Migration n (counted from 1) brings the schema from version n - 1 to n. Never edit a released
one: append."""

LATEST_VERSION = len(MIGRATIONS)


def schema_version(connection: sqlite3.Connection) -> int:
    """Version of the open store; 0 for an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, latest: int = LATEST_VERSION) -> int:
    """Bring the store to ``latest`` in one transaction; returns how many migrations were applied.

    Safe when several processes start at once: the version is read again under the write lock.

    Raises:
        StoreCorruptError: the store was written by a newer release.
        StoreError: a migration failed; the store is as it was.
    """
    version = schema_version(connection)
    if version > latest:
        raise StoreCorruptError(
            f"the store has schema version {version}, this release knows up to {latest}"
        )
    if version == latest:
        return 0

    from sqlite_utils import Database

    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = schema_version(connection)
            db = Database(connection, execute_plugins=False)
            for number, migration in enumerate(MIGRATIONS[version:latest], start=version + 1):
                migration(db)
                connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    except sqlite3.Error as error:
        raise StoreError(f"migrating the store from version {version} failed: {error}") from error
    return latest - version
