"""Settings of the store."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from trading.model.base import ConfigModel


class StorageConfig(ConfigModel):
    """Where the SQLite store lives and how it is opened."""

    path: Path = Field(
        default=Path("data/spikeguard.sqlite3"),
        description="SQLite file; relative paths count from the directory the program starts in.",
    )
    busy_timeout_ms: int = Field(
        default=2_000,
        ge=0,
        le=60_000,
        description="How long a statement waits for another process's write before it fails.",
    )
