"""Settings of the five agents, of their models and of the built-in rules."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from trading.model.base import ConfigModel, Fraction


class LlmProvider(StrEnum):
    """Where an agent's answers come from."""

    AUTO = "auto"  # a model when its key is in the environment, else the rules
    RULE = "rule"
    OPENAI = "openai"
    OPENAI_COMPATIBLE = "openai_compatible"


class LlmConfig(ConfigModel):
    """The model behind all agents. The key itself is only ever in the environment."""

    provider: LlmProvider = Field(
        default=LlmProvider.AUTO,
        description=(
            "auto: the model below when the key is in the environment, else the built-in rules; "
            "rule: the built-in rules, no network; openai: api.openai.com; "
            "openai_compatible: any server that speaks its protocol, at base_url."
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
        pattern=r"^https?://",
        description=(
            "Endpoint of an OpenAI-compatible server, such as http://127.0.0.1:11434/v1. "
            "Null: OPENAI_BASE_URL from the environment, else api.openai.com."
        ),
    )
    api_key_env: str = Field(
        default="OPENAI_API_KEY",
        pattern=r"^[A-Z][A-Z0-9_]{2,63}$",
        description="Name of the environment variable that holds the key.",
    )
    timeout_s: float = Field(
        default=20.0, gt=0, le=300, description="Longest wait for one answer of the model, seconds."
    )
    max_retries: int = Field(
        default=1, ge=0, le=5, description="How often one failed model call is repeated."
    )


class AgentConfig(ConfigModel):
    """One agent. A switched-off agent's tasks are left out of its crew.

    Without the market guardian, the risk assessor or the strategy executor no run can enter a
    position: their tasks are checks, and a check that did not happen is not passed.
    """

    enabled: bool = Field(default=True, description="Whether this agent takes part.")
    model: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Model for this agent alone. Null: the common one.",
    )
    temperature: float = Field(
        default=0.0, ge=0, le=2, description="Sampling temperature; 0 is the most repeatable."
    )
    max_tokens: int = Field(
        default=1200, ge=64, le=32_000, description="Longest answer of one model call, in tokens."
    )
    max_iter: int = Field(
        default=6, ge=2, le=25, description="Most model calls in one task, tool calls included."
    )
    max_execution_time_s: int = Field(
        default=20, ge=1, le=600, description="Longest time for one task of this agent, seconds."
    )


class RulePolicyConfig(ConfigModel):
    """Thresholds of the built-in rules, and of the plain-code checks on any model's decision."""

    min_confidence: Fraction = Field(
        default=0.6, description="A spike less sure than this is not entered (0 to 1)."
    )
    max_pump_and_dump_likelihood: Fraction = Field(
        default=0.65, description="A spike more likely than this to be a pump is not entered."
    )
    max_share_of_crash_limit: Fraction = Field(
        default=0.6,
        description="The market counts as unstable once a crash metric used this share of its "
        "hard limit.",
    )
    max_spread_pct: float = Field(
        default=0.3, gt=0, le=10, description="Widest bid-ask spread to enter into, % of the mid."
    )
    max_slippage_pct: float = Field(
        default=0.5,
        gt=0,
        le=10,
        description="Largest expected distance of the average fill from the mid, %.",
    )
    stop_volatility_multiple: float = Field(
        default=3.0,
        gt=0,
        le=50,
        description="Stop distance as a multiple of the volatility over 15 minutes (that of "
        "1-minute returns × √15).",
    )
    min_stop_loss_pct: float = Field(
        default=1.0, gt=0, lt=50, description="Nearest stop the rules propose, % of the price."
    )
    max_stop_loss_pct: float = Field(
        default=5.0, gt=0, lt=50, description="Farthest stop the rules propose, % of the price."
    )
    reward_to_risk: float = Field(
        default=2.0, gt=0, le=20, description="Take-profit distance as a multiple of the stop's."
    )


class AgentsConfig(ConfigModel):
    """The five agents and what they share."""

    llm: LlmConfig = Field(default_factory=LlmConfig, description="The model behind the agents.")
    market_guardian: AgentConfig = Field(
        default_factory=AgentConfig, description="Market Crash Protection Specialist."
    )
    market_scanner: AgentConfig = Field(
        default_factory=AgentConfig, description="Binance Market Surveillance Specialist."
    )
    context_analyzer: AgentConfig = Field(
        default_factory=AgentConfig, description="Why it moved: momentum, pump, or the market."
    )
    risk_assessor: AgentConfig = Field(
        default_factory=AgentConfig, description="Stop, take profit and size; may veto."
    )
    strategy_executor: AgentConfig = Field(
        default_factory=AgentConfig, description="Enters or abstains; the only one that orders."
    )
    policy: RulePolicyConfig = Field(
        default_factory=RulePolicyConfig, description="Thresholds of the rules and of the checks."
    )
