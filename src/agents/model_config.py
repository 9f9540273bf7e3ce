"""Settings of the models behind the agents: which, where, how long, and how much of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, field_validator, model_validator

from tools.reserved_variables import what_is_in
from trading.model.base import ConfigModel


class LlmProvider(StrEnum):
    """Where an agent's answers come from."""

    AUTO = "auto"  # a model when its key is in the environment, else the rules
    RULE = "rule"
    OPENAI = "openai"
    OPENAI_COMPATIBLE = "openai_compatible"
    ANTHROPIC = "anthropic"
    CREWAI = "crewai"  # whatever else crewai.LLM knows, by "provider/model"


# Keys that are looked up where `api_key_env` names none.
USUAL_KEYS = {LlmProvider.OPENAI: "OPENAI_API_KEY", LlmProvider.ANTHROPIC: "ANTHROPIC_API_KEY"}


class ModelConfig(ConfigModel):
    """One model. Its key is only ever in the environment."""

    provider: LlmProvider = Field(
        default=LlmProvider.AUTO,
        description=(
            "auto: the model below when the key is in the environment, else the built-in rules; "
            "rule: the built-in rules, no network; openai: api.openai.com; "
            "openai_compatible: any server that speaks its protocol (Ollama, vLLM, llama.cpp …), "
            "at base_url; anthropic: needs the extra `anthropic`; crewai: any other provider of "
            "crewai.LLM, model written as provider/model, its key in the variable that CrewAI "
            "documents."
        ),
    )
    model: str = Field(
        default="gpt-4o-mini",
        min_length=1,
        max_length=200,
        description="Model name as the endpoint knows it. Unused by the rules.",
    )
    base_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/@\s]+(/[^@\s]*)?$",
        description=(
            "Endpoint of an OpenAI-compatible server, such as http://127.0.0.1:11434/v1. "
            "No user or password in it. Null: OPENAI_BASE_URL from the environment, else "
            "api.openai.com."
        ),
    )
    api_key_env: str | None = Field(
        default=None,
        pattern=r"^[A-Z][A-Z0-9_]{2,63}$",
        description=(
            "Name of the environment variable that holds the key. Null: OPENAI_API_KEY for "
            "openai, ANTHROPIC_API_KEY for anthropic, none for the others."
        ),
    )
    timeout_s: float = Field(
        default=20.0, gt=0, le=300, description="Longest wait for one answer of the model, seconds."
    )
    max_retries: int = Field(
        default=1,
        ge=0,
        le=5,
        description="How often one failed model call is repeated before the next model is asked; "
        "only after errors that may pass (busy, broken connection).",
    )
    stream: bool = Field(
        default=False,
        description="Take answers as streams, for endpoints that time out on long ones.",
    )
    input_usd_per_million: float | None = Field(
        default=None,
        ge=0,
        le=10_000,
        description="Price of a million input tokens, USD. Null: CrewAI's price list; 0 for an "
        "endpoint on this machine or network; else budgets.assumed_usd_per_million.",
    )
    output_usd_per_million: float | None = Field(
        default=None, ge=0, le=10_000, description="The same for output tokens."
    )

    @field_validator("api_key_env")
    @classmethod
    def _is_no_key_of_another(cls, name: str | None) -> str | None:
        if name is not None and (held := what_is_in(name)) is not None:
            raise ValueError(f"{name} holds {held}, which must never be sent to a model")
        return name

    @property
    def key_variable(self) -> str | None:
        """Name of the variable that holds the key; None when none is sent."""
        return self.api_key_env or USUAL_KEYS.get(self.provider)


class BudgetConfig(ConfigModel):
    """How much the models may use. Used up means no trade; the guardian goes on by its rules.

    Counted over all processes on the store, and kept there (table model_calls).
    """

    max_tokens_per_run: int = Field(
        default=120_000, ge=1, description="Input and output tokens of one crew run."
    )
    max_tokens_per_hour: int = Field(
        default=3_000_000, ge=1, description="Tokens within 60 minutes of wall time."
    )
    max_tokens_per_day: int = Field(
        default=20_000_000, ge=1, description="Tokens within 24 hours of wall time."
    )
    max_usd_per_run: float = Field(default=0.5, gt=0, le=10_000, description="Cost of one run.")
    max_usd_per_hour: float = Field(
        default=5.0, gt=0, le=100_000, description="Cost within 60 minutes."
    )
    max_usd_per_day: float = Field(
        default=25.0, gt=0, le=1_000_000, description="Cost within 24 hours."
    )
    assumed_usd_per_million: float = Field(
        default=15.0,
        ge=0,
        le=10_000,
        description="Price of a million tokens of a model whose price nobody knows.",
    )


class RecordingMode(StrEnum):
    """What is done with the models' traffic."""

    OFF = "off"
    RECORD = "record"
    REPLAY = "replay"


class RecordingConfig(ConfigModel):
    """Model traffic on file, so that a run can be repeated without its model."""

    mode: RecordingMode = Field(
        default=RecordingMode.OFF,
        description="record: append every answer to the file; replay: answer from the file, ask no "
        "model.",
    )
    file: str | None = Field(
        default=None, min_length=1, max_length=4096, description="The recording, JSON lines."
    )
    label: str = Field(
        default="", max_length=100, description="Written into every line, to tell passes apart."
    )

    @model_validator(mode="after")
    def _has_a_file(self) -> Self:
        if self.mode is not RecordingMode.OFF and self.file is None:
            raise ValueError(f"mode = {self.mode} needs file")
        return self


class LlmConfig(ModelConfig):
    """The model behind all agents, what steps in when it fails, and what they may cost."""

    api_key_env: str | None = Field(
        default="OPENAI_API_KEY",
        pattern=r"^[A-Z][A-Z0-9_]{2,63}$",
        description="Name of the environment variable that holds the key. Null: by provider.",
    )
    fallbacks: tuple[ModelConfig, ...] = Field(
        default=(),
        max_length=5,
        description="Models that are asked, in this order, when the one before does not answer; "
        "each a map with the keys above (a key is only sent where api_key_env names it, or to "
        "openai and anthropic themselves). After the last one the guardian goes on by its rules, "
        "and a spike is not traded.",
    )
    rest_after_failure_s: float = Field(
        default=60.0,
        ge=0,
        le=3600,
        description="How long a model that failed is passed over while another one can answer.",
    )
    recording: RecordingConfig = Field(
        default_factory=RecordingConfig, description="Model traffic on file."
    )
    budgets: BudgetConfig = Field(
        default_factory=BudgetConfig, description="Bounds on tokens and money."
    )

    @property
    def key_variable(self) -> str | None:
        """Anthropic's own variable where the default, OpenAI's, cannot be meant."""
        if self.provider is LlmProvider.ANTHROPIC and self.api_key_env == "OPENAI_API_KEY":
            return USUAL_KEYS[self.provider]
        return super().key_variable

    @model_validator(mode="after")
    def _fallbacks_are_models(self) -> Self:
        for number, fallback in enumerate(self.fallbacks, start=1):
            if fallback.provider in (LlmProvider.AUTO, LlmProvider.RULE):
                raise ValueError(
                    f"fallback {number} has provider {fallback.provider}: name a model's provider "
                    "(the rules step in by themselves, where they may)"
                )
        return self
