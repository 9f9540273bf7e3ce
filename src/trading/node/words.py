"""What the core process says on its standard output, a JSON line each, to whoever started it."""

from __future__ import annotations

from pydantic import Field

from trading.model.base import ValueModel


class CoreWord(ValueModel):
    """It is ready; or it waits before it goes on to start; or it ends, refused by the venue."""

    ready: bool = Field(default=False, description="Everything runs from now on.")
    pid: int = Field(description="The core's process id.")
    waiting: str = Field(default="", description="What it waits for; empty: for nothing.")
    for_s: float = Field(default=0.0, description="For how many seconds, from now on.")
    refused_for_s: float = Field(
        default=0.0,
        description="It ends, and another start within so many seconds is refused, too.",
    )


def say(word: CoreWord) -> None:
    """Write ``word`` for whoever waits for it."""
    print(word.model_dump_json(), flush=True)  # noqa: T201 - what its parent waits for
