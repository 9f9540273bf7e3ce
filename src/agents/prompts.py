"""Loads prompts.yaml, strictly: every agent there, nothing else, nothing empty."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any, TypeVar

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
    """One prompt for each agent: the five that trade, and the five of the safety desk."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    market_guardian: AgentPrompt
    market_scanner: AgentPrompt
    context_analyzer: AgentPrompt
    risk_assessor: AgentPrompt
    strategy_executor: AgentPrompt
    risk_manager: AgentPrompt
    compliance: AgentPrompt
    reconciliation: AgentPrompt
    error_recovery: AgentPrompt
    simulation: AgentPrompt


def load_packaged_yaml(package: str, name: str, model: type[ModelT]) -> ModelT:
    """A YAML file that ships inside ``package``, checked against ``model``.

    Raises:
        ConfigurationError: the file is missing, is not YAML, or does not fit.
    """
    return _checked(package, name, _read(package, name), model)


def _read(package: str, name: str) -> Any:
    try:
        text = resources.files(package).joinpath(name).read_text(encoding="utf-8")
        return yaml.safe_load(text)
    except OSError as error:
        raise ConfigurationError(f"{package}/{name} is missing: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{package}/{name} is not YAML: {error}") from error


def _checked(package: str, name: str, content: Any, model: type[ModelT]) -> ModelT:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()
        )
        raise ConfigurationError(f"{package}/{name}: {problems}") from error


def load_versioned_yaml(package: str, name: str, model: type[ModelT]) -> tuple[ModelT, int]:
    """As ``load_packaged_yaml``, for a file that begins with its ``version``, a whole number.

    Raises:
        ConfigurationError: as there, or the version is missing.
    """
    content = _read(package, name)
    version = content.pop("version", None) if isinstance(content, dict) else None
    if not isinstance(version, int):
        raise ConfigurationError(f"{package}/{name}: version: a whole number is wanted")
    return _checked(package, name, content, model), version


def load_prompts() -> AgentPrompts:
    """Raises ConfigurationError."""
    return _load()[0]


def prompts_version() -> int:
    """The version that prompts.yaml gives itself. Raises ConfigurationError."""
    return _load()[1]


@cache
def _load() -> tuple[AgentPrompts, int]:
    return load_versioned_yaml("agents", "prompts.yaml", AgentPrompts)


def prompt_hash(*parts: Any) -> str:
    """16 hex digits over everything of ours that an answer depends on, data excepted."""
    text = json.dumps(parts, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(part: Any) -> Any:
    if isinstance(part, type) and issubclass(part, BaseModel):
        return part.model_json_schema()
    return part.model_dump(mode="json") if isinstance(part, BaseModel) else str(part)
