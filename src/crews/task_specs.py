"""A crew's tasks as they stand in its tasks.yaml, loaded strictly."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from agents.answers import StrictConverter
from agents.builder import AgentSpec
from agents.outputs import OUTPUTS
from agents.prompts import load_prompts, prompt_hash
from crews.guardrails import Guardrail
from tools.base import TradingTool
from tools.framework import Agent, ConditionalTask, Task
from tools.mcp_tools import foreign_tools
from tools.registry import tools_named
from trading.api.client import TradingClient
from trading.errors import ConfigurationError


class TaskSpec(BaseModel):
    """One task. ``description`` holds ``{name}`` for each data block it is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = Field(min_length=20)
    expected_output: str = Field(min_length=10)
    tools: tuple[str, ...] = ()


def prompt_hash_of(name: str, spec: TaskSpec, owner: AgentSpec) -> str:
    """Identifies who is asked, what, with which tools, and in which form the answer is wanted."""
    return prompt_hash(getattr(load_prompts(), owner.name), spec, OUTPUTS[name])


def build_task(
    name: str,
    spec: TaskSpec,
    owner: AgentSpec,
    agent: Agent,
    client: TradingClient | None,
    *,
    context: list[Task] | None = None,
    parallel: bool = False,
    conditional: bool = False,
    guardrail: Guardrail | None = None,
) -> Task:
    """A CrewAI task with its typed output and with tools of its own; none without a ``client``.

    A ``conditional`` task runs only if its ``condition``, set by the crew, allows it.

    Raises:
        ConfigurationError: the task names a tool that its agent must not have, or none there is.
    """
    if forbidden := [tool for tool in spec.tools if tool not in owner.tools]:
        raise ConfigurationError(
            f"task {name}: {owner.name} may not use {', '.join(sorted(forbidden))}"
        )
    tools: list[TradingTool] = []
    if client is not None:
        tools = tools_named(client, spec.tools, owner.name) + foreign_tools(client, owner.name)
    elif spec.tools:
        raise ConfigurationError(f"task {name}: {', '.join(spec.tools)} need a client")
    kind = ConditionalTask if conditional else Task
    return kind(
        name=name,
        description=spec.description,
        expected_output=spec.expected_output,
        agent=agent,
        tools=tools,
        context=context or [],
        output_pydantic=OUTPUTS[name],
        async_execution=parallel,
        converter_cls=StrictConverter,
        guardrail=guardrail,
        guardrail_max_retries=1,
    )
