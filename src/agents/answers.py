"""From the text of an answer to the task's typed output, without asking a model again."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from agents.outputs import AgentOutput
from tools.framework import Converter, ConverterError

OutputT = TypeVar("OutputT", bound=AgentOutput)
_MOST_PROBLEMS = 5
_MOST_STARTS = 50  # a text of nothing but braces must not take for ever


def parse_answer(text: str, kind: type[OutputT]) -> tuple[OutputT | None, list[str]]:
    """The first JSON object in ``text`` as ``kind``, or None with what is wrong with it."""
    found = _first_object(text)
    if found is None:
        return None, ["the answer holds no JSON object"]
    try:
        return kind.model_validate(found), []
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)[:_MOST_PROBLEMS]
        return None, [
            f"{'.'.join(map(str, item['loc'])) or 'answer'}: {item['msg']}" for item in problems
        ]
    except RecursionError:
        return None, ["the answer is nested too deeply"]


def _first_object(text: str) -> dict[str, Any] | None:
    decoder = json.JSONDecoder()
    at = text.find("{")
    for _ in range(_MOST_STARTS):
        if at < 0:
            return None
        try:
            value, _end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
        else:
            return value if isinstance(value, dict) else None
    return None


class StrictConverter(Converter):
    """Stands in for CrewAI's, which would ask the model to repair an answer, three times over."""

    def to_pydantic(self, current_attempt: int = 1) -> Any:
        kind = self.model
        if isinstance(kind, type) and issubclass(kind, AgentOutput):
            output, problems = parse_answer(self.text, kind)
            return output if output is not None else ConverterError("; ".join(problems))
        return ConverterError("no typed output is expected")

    def to_json(self, current_attempt: int = 1) -> Any:
        answer = self.to_pydantic(current_attempt)
        return answer.model_dump_json() if isinstance(answer, BaseModel) else answer
