"""Every SQLite connection of a process, by who opened it, with what SQLite says is in force."""

from __future__ import annotations

import sqlite3
import sys
from typing import Any

PRAGMAS = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
_opened: list[tuple[str, sqlite3.Connection]] = []


def watch_connections() -> None:
    """From now on every connection of this process is remembered."""
    connect = sqlite3.connect

    def remembered(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        _opened.append((_opener(), connection))
        return connection

    sqlite3.connect = remembered  # type: ignore[assignment]


def open_connections() -> list[dict[str, Any]]:
    """Who opened it, its file, and its PRAGMAs read back; the closed ones are left out."""
    report = []
    for opener, connection in _opened:
        try:
            file = connection.execute("PRAGMA database_list").fetchone()[2]
        except sqlite3.ProgrammingError:
            continue
        values = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in PRAGMAS}
        report.append({"opener": opener, "file": file, **values})
    return report


def _opener() -> str:
    """The module that asked the storage layer for it."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("trading.storage"):
        frame = frame.f_back
    return str(frame.f_globals["__name__"])
