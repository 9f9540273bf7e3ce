"""Builds the model behind an agent; provider errors become ours here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from agents.config import AgentConfig, AgentsConfig
from agents.llm_choice import LlmChoice, choose_llm
from agents.rule_llm import RuleLLM
from tools.framework import LLM, BaseLLM, HookAborted
from trading.errors import ConfigurationError, CrewError, SpikeguardError


def create_llm(
    config: AgentsConfig, environment: Mapping[str, str], agent: AgentConfig | None = None
) -> BaseLLM:
    """The rules, or a model of an OpenAI-compatible endpoint, with ``agent``'s own settings.

    Raises:
        ConfigurationError: the settings do not describe a usable model.
    """
    choice = choose_llm(config.llm, environment)
    if choice.is_rules:
        return RuleLLM(config.policy)
    return _create_model(config, choice, agent or AgentConfig())


def _create_model(config: AgentsConfig, choice: LlmChoice, agent: AgentConfig) -> BaseLLM:
    model = agent.model or choice.model
    try:
        llm: BaseLLM = LLM(
            model=model,
            provider="openai",
            base_url=choice.base_url,
            api_key=choice.api_key,
            temperature=agent.temperature,
            max_tokens=agent.max_tokens,
            timeout=config.llm.timeout_s,
            max_retries=config.llm.max_retries,
        )
    except Exception as error:  # CrewAI wraps whatever the provider's client raises
        raise ConfigurationError(f"agents.llm: cannot use model {model!r}: {error}") from error
    return llm


@contextlib.contextmanager
def crew_errors(crew: str) -> Iterator[None]:
    """Turn whatever a crew or a provider raises into CrewError; a deliberate abort passes."""
    try:
        yield
    except (SpikeguardError, HookAborted):
        raise
    except Exception as error:
        raise CrewError(f"{crew}: {type(error).__name__}: {error}") from error
