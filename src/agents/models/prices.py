"""What a model's tokens cost, in millionths of a USD.

Known from the settings, else from the price list that CrewAI ships (LiteLLM's); an endpoint on
this machine or a private network costs nothing; anything else costs what the settings assume, so
that an unknown price never reads as free.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agents.llm_choice import LlmChoice

_PRICE_LIST = "model_prices_and_context_window.json"
_LOCAL_NAMES = ("localhost", "host.docker.internal")


@dataclass(frozen=True, slots=True)
class Price:
    """USD for a million tokens."""

    input_usd_per_million: float
    output_usd_per_million: float

    def micro_usd(self, input_tokens: int, output_tokens: int) -> int:
        """Cost of a call, rounded up: USD per million tokens is micro-USD per token."""
        return math.ceil(
            input_tokens * self.input_usd_per_million + output_tokens * self.output_usd_per_million
        )


def price_of(choice: LlmChoice, assumed_usd_per_million: float) -> Price:
    """The price of ``choice``'s tokens; each direction from the first source that has it."""
    listed = _listed(choice.model)
    fallback = 0.0 if _is_local(choice.base_url) else assumed_usd_per_million
    settings = choice.settings
    known = (
        (settings.input_usd_per_million, "input_cost_per_token"),
        (settings.output_usd_per_million, "output_cost_per_token"),
    )
    prices = []
    for configured, name in known:
        per_token = listed.get(name)
        if configured is not None:
            prices.append(configured)
        elif fallback == 0.0 or not isinstance(per_token, (int, float)):
            prices.append(fallback)
        else:
            prices.append(per_token * 1e6)
    return Price(*prices)


def _is_local(base_url: str | None) -> bool:
    host = urlsplit(base_url).hostname if base_url else None
    if host is None:
        return False
    if host in _LOCAL_NAMES or host.endswith(".local"):
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False


def _listed(model: str) -> dict[str, Any]:
    listed = _price_list()
    found = listed.get(model) or listed.get(model.partition("/")[2]) or {}
    return found if isinstance(found, dict) else {}


@cache
def _price_list() -> dict[str, Any]:
    """CrewAI's copy of LiteLLM's list; empty where a release ships none.

    Read without an import of CrewAI, which takes seconds: the news process needs prices alone.
    """
    crewai = importlib.util.find_spec("crewai")
    if crewai is None or crewai.origin is None:
        return {}
    file = Path(crewai.origin).parent / "llms" / "litellm_catalog" / _PRICE_LIST
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
