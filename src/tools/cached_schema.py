"""JSON schemas made once: CrewAI asks for those of outputs and arguments again in every task."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from pydantic import BaseModel


class CachedSchema(BaseModel):
    """A model whose JSON schema is computed once for each way of asking."""

    @classmethod
    def model_json_schema(cls, *arguments: Any, **options: Any) -> dict[str, Any]:
        """As pydantic's; the caller may change what it gets."""
        return copy.deepcopy(_schema(cls, arguments, tuple(sorted(options.items()))))


@cache
def _schema(
    kind: type[CachedSchema], arguments: tuple[Any, ...], options: tuple[tuple[str, Any], ...]
) -> dict[str, Any]:
    return super(CachedSchema, kind).model_json_schema(*arguments, **dict(options))
