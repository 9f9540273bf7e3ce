"""What the options before the command say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from crews.config_loader import LoadedConfig


@dataclass(frozen=True, slots=True)
class CliState:
    config_path: Path | None = None


def loaded_config(
    context: typer.Context, overrides: Mapping[str, tuple[str, Any]] | None = None
) -> LoadedConfig:
    """The configuration that the command line asks for.

    Raises:
        ConfigurationError: something in it is wrong.
    """
    from crews.config_loader import load_config

    state = context.find_object(CliState) or CliState()
    return load_config(state.config_path, overrides)
