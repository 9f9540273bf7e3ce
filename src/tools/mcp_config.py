"""Settings of the user's own MCP servers. No CrewAI import here: the command line reads them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from tools.reserved_variables import what_is_in
from trading.model.base import ConfigModel

# Not the executor, which has the order tool, and not those that size a trade or halt trading: what
# a server of the user's own answers is text from outside.
McpAgent = Literal["market_scanner", "context_analyzer"]


class McpServerConfig(ConfigModel):
    """One MCP server: a program that is started, or an address that is connected to."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,19}$", description="Prefix of its tools' names.")
    command: str | None = Field(
        default=None, min_length=1, max_length=500, description="Program to start; or give a url."
    )
    args: tuple[str, ...] = Field(default=(), max_length=50, description="The program's arguments.")
    url: str | None = Field(
        default=None, pattern=r"^https?://[^\s]+$", description="Address of a running server."
    )
    transport: Literal["sse", "streamable-http"] = Field(
        default="streamable-http", description="How the address is spoken to."
    )
    env: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")], ...] = Field(
        default=(),
        max_length=20,
        description="Names of the variables, of the environment or of .env, that are handed on to "
        "the program; none else are, and never a key of the exchange, of Redis, of notifications "
        "or of a news source.",
    )
    tools: tuple[str, ...] = Field(
        default=(), max_length=50, description="Its tools to attach; empty: all that may be."
    )
    read_only: bool = Field(
        default=True,
        description="Attach only tools that the server itself marks as reading (readOnlyHint). "
        "false: the others too; they are refused while the breaker allows no entries.",
    )
    agents: tuple[McpAgent, ...] = Field(
        default=("context_analyzer",), min_length=1, description="Agents that get its tools."
    )
    connect_timeout_s: int = Field(
        default=10, ge=1, le=120, description="Longest wait for the server's start, seconds."
    )

    @model_validator(mode="after")
    def _one_way_to_reach_it(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError(f"MCP server {self.name} needs a command or a url, and not both")
        for name in self.env:
            if (held := what_is_in(name)) is not None:
                raise ValueError(
                    f"MCP server {self.name}: env = {name}, which holds {held}, is not handed on"
                )
        return self
