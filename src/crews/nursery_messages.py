"""What supervisor and nursery tell each other, a JSON line each. No CrewAI here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from crews.worker_config import WorkerConfig
from trading.model.base import ConfigModel


class Birth(ConfigModel):
    """Make a worker."""

    number: int = Field(description="What both sides call it; never used twice.")
    log_path: Path = Field(description="Where its standard error goes.")
    config: WorkerConfig = Field(description="What it is told.")


class Signal(ConfigModel):
    """Send a signal to a worker; nothing happens if it has ended."""

    number: int = Field(description="Which worker.")
    signal: int = Field(ge=1, description="The signal's number.")


class Answer(ConfigModel):
    """A worker was made, or has ended."""

    number: int = Field(description="Which worker.")
    pid: int | None = Field(default=None, description="Its process, once made.")
    ended: int | None = Field(
        default=None, description="Its exit code, or less the signal that ended it."
    )


_MESSAGE: TypeAdapter[Birth | Signal] = TypeAdapter(
    Annotated[Birth | Signal, Field(union_mode="left_to_right")]
)


def message_of(line: bytes) -> Birth | Signal:
    """Raises pydantic's ValidationError."""
    return _MESSAGE.validate_json(line)
