"""Builds a CrewAI agent from its prompt, its settings and its tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agents.config import AgentConfig, AgentsConfig
from agents.degrading_agent import DegradingAgent
from agents.direct_executor import DirectExecutor
from agents.llm import create_llm
from agents.prompts import load_prompts
from agents.rule_llm import RuleLLM
from tools.framework import Agent


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """An agent's name (its key in the settings and in prompts.yaml) and the tools it may have."""

    name: str
    tools: frozenset[str]

    def settings(self, config: AgentsConfig) -> AgentConfig:
        settings: AgentConfig = getattr(config, self.name)
        return settings

    def create(self, config: AgentsConfig, environment: Mapping[str, str]) -> Agent:
        """A fresh agent without tools of its own: each task brings those it needs.

        No memory, no delegation, no result cache, no repeats of a failed task, nothing printed.
        """
        prompt = getattr(load_prompts(), self.name)
        settings = self.settings(config)
        llm = create_llm(config, environment, settings, agent_name=self.name)
        agent = DegradingAgent(
            role=prompt.role,
            goal=prompt.goal,
            backstory=prompt.backstory,
            llm=llm,
            executor_class=DirectExecutor,
            tools=[],
            max_iter=settings.max_iter,
            max_retry_limit=0,
            use_better_compaction=False,  # it moves long tool answers into files
            allow_delegation=False,
            cache=False,
            verbose=False,
        )
        # A time limit costs a thread per task, and the rules cannot hang.
        agent.limit_time(None if isinstance(llm, RuleLLM) else settings.max_execution_time_s)
        return agent
