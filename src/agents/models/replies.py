"""One form for what a model answers, whichever provider it came from."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict

from tools.framework import extract_tool_call_info, is_tool_call_list
from trading.errors import ModelError

# The longest typed output is below 10,000 characters, the most tools a task needs at once is 3:
# what is far beyond is no answer, whatever is in it.
LONGEST_TEXT = 60_000
LONGEST_ARGUMENTS = 20_000
MOST_TOOL_CALLS = 8


_TOO_SHORT_FOR_A_SECRET = 4


class WantedTool(BaseModel):
    """A tool call as the model wrote it; ``arguments`` is its text, checked by nobody yet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    arguments: str


class ModelReply(BaseModel):
    """Either text or tool calls."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = ""
    tools: tuple[WantedTool, ...] = ()

    @property
    def size(self) -> int:
        """Characters."""
        return len(self.text) + sum(len(t.name) + len(t.arguments) for t in self.tools)

    def without(self, secret: str) -> ModelReply:
        """The reply without the key that a server may have repeated in it."""
        if len(secret) <= _TOO_SHORT_FOR_A_SECRET:
            return self
        tools = tuple(
            tool.model_copy(
                update={
                    field: getattr(tool, field).replace(secret, "***")
                    for field in ("id", "name", "arguments")
                }
            )
            for tool in self.tools
        )
        return ModelReply(text=self.text.replace(secret, "***"), tools=tools)

    def for_crewai(self) -> str | list[dict[str, Any]]:
        """The reply as CrewAI's executor takes it."""
        if not self.tools:
            return self.text
        return [
            {
                "id": tool.id,
                "type": "function",
                "function": {"name": tool.name, "arguments": tool.arguments},
            }
            for tool in self.tools
        ]


def read_reply(answer: Any) -> ModelReply:
    """Whatever ``crewai.LLM.call`` returned, in one form.

    Raises:
        ModelError: empty, of no known form, or larger than any answer needs to be.
    """
    reply = _tools(answer) if isinstance(answer, list) else _text(answer)
    if reply.size == 0:
        raise ModelError("the model's answer is empty", retryable=True)
    return reply


def _text(answer: Any) -> ModelReply:
    text = answer.model_dump_json() if isinstance(answer, BaseModel) else answer
    if not isinstance(text, str):
        raise ModelError(f"the model's answer is a {type(answer).__name__}, not text")
    if len(text) > LONGEST_TEXT:
        raise ModelError(
            f"the model's answer has {len(text)} characters, {LONGEST_TEXT} are allowed"
        )
    return ModelReply(text=_storable(text.strip()))


def _tools(answer: list[Any]) -> ModelReply:
    if not is_tool_call_list(answer):
        raise ModelError("the model's answer is a list without tool calls")
    if len(answer) > MOST_TOOL_CALLS:
        raise ModelError(
            f"the model asks for {len(answer)} tools at once, {MOST_TOOL_CALLS} are allowed"
        )
    tools = []
    for number, call in enumerate(answer):
        info = extract_tool_call_info(call)
        if info is None:
            raise ModelError("a tool call of the model has no known form")
        call_id, name, arguments = info
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, default=str)
        if len(text) > LONGEST_ARGUMENTS:
            raise ModelError(
                f"a tool call of the model has {len(text)} characters of arguments, "
                f"{LONGEST_ARGUMENTS} are allowed"
            )
        named = _storable(str(call_id or f"call_{number}"))[:100]
        tools.append(
            WantedTool(id=named, name=_storable(str(name))[:100], arguments=_storable(text))
        )
    return ModelReply(tools=tuple(tools))


def _storable(text: str) -> str:
    """Without half surrogate pairs, which neither JSON on a socket nor SQLite takes."""
    return text.encode(errors="replace").decode()
