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

# What SQLite says, and what its reader can do about it.
_USE_A_BACKUP = "put a backup in its place, or move it away and run `python -m crews.run init`"
_ADVICE = {
    "locked": "end the program that holds it",
    "readonly": "make the file and its folder writable",
    "disk is full": "free space on its disk",
    "unable to open": "look at the rights of the file and of its folder",
    "disk I/O error": "look at its disk and the space left on it; a start checks the whole file",
    "malformed": _USE_A_BACKUP,
    "not a database": _USE_A_BACKUP,
}


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
    if not _exists(path):
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


def open_read_only(config: StorageConfig) -> sqlite3.Connection:
    """Open the existing store to read it, beside whoever writes to it; nothing in it can change.

    Raises:
        StoreMissingError: there is no file at the configured path.
        StoreCorruptError: the file is damaged, not ours, or from a newer release.
        StoreError: it cannot be opened, or its tables are of an older release.
    """
    path = config.path
    if not _exists(path):
        raise StoreMissingError(f"no store at {path}; `python -m crews.run init` creates one")
    with translated_errors(f"opening the store {path}"):
        connection = _connect(path, config.busy_timeout_ms, mode="ro")
        try:
            _require_ours(connection, path)
            version = schema_version(connection)
            if version > LATEST_VERSION:
                raise StoreCorruptError(
                    f"{path} has schema version {version}, this release knows up to"
                    f" {LATEST_VERSION}"
                )
            if version < LATEST_VERSION:
                raise StoreError(
                    f"{path} is of an older release (schema version {version}, not"
                    f" {LATEST_VERSION}): `python -m crews.run init` brings its tables up to date"
                )
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

    Raises:
        StoreError: it cannot be written, or a log of a store that is gone lies where its own
            would be.
    """
    path = config.path
    if _exists(path):
        return False
    _require_no_leftovers(path)
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
    with translated_errors(what, connection):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def atomically(connection: sqlite3.Connection, what: str) -> Iterator[sqlite3.Connection]:
    """``transaction``, or the one that is under way. Raises like ``transaction``."""
    if connection.in_transaction:
        yield connection
        return
    with transaction(connection, what):
        yield connection


@contextmanager
def translated_errors(what: str, connection: sqlite3.Connection | None = None) -> Iterator[None]:
    """Turn errors of ``sqlite3`` into ours, with ``what`` in front.

    The file of ``connection``, and what can be done, are put behind.
    """
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        damaged = "malformed" in text or "not a database" in text
        kind = StoreCorruptError if damaged else StoreError
        hints = [_file_of(connection)] if connection is not None else []
        hints += [advice for sign, advice in _ADVICE.items() if sign in text]
        hint = f" ({': '.join(filter(None, hints))})" if any(hints) else ""
        raise kind(f"{what}: {text}{hint}") from error


def _file_of(connection: sqlite3.Connection) -> str:
    """The open file's path; empty where that cannot be said. Reads nothing of it."""
    try:
        return str(connection.execute("PRAGMA database_list").fetchone()[2])
    except sqlite3.Error:
        return ""


def _exists(path: Path) -> bool:
    """Raises StoreError where that cannot be found out."""
    try:
        return path.exists()
    except OSError as error:
        advice = _ADVICE["unable to open"]
        raise StoreError(f"opening the store {path}: {error.strerror} ({advice})") from error


def _connect(path: Path, busy_timeout_ms: int, mode: str = "rw") -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}",
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
        raise StoreCorruptError(
            f"{path} is not a store of this program, or it was truncated ({_USE_A_BACKUP})"
        )


def _require_intact(connection: sqlite3.Connection, path: Path) -> None:
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise StoreCorruptError(f"{path} is damaged: {verdict} ({_USE_A_BACKUP})")


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


def _require_no_leftovers(path: Path) -> None:
    """SQLite would read a log that a deleted store has left behind into the new one."""
    for suffix in ("-wal", "-journal"):
        log = path.with_name(path.name + suffix)
        if log.exists() and not path.exists():  # not of a store that was just made by another
            raise StoreError(
                f"{path} is gone and its log {log} is still there, which would damage a new store: "
                "put the store back, or move the log away when no core runs"
            )


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
