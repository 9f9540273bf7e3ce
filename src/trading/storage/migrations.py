"""Numbered migrations; the store's version is SQLite's ``user_version``.

``sqlite_utils`` applies them and is imported only when the schema is behind, so that opening an
up-to-date store stays cheap for the quick commands and the core's start.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
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
)

if TYPE_CHECKING:
    from sqlite_utils import Database


def _create_first_tables(db: Database) -> None:
    for statement in schema_v1.TABLES:
        db.execute(statement)
    for table, columns in schema_v1.INDEXES:
        db.table(table).create_index(list(columns))


def _add_fleet_memory(db: Database) -> None:
    for statement in schema_v2.TABLES:
        db.execute(statement)


def _add_quiescence(db: Database) -> None:
    db.execute("ALTER TABLE circuit_breaker_events ADD COLUMN quiescent_at TEXT")
    db.execute("ALTER TABLE circuit_breaker_events ADD COLUMN quiescent_at_ms INTEGER")


def _add_spike_context(db: Database) -> None:
    for column in schema_v4.SPIKE_COLUMNS:
        db.execute(f"ALTER TABLE spike_events ADD COLUMN {column}")


def _add_simulations(db: Database) -> None:
    for statement in schema_v5.TABLES:
        db.execute(statement)


def _add_audit_log(db: Database) -> None:
    schema_v6.create(db.conn)
    for table, columns in schema_v6.INDEXES:
        db.table(table).create_index(list(columns))


def _add_news(db: Database) -> None:
    for statement in schema_v7.TABLES:
        db.execute(statement)
    for table, columns in schema_v7.INDEXES:
        db.table(table).create_index(list(columns))


def _add_operations(db: Database) -> None:
    for statement in schema_v8.TABLES:
        db.execute(statement)
    for table, columns in schema_v8.INDEXES:
        db.table(table).create_index(list(columns))


def _add_equity_marks(db: Database) -> None:
    for statement in schema_v9.STATEMENTS:
        db.execute(statement)


def _add_model_calls(db: Database) -> None:
    for statement in schema_v10.TABLES:
        db.execute(statement)
    for table, columns in schema_v10.INDEXES:
        db.table(table).create_index(list(columns))
    for column in schema_v10.DECISION_COLUMNS:
        db.execute(f"ALTER TABLE agent_decisions ADD COLUMN {column}")


def _add_reconciliations(db: Database) -> None:
    for statement in schema_v11.TABLES:
        db.execute(statement)
    for table, columns in schema_v11.INDEXES:
        db.table(table).create_index(list(columns))


def _add_equity_points(db: Database) -> None:
    for statement in schema_v12.TABLES:
        db.execute(statement)


def _add_reviews(db: Database) -> None:
    for table, column in schema_v13.COLUMNS:
        db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")


MIGRATIONS: tuple[Callable[[Database], None], ...] = (
    _create_first_tables,
    _add_fleet_memory,
    _add_quiescence,
    _add_spike_context,
    _add_simulations,
    _add_audit_log,
    _add_news,
    _add_operations,
    _add_equity_marks,
    _add_model_calls,
    _add_reconciliations,
    _add_equity_points,
    _add_reviews,
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
