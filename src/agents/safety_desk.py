"""The safety desk's agents: they put into words, for people, what the core did by rule.

None of them has a tool. What they are asked about is in their prompt.
"""

from __future__ import annotations

from agents.builder import AgentSpec
from trading.model.operations import EXPLAINING_AGENTS

SPECS = {name: AgentSpec(name=name, tools=frozenset()) for name in EXPLAINING_AGENTS}
