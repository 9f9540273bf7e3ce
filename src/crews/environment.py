"""Settings that come from the environment and from the ``.env`` file beside the configuration.

A variable that is really set wins over ``.env``; both win over the YAML file. Secrets are only
ever here: they are not part of ``AppConfig`` and are handed to the one process that needs them.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from agents.model_config import USUAL_KEYS, LlmProvider
from tools.reserved_variables import what_is_in
from trading.errors import ConfigurationError
from trading.news.config import KEY_NAMES

if TYPE_CHECKING:
    from trading.exchange.credentials import ApiCredentials
    from trading.exchange.venues import VenueName

Percent = Annotated[float, Field(gt=0, lt=100, allow_inf_nan=False)]
Provider = Annotated[
    LlmProvider, BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
]

DEFAULT_MODEL_KEYS = frozenset(USUAL_KEYS.values())

# A misspelt safety setting would be ignored in silence, so unknown names in these families are
# refused. The other families (CREWAI_, OPENAI_, …) are shared with other programs.
NOTIFY_PREFIX = "NOTIFY_"  # addresses of notification channels hold passwords
OWNED_PREFIXES = ("CIRCUIT_BREAKER_", "SPIKE_DETECTION_")

# Environment variable → key of the configuration file.
CONFIG_KEYS: dict[str, str] = {
    "OPENAI_BASE_URL": "agents.llm.base_url",
    "CREWAI_ENABLED": "crews.enabled",
    "CREWAI_LLM_PROVIDER": "agents.llm.provider",
    "CREWAI_LLM_MODEL": "agents.llm.model",
    "CIRCUIT_BREAKER_ENABLED": "circuit_breaker.enabled",
    "CIRCUIT_BREAKER_BTC_DUMP_1H": "crash_detection.btc.fall_1h_pct",
    "CIRCUIT_BREAKER_ETH_DUMP_1H": "crash_detection.eth.fall_1h_pct",
    "CIRCUIT_BREAKER_AUTO_RESUME": "circuit_breaker.auto_resume",
    "SPIKE_DETECTION_ENABLED": "spike_detection.enabled",
    "SPIKE_DETECTION_CHECK_CIRCUIT_BREAKER": "spike_detection.check_circuit_breaker",
    "REDIS_ENABLED": "redis.enabled",
    "REDIS_HOST": "redis.host",
    "REDIS_PORT": "redis.port",
}


class Environment(BaseSettings):
    """Every variable that spikeguard reads; an empty one counts as not set.

    The YAML keys that some of them replace are in ``CONFIG_KEYS``.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", case_sensitive=True, env_ignore_empty=True
    )

    BINANCE_API_KEY: SecretStr | None = None
    BINANCE_API_SECRET: SecretStr | None = None
    BINANCE_TESTNET_API_KEY: SecretStr | None = None
    BINANCE_TESTNET_API_SECRET: SecretStr | None = None
    BINANCE_DEMO_API_KEY: SecretStr | None = None
    BINANCE_DEMO_API_SECRET: SecretStr | None = None
    OPENAI_API_KEY: SecretStr | None = None
    OPENAI_BASE_URL: Annotated[str, Field(pattern=r"^https?://")] | None = None
    CRYPTOPANIC_API_KEY: SecretStr | None = None
    NEWSAPI_API_KEY: SecretStr | None = None
    X_BEARER_TOKEN: SecretStr | None = None
    REDDIT_CLIENT_ID: SecretStr | None = None
    REDDIT_CLIENT_SECRET: SecretStr | None = None
    ETHERSCAN_API_KEY: SecretStr | None = None
    CREWAI_ENABLED: bool | None = None
    CREWAI_LLM_PROVIDER: Provider | None = None
    CREWAI_LLM_MODEL: str | None = None
    CREWAI_CONFIG_PATH: Path | None = None
    CIRCUIT_BREAKER_ENABLED: bool | None = None
    CIRCUIT_BREAKER_BTC_DUMP_1H: Percent | None = None
    CIRCUIT_BREAKER_ETH_DUMP_1H: Percent | None = None
    CIRCUIT_BREAKER_AUTO_RESUME: bool | None = None
    SPIKE_DETECTION_ENABLED: bool | None = None
    SPIKE_DETECTION_CHECK_CIRCUIT_BREAKER: bool | None = None
    NOTIFY_URL: SecretStr | None = None
    REDIS_ENABLED: bool | None = None
    REDIS_HOST: str | None = None
    REDIS_PORT: Annotated[int, Field(ge=1, le=65535)] | None = None
    REDIS_PASSWORD: SecretStr | None = None

    def config_values(self) -> dict[str, tuple[str, Any]]:
        """Dotted configuration key → (variable, value), for the variables that are set."""
        values = self.model_dump(mode="json", include=set(CONFIG_KEYS), exclude_none=True)
        return {CONFIG_KEYS[name]: (name, value) for name, value in values.items()}

    def binance_credentials(self, venue: VenueName) -> ApiCredentials | None:
        """Key and secret for ``venue``; None where neither is set or the venue needs none.

        Raises:
            ConfigurationError: only one half of the pair is set.
        """
        from trading.exchange.credentials import CREDENTIAL_NAMES, ApiCredentials

        key_name, secret_name = CREDENTIAL_NAMES[venue]
        key: SecretStr | None = getattr(self, key_name, None)
        secret: SecretStr | None = getattr(self, secret_name, None)
        if key is None and secret is None:
            return None
        if key is None or secret is None:
            missing = key_name if key is None else secret_name
            raise ConfigurationError(
                f"environment: {missing} is not set, but its other half is; set both or neither"
            )
        return ApiCredentials(key=key, secret=secret)


