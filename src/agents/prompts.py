"""Loads prompts.yaml, strictly: every agent there, nothing else, nothing empty."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trading.errors import ConfigurationError

ModelT = TypeVar("ModelT", bound=BaseModel)


class AgentPrompt(BaseModel):
    """Who an agent is, in CrewAI's three texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: str = Field(min_length=3)
    goal: str = Field(min_length=10)
    backstory: str = Field(min_length=10)


class AgentPrompts(BaseModel):
    """One prompt for each of the five agents."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    market_guardian: AgentPrompt
    market_scanner: AgentPrompt
    context_analyzer: AgentPrompt
    risk_assessor: AgentPrompt
    strategy_executor: AgentPrompt


def load_packaged_yaml(package: str, name: str, model: type[ModelT]) -> ModelT:
    """A YAML file that ships inside ``package``, checked against ``model``.

    Raises:
        ConfigurationError: the file is missing, is not YAML, or does not fit.
    """
    try:
        text = resources.files(package).joinpath(name).read_text(encoding="utf-8")
        return model.model_validate(yaml.safe_load(text))
    except OSError as error:
        raise ConfigurationError(f"{package}/{name} is missing: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{package}/{name} is not YAML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()
        )
        raise ConfigurationError(f"{package}/{name}: {problems}") from error


@cache
def load_prompts() -> AgentPrompts:
    """Raises ConfigurationError."""
    return load_packaged_yaml("agents", "prompts.yaml", AgentPrompts)
