"""Which model answers, decided from settings and environment alone (no CrewAI import here)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.config import LlmConfig, LlmProvider
from trading.errors import ConfigurationError

RULES_LABEL = "built-in rules (no model)"
_OPENAI_URL = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True)
class LlmChoice:
    """The outcome. ``base_url`` and ``api_key`` are None for the rules; the key is never shown."""

    provider: LlmProvider
    model: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)

    @property
    def is_rules(self) -> bool:
        return self.provider is LlmProvider.RULE

    @property
    def label(self) -> str:
        """What records say about who decided."""
        return RULES_LABEL if self.is_rules else f"model {self.model}"


def choose_llm(config: LlmConfig, environment: Mapping[str, str]) -> LlmChoice:
    """Settle the provider.

    Raises:
        ConfigurationError: the settings ask for a model that cannot be reached without more.
    """
    key = environment.get(config.api_key_env, "").strip() or None
    url = config.base_url or environment.get("OPENAI_BASE_URL", "").strip() or None
    provider = config.provider
    if provider is LlmProvider.AUTO:
        provider = LlmProvider.RULE if key is None else LlmProvider.OPENAI_COMPATIBLE
        url = url or _OPENAI_URL
    if provider is LlmProvider.RULE:
        return LlmChoice(LlmProvider.RULE, "rules")
    if provider is LlmProvider.OPENAI:
        if key is None:
            raise ConfigurationError(
                f"agents.llm.provider=openai needs a key in {config.api_key_env}; set it, or set "
                "the provider to auto or rule"
            )
        return LlmChoice(provider, config.model, url or _OPENAI_URL, key)
    if url is None:
        raise ConfigurationError(
            "agents.llm.provider=openai_compatible needs agents.llm.base_url or OPENAI_BASE_URL"
        )
    # Local servers often want no key; the client library insists on sending one.
    return LlmChoice(provider, config.model, url, key or "none")
