"""Tools of MCP servers of the user's own, attached through crewai-tools, behind our own gate.

Like every tool they read the breaker first, take only the arguments that they declare, and leave a
record. What they answer is text from outside: cleaned, bounded, and marked as data. A server that
cannot be reached is left out; nothing else depends on it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, PrivateAttr

from tools.analysis_tools.outside import DATA_NOTE
from tools.base import ToolClass, TradingTool
from tools.framework import BaseTool
from tools.mcp_config import McpServerConfig
from trading.api.client import TradingClient
from trading.errors import CrewError
from trading.model.breaker import BreakerSnapshot
from trading.model.outside_text import clean
from trading.node.logs import SHORTEST_SECRET

logger = logging.getLogger(__name__)

ANSWER_LENGTH = 4_000
DESCRIPTION_LENGTH = 400


class ForeignTool(TradingTool):
    """One tool of an MCP server. Its class is set for each: reading, or risky."""

    tool_class: ClassVar[ToolClass] = ToolClass.READ

    _found: FoundTool = PrivateAttr()

    def __init__(
        self, client: TradingClient, agent_name: str | None, found: FoundTool, name: str
    ) -> None:
        super().__init__(
            client,
            agent_name,
            name=name,
            description=clean(found.without_secrets(found.description), DESCRIPTION_LENGTH),
            args_schema=found.arguments,
        )
        self._found = found

    def perform(self, arguments: BaseModel, snapshot: BreakerSnapshot) -> dict[str, Any]:
        try:
            answer = self._found.inner._run(**arguments.model_dump(exclude_unset=True))
        except Exception as error:  # whatever server or transport raise is told to the agent
            raise CrewError(f"{self.name}: {type(error).__name__}") from error
        return {
            "note": DATA_NOTE,
            "answer": clean(self._found.without_secrets(str(answer)), ANSWER_LENGTH),
        }


class RiskyForeignTool(ForeignTool):
    """One that may change things: refused while the breaker allows no entries."""

    tool_class: ClassVar[ToolClass] = ToolClass.INCREASE_RISK


@dataclass(frozen=True, slots=True)
class FoundTool:
    """A tool as its server declares it."""

    inner: BaseTool
    description: str
    arguments: type[BaseModel]
    is_reading: bool
    secrets: tuple[str, ...] = field(default=(), repr=False)  # what its server was handed

    def without_secrets(self, text: str) -> str:
        """``text`` of the server, which may repeat what it was handed."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


@dataclass(frozen=True, slots=True)
class _Attached:
    config: McpServerConfig
    tools: dict[str, FoundTool]


# One set of connections a process: warm crews come and go, servers stay.
_attached: list[_Attached] = []


@contextmanager
def mcp_servers(
    configs: tuple[McpServerConfig, ...], environment: Mapping[str, str]
) -> Iterator[None]:
    """Keep the servers' tools attached within the block; crews are built inside it."""
    adapters: list[Any] = []
    before = len(_attached)
    try:
        for config in configs:
            try:
                adapter, tools = _connect(config, environment)
            except Exception as error:  # of whatever kind: the crews work without it
                logger.warning("MCP server %s left out: %s", config.name, _why(config, error))
                continue
            adapters.append(adapter)
            _attached.append(_Attached(config, tools))
            logger.info("MCP server %s: %s", config.name, ", ".join(tools) or "no tools")
        yield
    finally:
        del _attached[before:]
        for adapter in adapters:
            try:
                adapter.stop()
            except Exception as error:  # one that is gone already keeps no other from its end
                logger.warning("an MCP server was not ended in order: %s", type(error).__name__)


def _why(config: McpServerConfig, error: BaseException) -> str:
    """Kinds of errors and the settings to look at; words and arguments may hold a secret."""
    kinds = [type(error).__name__]
    while (cause := error.__cause__) is not None and len(kinds) < 5:
        kinds.append(type(cause).__name__)
        error = cause
    at = f"command = {config.command!r}" if config.command is not None else "url"
    return (
        f"{' of '.join(kinds)}; look at {at} in agents.mcp_servers, and at connect_timeout_s = "
        f"{config.connect_timeout_s}"
    )


def foreign_tools(client: TradingClient, agent_name: str) -> list[TradingTool]:
    """The attached tools that ``agent_name`` gets."""
    tools: list[TradingTool] = []
    for one in _attached:
        if agent_name not in one.config.agents:
            continue
        for name, found in one.tools.items():
            kind: Any = ForeignTool if found.is_reading else RiskyForeignTool
            tools.append(kind(client, agent_name, found, f"{one.config.name}_{name}"))
    return tools


def _connect(
    config: McpServerConfig, environment: Mapping[str, str]
) -> tuple[Any, dict[str, FoundTool]]:
    """The adapter, to be stopped, and the tools that may be attached."""
    from crewai_tools import MCPServerAdapter  # takes a second
    from mcp import StdioServerParameters

    parameters: Any
    handed_on = {name: environment[name] for name in config.env if name in environment}
    long_enough = {value for value in handed_on.values() if len(value) >= SHORTEST_SECRET}
    secrets = tuple(sorted(long_enough, key=len, reverse=True))
    if config.command is not None:
        parameters = StdioServerParameters(
            command=config.command, args=list(config.args), env=handed_on or None
        )
    else:
        parameters = {"url": config.url, "transport": config.transport}
    adapter: Any = MCPServerAdapter(parameters, connect_timeout=config.connect_timeout_s)
    declared = [tool for server in adapter._adapter.mcp_tools for tool in server]
    found = {}
    for inner, tool in zip(adapter._tools, declared, strict=True):
        is_reading = bool(tool.annotations and tool.annotations.readOnlyHint)
        is_wanted = not config.tools or tool.name in config.tools
        if is_wanted and (is_reading or not config.read_only):
            found[inner.name] = FoundTool(
                inner,
                tool.description or inner.name,
                _strict(inner.args_schema),
                is_reading,
                secrets,
            )
    return adapter, found


def _strict(arguments: type[BaseModel]) -> type[BaseModel]:
    """The declared arguments, with nothing else and nothing infinite among them."""
    config = ConfigDict(extra="forbid", allow_inf_nan=False)
    return type(arguments.__name__, (arguments,), {"model_config": config})