def load_environment(env_file: Path) -> Environment:
    """Read the process's environment and, below it, ``env_file`` where it exists.

    Raises:
        ConfigurationError: a variable's value is not allowed, or its name is a misspelt one.
    """
    _refuse_unknown_names(os.environ, "environment")
    if env_file.is_file():
        _refuse_unknown_names(_names_in(env_file), str(env_file))
    try:
        return Environment(_env_file=env_file if env_file.is_file() else None)
    except ValidationError as error:
        raise ConfigurationError(
            "\n".join(_problem(problem, env_file) for problem in error.errors())
        ) from None


def _names_in(env_file: Path) -> Mapping[str, str | None]:
    from dotenv import dotenv_values

    return dotenv_values(env_file)


def _refuse_unknown_names(names: Mapping[str, str | None], origin: str) -> None:
    for name in names:
        if name.startswith(OWNED_PREFIXES) and name not in Environment.model_fields:
            known = ", ".join(n for n in Environment.model_fields if n.startswith(OWNED_PREFIXES))
            raise ConfigurationError(f"{origin}: {name} is not a setting; there are {known}")


def _problem(problem: Any, env_file: Path) -> str:
    name = str(problem["loc"][0])
    origin = "environment" if name in os.environ else str(env_file)
    is_secret = "SecretStr" in str(Environment.model_fields[name].annotation)
    value = "***" if is_secret else repr(problem["input"])
    replaced = f" (replaces {CONFIG_KEYS[name]})" if name in CONFIG_KEYS else ""
    return f"{origin}: {name} = {value}{replaced}: {problem['msg']}"


def core_environment(
    environment: Environment, venue: VenueName, model_keys: Collection[str] = DEFAULT_MODEL_KEYS
) -> dict[str, str]:
    """Variables for the core process: the venue's own key, and none of the models'.

    ``model_keys`` are the names of the variables that are the workers' business alone.
    """
    result = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("BINANCE_")
        and name not in {*DEFAULT_MODEL_KEYS, *model_keys, *KEY_NAMES}
    }
    if (credentials := environment.binance_credentials(venue)) is not None:
        from trading.exchange.credentials import CREDENTIAL_NAMES

        key_name, secret_name = CREDENTIAL_NAMES[venue]
        result[key_name] = credentials.key.get_secret_value()
        result[secret_name] = credentials.secret.get_secret_value()
    if environment.REDIS_PASSWORD is not None:
        result["REDIS_PASSWORD"] = environment.REDIS_PASSWORD.get_secret_value()
    return result


def notify_environment(channels: Iterable[str], env_file: Path) -> dict[str, str]:
    """The addresses of the notification channels, by the names of their variables.

    ``env_file`` is read for those that the environment does not have.
    """
    stored = _names_in(env_file) if env_file.is_file() else {}
    values = {name: os.environ.get(name) or stored.get(name) for name in channels}
    return {name: value for name, value in values.items() if value}


def worker_environment(
    environment: Environment,
    env_file: Path | None = None,
    model_keys: Collection[str] = DEFAULT_MODEL_KEYS,
) -> dict[str, str]:
    """Variables for a crew worker: the models' keys, and nothing of the exchange's.

    ``model_keys`` are the names of variables that hold models' keys or that MCP servers get; those
    of other names than OPENAI_API_KEY are looked up in ``env_file`` too.
    """
    result = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BINANCE_", NOTIFY_PREFIX))
        and name not in ("REDIS_PASSWORD", *KEY_NAMES)
    }
    if environment.OPENAI_API_KEY is not None:
        result["OPENAI_API_KEY"] = environment.OPENAI_API_KEY.get_secret_value()
    in_file = _names_in(env_file) if env_file else {}
    for name in model_keys:
        if not result.get(name) and (key := in_file.get(name)) and what_is_in(name) is None:
            result[name] = key
    if environment.OPENAI_BASE_URL is not None:
        result["OPENAI_BASE_URL"] = environment.OPENAI_BASE_URL
    return result


def news_environment(variables: Mapping[str, str], environment: Environment) -> dict[str, str]:
    """Variables for the news process: a crew worker's, and every source's key that is set."""
    keys = {name: getattr(environment, name) for name in KEY_NAMES}
    set_keys = {name: key.get_secret_value() for name, key in keys.items() if key is not None}
    return {**variables, **set_keys}
