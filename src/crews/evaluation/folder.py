"""Folders that pictures go to."""

from __future__ import annotations

from pathlib import Path

from trading.errors import ConfigurationError


def make_folder(folder: Path) -> None:
    """Raises ConfigurationError when there is no such folder and none can be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--plots {folder}: {error.strerror or error}") from error
