"""Settings of the control API."""

from __future__ import annotations

from pydantic import Field

from trading.model.base import ConfigModel


class ApiConfig(ConfigModel):
    """The control API listens on two Unix sockets beside the database, readable by the owner only.

    One is the operator's (command line, screens); the other is the workers', where every command
    counts as a model's: it may tighten and never loosen.
    """

    runtime_directory: str = Field(
        default="data/run",
        min_length=1,
        description="Folder of the sockets, the shared-memory record and core.json.",
    )
    request_timeout_s: float = Field(
        default=10.0, gt=0, le=120, description="How long a client waits for the core's answer."
    )
    long_poll_max_s: float = Field(
        default=20.0, gt=0, le=60, description="Longest wait of a worker for the next spike."
    )
