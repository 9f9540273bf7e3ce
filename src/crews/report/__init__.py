"""`report`: one HTML file that tells of a period of the store, or of a replay."""

from __future__ import annotations

import os
from pathlib import Path

from crews.report.content import Asked, Report, build_report
from trading.errors import ConfigurationError
from trading.storage.config import StorageConfig
from trading.storage.database import open_read_only


def write_report(storage: StorageConfig, asked: Asked, out: Path) -> Report:
    """Read the store and write the page to ``out``, whole or not at all.

    Raises:
        StoreError: the store is missing or cannot be read.
        ConfigurationError: ``out`` cannot be written, or the store does not know the venue.
    """
    from crews.report.page import render

    connection = open_read_only(storage)
    try:
        report = build_report(connection, asked)
    finally:
        connection.close()
    if not out.parent.is_dir():
        raise ConfigurationError(f"the report {out} cannot be written: there is no such folder")
    draft = out.with_name(f".{out.name}.{os.getpid()}.new")
    try:
        draft.write_text(render(report), encoding="utf-8")
        draft.replace(out)
    except OSError as error:
        raise ConfigurationError(f"the report {out} cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
    return report
