"""From the file, the environment and the command line to one checked ``AppConfig``.

Later wins: built-in defaults, the YAML file, ``.env``, the environment, the command line.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from agents.llm_choice import worker_variables
from crews.config import AppConfig
from crews.environment import (
    Environment,
    core_environment,
    load_environment,
    news_environment,
    notify_environment,
    worker_environment,
)
from crews.strict_yaml import YamlDocument, read_yaml
from trading.errors import ConfigurationError

DEFAULT_PATH = Path("config/crewai_config.yaml")
ENV_FILE = ".env"
CHECKOUT = Path(__file__).resolve().parents[2]
SECRET_WORDS = ("key", "secret", "password", "token")


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """The configuration with where it came from.

    ``base`` is the folder that relative paths of the configuration count from; those in
    ``config`` are already absolute. ``origins`` names, for each dotted key that did not come from
    the file, the variable or option that set it.
    """

    config: AppConfig
    environment: Environment
    path: Path
    base: Path
    origins: Mapping[str, str]

    def core_environment(self) -> dict[str, str]:
        """Environment for the core process: the venue's own key, and none of the models'."""
        keys = worker_variables(self.config.agents)
        channels = self.config.monitoring.notifications.channels
        return {
            **core_environment(self.environment, self.config.exchange.venue, keys),
            **notify_environment([one.url_env for one in channels], self.base / ENV_FILE),
        }

    def worker_environment(self) -> dict[str, str]:
        """Environment for a crew worker: the models' keys, what MCP servers get, and nothing of
        the exchange's."""
        keys = worker_variables(self.config.agents)
        return worker_environment(self.environment, self.base / ENV_FILE, keys)

    def news_environment(self) -> dict[str, str]:
        """Environment for the news process: a crew worker's and the sources' keys."""
        return news_environment(self.worker_environment(), self.environment)


def load_config(
    path: Path | None = None, overrides: Mapping[str, tuple[str, Any]] | None = None
) -> LoadedConfig:
    """Read and check everything.

    ``path`` defaults to CREWAI_CONFIG_PATH, then ``config/crewai_config.yaml`` here, then the
    one of this checkout. ``overrides`` maps dotted keys to (option, value) of the command line.

    Raises:
        ConfigurationError: naming the origin, the key, the value and what is allowed.
    """
    base = _base(path)
    environment = load_environment(base / ENV_FILE)
    file = base / (path or environment.CREWAI_CONFIG_PATH or DEFAULT_PATH)
    document = read_yaml(file)
    replaced = {**environment.config_values(), **(overrides or {})}
    data = _over_defaults(AppConfig(), document.data)
    for dotted, (_, value) in replaced.items():
        _put(data, dotted, value)
    origins = {dotted: origin for dotted, (origin, _) in replaced.items()}
    try:
        config = AppConfig.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        lines = [_problem(problem, file, document, origins) for problem in error.errors()]
        raise ConfigurationError("\n".join(lines)) from None
    return LoadedConfig(_absolute(config, base), environment, file, base, origins)


def _base(path: Path | None) -> Path:
    """Where relative paths count from: here, or the checkout when only it has a configuration."""
    is_named = path is not None or os.environ.get("CREWAI_CONFIG_PATH")
    if is_named or DEFAULT_PATH.is_file() or not (CHECKOUT / DEFAULT_PATH).is_file():
        return Path.cwd()
    return CHECKOUT


def _over_defaults(section: BaseModel, given: dict[str, Any]) -> dict[str, Any]:
    """``given`` with every key that it leaves out, at every depth, as in ``section``.

    A section's default may differ from its class's (ETH's limits are not BTC's): a file that sets
    one key of it must not reset the others. Maps such as pair_thresholds are replaced as a whole.
    """
    result = dict(given)
    for key in type(section).model_fields:
        default = getattr(section, key)
        if isinstance(default, BaseModel) and isinstance(given.get(key, {}), dict):
            result[key] = _over_defaults(default, given.get(key, {}))
        elif key not in given:
            result[key] = to_jsonable_python(default)
    return result


def _put(data: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, key = dotted.split(".")
    for section in sections:
        inner = data.setdefault(section, {})
        if not isinstance(inner, dict):
            return  # the file is wrong here, and validation says so
        data = inner
    data[key] = value


def _absolute(config: AppConfig, base: Path) -> AppConfig:
    storage = config.storage.model_copy(update={"path": base / config.storage.path})
    api = config.api.model_copy(
        update={"runtime_directory": str(base / config.api.runtime_directory)}
    )
    llm = config.agents.llm
    if llm.recording.file is not None:
        file = str(base / llm.recording.file)
        llm = llm.model_copy(update={"recording": llm.recording.model_copy(update={"file": file})})
    agents = config.agents.model_copy(update={"llm": llm})
    return config.model_copy(update={"storage": storage, "api": api, "agents": agents})


def _problem(problem: Any, file: Path, document: YamlDocument, origins: Mapping[str, str]) -> str:
    """One line: where, key = value: what is wrong; what the key means."""
    dotted = ".".join(str(part) for part in problem["loc"])
    line = document.line_of(dotted)
    where = origins.get(dotted) or (f"{file}:{line}" if line else str(file))
    if problem["type"] == "extra_forbidden":
        return f"{where}: {dotted}: {_unknown_key(problem['loc'])}"
    value = problem["input"]
    is_secret = any(word in dotted.lower() for word in SECRET_WORDS)
    shown = "***" if is_secret else "" if isinstance(value, dict) else f" = {json.dumps(value)}"
    message = problem["msg"].removeprefix("Value error, ")
    description = _description(AppConfig, problem["loc"])
    return f"{where}: {dotted or 'configuration'}{shown}: {message}" + (
        f" ({description})" if description else ""
    )


def _unknown_key(loc: tuple[str | int, ...]) -> str:
    section = _model_at(AppConfig, loc[:-1])
    if section is None:
        return "there is no such key"
    allowed = list(section.model_fields)
    near = difflib.get_close_matches(str(loc[-1]), allowed, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"there is no such key; {hint}allowed here: {', '.join(sorted(allowed))}"


def _model_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The section at ``loc``, or that of a list's elements; None where no section is found."""
    for part in loc:
        if isinstance(part, int):  # an element: its model was found with the list
            continue
        info = model.model_fields.get(part)
        inner = _model_in(info.annotation) if info is not None else None
        if inner is None:
            return None
        model = inner
    return model


def _model_in(annotation: object) -> type[BaseModel] | None:
    """``annotation`` when it is a model, or the first one inside a list of it or an option."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _description(model: type[BaseModel], loc: tuple[str | int, ...]) -> str:
    """Description of the field at ``loc``, or of the nearest one above it."""
    text = ""
    for part in loc:
        info = model.model_fields.get(str(part))
        if info is None:
            break
        text = info.description or ""
        if not (isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)):
            break
        model = info.annotation
    return text.rstrip(".")
