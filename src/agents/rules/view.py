"""What a rule sees of its task, and what it can answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.config import RulePolicyConfig
from agents.outputs import AgentOutput
from agents.prompt_data import read_blocks

PREFIX = "Built-in rules, no model: "
_CONTEXT_MARK = "This is the context you're working with:"  # CrewAI's own words


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the rule wants called before it answers."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task as a model would see it, taken from the same messages.

    ``data`` holds the prompt's data blocks, ``colleagues`` the outputs of earlier tasks by their
    task name, ``results`` the newest answer of each tool called so far.
    """

    data: dict[str, Any]
    colleagues: dict[str, dict[str, Any]]
    results: dict[str, dict[str, Any]]

    @classmethod
    def from_messages(cls, messages: Sequence[Mapping[str, Any]]) -> TaskView:
        """Read what CrewAI has put together for the model."""
        results: dict[str, dict[str, Any]] = {}
        prompt = ""
        for message in messages:
            content = message.get("content")
            if message["role"] == "tool":
                results[message["name"]] = _result(content)
            elif message["role"] == "user" and isinstance(content, str) and "<data" in content:
                prompt = content
        task, _, context = prompt.partition(_CONTEXT_MARK)
        return cls(read_blocks(task), _outputs(context), results)


Step = list[ToolCall] | AgentOutput
Rule = Callable[[TaskView, RulePolicyConfig], Step]


def explain(*facts: str) -> str:
    """A reasoning text that says whose it is."""
    return PREFIX + "; ".join(facts)


def _result(content: Any) -> dict[str, Any]:
    try:
        parsed = json.loads(content)
    except (TypeError, ValueError):
        # CrewAI's own words, such as "Tool execution blocked by hook".
        return {"ok": False, "error": "NoAnswer", "message": str(content)[:300]}
    return parsed if isinstance(parsed, dict) else {"ok": False, "message": str(parsed)[:300]}


def _outputs(text: str) -> dict[str, dict[str, Any]]:
    decoder = json.JSONDecoder()
    found: dict[str, dict[str, Any]] = {}
    at = text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError:
            end = at + 1
        else:
            if isinstance(value, dict) and isinstance(value.get("task"), str):
                found[value["task"]] = value
        at = text.find("{", end)
    return found
