"""Builds the model behind an agent; whatever a crew raises becomes ours here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from agents.config import AgentConfig, AgentsConfig
from agents.llm_choice import choose_models
from agents.models.chain import Link, ModelChain, ModelHealth
from agents.models.prices import price_of
from agents.models.provider import create_model
from agents.models.recording import RecordedLLM, recorder_of
from agents.rule_llm import RuleLLM
from tools.framework import BaseLLM, HookAborted
from trading.errors import CrewError, SpikeguardError


def create_llm(
    config: AgentsConfig,
    environment: Mapping[str, str],
    agent: AgentConfig | None = None,
    *,
    agent_name: str = "",
) -> BaseLLM:
    """The rules, or the chain of models that the settings describe for ``agent``.

    Raises:
        ConfigurationError: the settings do not describe a usable model.
    """
    settings = agent or AgentConfig()
    choices = choose_models(config, environment, settings, agent_name)
    if choices[0].is_rules:
        return RuleLLM(config.policy)
    if choices[0].recording is not None:
        return RecordedLLM(Path(choices[0].recording))
    assumed = config.llm.budgets.assumed_usd_per_million
    links = [Link(c, create_model(c, settings), price_of(c, assumed)) for c in choices]
    return ModelChain(
        links,
        _health(config.llm.rest_after_failure_s),
        agent_name=agent_name,
        max_tokens=settings.max_tokens,
        recorder=recorder_of(config.llm),
    )


@cache
def _health(rest_s: float) -> ModelHealth:
    """One for the process: what one run learnt of a model the next need not wait for."""
    return ModelHealth(rest_s)


@contextlib.contextmanager
def crew_errors(crew: str) -> Iterator[None]:
    """Turn whatever a crew raises into CrewError; a deliberate abort passes."""
    try:
        yield
    except (SpikeguardError, HookAborted):
        raise
    except Exception as error:
        raise CrewError(f"{crew}: {type(error).__name__}: {error}") from error
