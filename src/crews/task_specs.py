"""A crew's tasks as they stand in its tasks.yaml, loaded strictly."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from agents.builder import AgentSpec
from agents.outputs import OUTPUTS
from tools.framework import Agent, ConditionalTask, Task
from tools.registry import tools_named
from trading.api.client import TradingClient
from trading.errors import ConfigurationError


class TaskSpec(BaseModel):
    """One task. ``description`` holds ``{name}`` for each data block it is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = Field(min_length=20)
    expected_output: str = Field(min_length=10)
    tools: tuple[str, ...] = ()


def build_task(
    name: str,
    spec: TaskSpec,
    owner: AgentSpec,
    agent: Agent,
    client: TradingClient,
    *,
    context: list[Task] | None = None,
    parallel: bool = False,
    conditional: bool = False,
) -> Task:
    """A CrewAI task with its typed output and with tools of its own.

    A ``conditional`` task runs only if its ``condition``, set by the crew, allows it.

    Raises:
        ConfigurationError: the task names a tool that its agent must not have, or none there is.
    """
    if forbidden := [tool for tool in spec.tools if tool not in owner.tools]:
        raise ConfigurationError(
            f"task {name}: {owner.name} may not use {', '.join(sorted(forbidden))}"
        )
    kind = ConditionalTask if conditional else Task
    return kind(
        name=name,
        description=spec.description,
        expected_output=spec.expected_output,
        agent=agent,
        tools=tools_named(client, spec.tools, owner.name),
        context=context or [],
        output_pydantic=OUTPUTS[name],
        async_execution=parallel,
    )
