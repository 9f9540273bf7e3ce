"""Which models answer, decided from settings and environment alone (no CrewAI import here)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.config import AgentConfig, AgentsConfig
from agents.model_config import USUAL_KEYS, LlmProvider, ModelConfig, RecordingMode
from trading.errors import ConfigurationError

RULES_LABEL = "built-in rules (no model)"
_MODEL, _RECORDED = "model ", "recorded replies of "
_OPENAI_URL = "https://api.openai.com/v1"
_COMMON = "agents.llm"
# What a server may be handed like every other program: no secret, and the core needs it, too.
_OF_EVERY_PROCESS = frozenset({"HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ"})


@dataclass(frozen=True, slots=True)
class LlmChoice:
    """The outcome. ``base_url`` and ``api_key`` are None for the rules; the key is never shown."""

    provider: LlmProvider
    model: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    settings: ModelConfig = field(default_factory=ModelConfig, repr=False)
    recording: str | None = None  # the file that answers in the model's place
    where: str = field(default=_COMMON, repr=False)  # the section that describes it

    @property
    def is_rules(self) -> bool:
        return self.provider is LlmProvider.RULE

    @property
    def label(self) -> str:
        """What records say about who decided."""
        if self.recording is not None:
            return f"recording {self.recording}"
        return RULES_LABEL if self.is_rules else f"{_MODEL}{self.model}"


def recorded_label(model: str) -> str:
    """What records say of an answer that ``model`` gave when it was recorded."""
    return f"{_RECORDED}{model}"


def author(label: str) -> str:
    """Whose words they are: of the same model, whether it was asked or read from a recording."""
    return _MODEL + label.removeprefix(_RECORDED) if label.startswith(_RECORDED) else label


def choose_llm(
    config: ModelConfig, environment: Mapping[str, str], where: str = _COMMON
) -> LlmChoice:
    """Settle the provider of one model; ``where`` names its section in errors.

    Raises:
        ConfigurationError: the settings ask for a model that cannot be reached without more.
    """
    variable = config.key_variable or (
        USUAL_KEYS[LlmProvider.OPENAI] if config.provider is LlmProvider.AUTO else None
    )
    key = environment.get(variable, "").strip() or None if variable else None
    provider, url = config.provider, config.base_url
    if provider is LlmProvider.AUTO:
        provider = LlmProvider.RULE if key is None else LlmProvider.OPENAI_COMPATIBLE
        url = url or environment.get("OPENAI_BASE_URL", "").strip() or _OPENAI_URL
    match provider:
        case LlmProvider.RULE:
            return LlmChoice(provider, "rules")
        case LlmProvider.OPENAI | LlmProvider.ANTHROPIC:
            if key is None:
                raise ConfigurationError(
                    f"{where}.provider = {provider} needs a key in {variable}; set it, or set "
                    "the provider to auto or rule"
                )
            if provider is LlmProvider.OPENAI:
                url = url or environment.get("OPENAI_BASE_URL", "").strip() or _OPENAI_URL
        case LlmProvider.OPENAI_COMPATIBLE:
            url = url or environment.get("OPENAI_BASE_URL", "").strip() or None
            if url is None:
                raise ConfigurationError(
                    f"{where}.provider = openai_compatible needs {where}.base_url or "
                    "OPENAI_BASE_URL"
                )
            # Local servers often want no key; the client library insists on sending one.
            key = key or "none"
        case LlmProvider.CREWAI if "/" not in config.model:
            raise ConfigurationError(
                f"{where}.model = {config.model!r}: provider crewai wants provider/model, such "
                "as gemini/gemini-2.5-flash"
            )
    return LlmChoice(provider, config.model, url, key, config, where=where)


def choose_models(
    config: AgentsConfig,
    environment: Mapping[str, str],
    agent: AgentConfig | None = None,
    agent_name: str = "",
) -> tuple[LlmChoice, ...]:
    """The models behind ``agent`` (None: the common ones) in the order they are asked.

    The rules stand alone: nothing can fail that a fallback would have to stand in for.

    Raises:
        ConfigurationError: as ``choose_llm``, for any of them.
    """
    first: ModelConfig = config.llm
    where = _COMMON
    if agent is not None and agent.llm is not None:
        first, where = agent.llm, f"agents.{agent_name or '<agent>'}.llm"
    elif agent is not None and agent.model is not None:
        first = config.llm.model_copy(update={"model": agent.model})
        where = f"agents.{agent_name or '<agent>'}"
    recording = config.llm.recording
    if recording.mode is RecordingMode.REPLAY and first.provider is not LlmProvider.RULE:
        return (LlmChoice(first.provider, first.model, recording=recording.file),)
    choice = choose_llm(first, environment, where)
    if choice.is_rules:
        return (choice,)
    fallbacks = (
        choose_llm(fallback, environment, f"{_COMMON}.fallbacks.{number}")
        for number, fallback in enumerate(config.llm.fallbacks)
    )
    return (choice, *fallbacks)


def check_models(config: AgentsConfig, environment: Mapping[str, str]) -> list[LlmChoice]:
    """The models of all agents that are switched on, each once. Raises ConfigurationError."""
    choices = [*choose_models(config, environment)]
    for name, settings in agent_settings(config).items():
        if settings.enabled:
            choices += choose_models(config, environment, settings, name)
    return list({(one.where, one.model): one for one in choices}.values())


def agent_settings(config: AgentsConfig) -> dict[str, AgentConfig]:
    """The agents' own sections, by their names."""
    sections = {name: getattr(config, name) for name in AgentsConfig.model_fields}
    return {name: value for name, value in sections.items() if isinstance(value, AgentConfig)}


def worker_variables(config: AgentsConfig) -> frozenset[str]:
    """Names of the variables that may hold a model's key or what an MCP server is handed: secrets,
    and the workers' business, not the core's."""
    handed_on = {name for server in config.mcp_servers for name in server.env}
    return _key_variables(config) | (handed_on - _OF_EVERY_PROCESS)


def _key_variables(config: AgentsConfig) -> frozenset[str]:
    models: list[ModelConfig] = [config.llm, *config.llm.fallbacks]
    models += [settings.llm for settings in agent_settings(config).values() if settings.llm]
    named = {variable for model in models if (variable := model.key_variable)}
    return frozenset(named | set(USUAL_KEYS.values()))
