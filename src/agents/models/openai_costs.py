"""What CrewAI and OpenAI's client would do again for every call, done once or not at all.

Both act on plain dictionaries that CrewAI has already put in the wire's own form. Nothing of what
is sent changes: ``tests/unit/agents/test_openai_costs.py`` compares the requests.
"""

from __future__ import annotations

import json
from functools import cache, lru_cache
from typing import Any

_PLAIN = (str, int, float, list)


@cache
def cut_costs() -> None:
    """Once for the process, and only where such a model is used: the import takes its time."""
    from crewai.llms.providers.openai import completion
    from crewai.utilities.pydantic_schema_utils import sanitize_tool_params_for_openai_strict
    from openai._utils import maybe_transform
    from openai.resources.chat.completions import completions

    @lru_cache(maxsize=256)
    def strict_of(text: str) -> dict[str, Any]:
        return sanitize_tool_params_for_openai_strict(json.loads(text))

    def strict_once(parameters: dict[str, Any]) -> dict[str, Any]:
        """A tool's schema in OpenAI's strict form, worked out once for each schema."""
        return strict_of(json.dumps(parameters))

    def transform_rest(data: Any, kind: Any) -> Any:
        """All but the parts in which nothing is to be renamed: the client would try each message
        against every type of message there is."""
        kept = {name: value for name, value in data.items() if isinstance(value, _PLAIN)}
        rest = {name: value for name, value in data.items() if name not in kept}
        return {**(maybe_transform(rest, kind) or {}), **kept}

    vars(completion)["sanitize_tool_params_for_openai_strict"] = strict_once
    vars(completions)["maybe_transform"] = transform_rest
