"""What people outside say and move around a spike, for the one agent that may read it.

What is not known is named and costs confidence: an analyst who has seen no news must not sound like
one who has seen that there are none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tools.base import TradingTool
from trading.model.signals import asset_of
from trading.model.spike import Spike

TOOLS = ("get_news_sentiment", "get_social_sentiment", "get_large_transfers")
UNKNOWN_COST = 0.1
"""What each source that is not configured, or does not answer, takes off the confidence."""

_NAMES = dict(zip(TOOLS, ("news", "social", "transfers"), strict=True))


def gather_outside(tools: Iterable[TradingTool], spike: Spike) -> dict[str, Any]:
    """Each tool's answer, the names of what is unknown, and the confidence that is left."""
    found: dict[str, Any] = {}
    unknown: list[str] = []
    for tool in tools:
        name = _NAMES[tool.name]
        about = {"asset": asset_of(spike.symbol)} if name == "transfers" else {}
        answer = json.loads(tool.run(**(about or {"symbol": spike.symbol})))
        if not answer.get("available", False):
            unknown.append(name)
            answer = {"problem": answer.get("problem") or answer.get("message") or "unknown"}
        found[name] = answer
    return {**found, "unknown": unknown, "most_confidence": most_confidence(unknown)}


def most_confidence(unknown: Iterable[str]) -> float:
    """The confidence that may be claimed with these sources unknown."""
    return round(1.0 - UNKNOWN_COST * len(list(unknown)), 4)
