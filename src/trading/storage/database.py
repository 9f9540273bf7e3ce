"""Opening and creating the SQLite store, with its promises read back instead of assumed.

Every connection is in autocommit mode; writes that belong together go through ``transaction``.
Errors of ``sqlite3`` become ``StoreError`` or ``StoreCorruptError`` here, in ``transaction`` and in
``Repository``, and nowhere else.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trading.errors import StoreCorruptError, StoreError, StoreMissingError
from trading.storage.config import StorageConfig
from trading.storage.migrations import LATEST_VERSION, migrate, schema_version

APPLICATION_ID = 0x53504B47  # "SPKG" in the file's header: this file is ours

_SYNCHRONOUS = {"NORMAL": 1, "FULL": 2}


def open_database(
    config: StorageConfig, *, durable: bool = True, check: bool = True
) -> sqlite3.Connection:
    """Open the existing store, bringing its schema up to date.

    ``durable`` asks for ``synchronous=FULL``: a committed transaction survives a loss of power
    (the breaker and the order journal need that; records for analysis do not). ``check`` reads
    the whole file for damage, about 1 s per GB. The connection may be used from any thread, by
    one thread at a time.

    Raises:
        StoreMissingError: there is no file at the configured path.
        StoreCorruptError: the file is damaged, not ours, or from a newer release.
        StoreError: it cannot be opened, or a PRAGMA is not in force.
    """
    path = config.path
    if not path.exists():
        raise StoreMissingError(f"no store at {path}; `python -m crews.run init` creates one")
    with translated_errors(f"opening the store {path}"):
        connection = _connect(path, config.busy_timeout_ms)
        try:
            _require_ours(connection, path)
            _apply_pragmas(connection, "FULL" if durable else "NORMAL", config.busy_timeout_ms)
            if check:
                _require_intact(connection, path)
            migrate(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def create_database(
    config: StorageConfig, seed: Callable[[sqlite3.Connection], None] | None = None
) -> bool:
    """Create the store with the newest schema and what ``seed`` writes; False if it exists.

    The file appears under its name complete or not at all, whatever happens meanwhile, and an
    existing store is never touched.
    """
    path = config.path
    if path.exists():
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.new")
        draft.unlink(missing_ok=True)
        try:
            with translated_errors(f"creating the store {path}"):
                _write_draft(draft, config.busy_timeout_ms, seed)
            os.chmod(draft, 0o600)
            return _publish(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"creating the store {path} failed: {error}") from error


@contextmanager
def transaction(connection: sqlite3.Connection, what: str) -> Iterator[sqlite3.Connection]:
    """One write transaction, holding the write lock from the start; rolled back on any error.

    ``what`` names the work in error messages. Raises StoreError when SQLite refuses; other
    errors pass through unchanged after the rollback.
    """
    with translated_errors(what):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def translated_errors(what: str) -> Iterator[None]:
    """Turn errors of ``sqlite3`` into ours, with ``what`` in front."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        damaged = "malformed" in text or "not a database" in text
        kind = StoreCorruptError if damaged else StoreError
        raise kind(f"{what}: {text}") from error
    except sqlite3.Error as error:
        raise StoreError(f"{what}: {error}") from error


def _connect(path: Path, busy_timeout_ms: int) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=rw",
        uri=True,
        timeout=busy_timeout_ms / 1000,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.row_factory = sqlite3.Row
    return connection


def _apply_pragmas(connection: sqlite3.Connection, synchronous: str, busy_timeout_ms: int) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")
    wanted: dict[str, str | int] = {
        "journal_mode": "wal",
        "synchronous": _SYNCHRONOUS[synchronous],
        "foreign_keys": 1,
        "busy_timeout": busy_timeout_ms,
    }
    for name, value in wanted.items():
        actual = connection.execute(f"PRAGMA {name}").fetchone()[0]
        if actual != value:
            raise StoreError(f"PRAGMA {name} is {actual!r}, not {value!r}: no durable store here")


def _require_ours(connection: sqlite3.Connection, path: Path) -> None:
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    if application_id != APPLICATION_ID or schema_version(connection) == 0:
        raise StoreCorruptError(f"{path} is not a store of this program, or it was truncated")


def _require_intact(connection: sqlite3.Connection, path: Path) -> None:
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise StoreCorruptError(f"{path} is damaged: {verdict}")


def _write_draft(
    draft: Path, busy_timeout_ms: int, seed: Callable[[sqlite3.Connection], None] | None
) -> None:
    draft.touch(mode=0o600)
    connection = _connect(draft, busy_timeout_ms)
    try:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        migrate(connection, LATEST_VERSION)
        if seed is not None:
            with transaction(connection, "seeding the store"):
                seed(connection)
    finally:
        connection.close()


def _publish(draft: Path, path: Path) -> bool:
    """Give the complete draft its name, atomically and without replacing another's store."""
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return True
