"""Settings of the agents and of the built-in rules."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from agents.model_config import LlmConfig, LlmProvider, ModelConfig
from tools.mcp_config import McpServerConfig
from trading.model.base import ConfigModel, Fraction
from trading.model.operations import EXPLAINING_AGENTS

__all__ = [
    "AgentConfig",
    "AgentsConfig",
    "FailurePolicy",
    "LlmConfig",
    "LlmProvider",
    "ModelConfig",
    "RulePolicyConfig",
]


class FailurePolicy(StrEnum):
    """What an agent that fails or hangs means for its run."""

    NO_TRADE = "no_trade"
    LEAVE_OUT = "leave_out"  # the others decide without it


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
        description="Name of another model for this agent, at the common endpoint. Null: the "
        "common one.",
    )
    llm: ModelConfig | None = Field(
        default=None,
        description="A model of its own for this agent: a map with the keys of agents.llm from "
        "provider to output_usd_per_million. Null: the common one.",
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
    on_failure: FailurePolicy = Field(
        default=FailurePolicy.NO_TRADE,
        description="When it fails or hangs: no_trade ends the run without a trade; leave_out lets "
        "the others decide without it (market scanner and context analyzer only).",
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


def _desk_agent() -> AgentConfig:
    return AgentConfig(enabled=False, max_tokens=2000, max_execution_time_s=60)


class AgentsConfig(ConfigModel):
    """The five agents that trade, the five of the safety desk, and what they share.

    Those of the desk (risk_manager to simulation) write notes for people. They have no tools, and
    nothing acts on what they write. Switched off, `explain` has the built-in rules write instead.
    """

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
    risk_manager: AgentConfig = Field(
        default_factory=_desk_agent, description="Desk: explains why a rule refused an entry."
    )
    compliance: AgentConfig = Field(
        default_factory=_desk_agent, description="Desk: writes the day of the compliance report."
    )
    reconciliation: AgentConfig = Field(
        default_factory=_desk_agent,
        description="Desk: explains a reconciliation that corrected or latched.",
    )
    error_recovery: AgentConfig = Field(
        default_factory=_desk_agent, description="Desk: proposes fixes for errors that repeat."
    )
    simulation: AgentConfig = Field(
        default_factory=_desk_agent, description="Desk: writes up a run on virtual money."
    )
    policy: RulePolicyConfig = Field(
        default_factory=RulePolicyConfig, description="Thresholds of the rules and of the checks."
    )
    mcp_servers: tuple[McpServerConfig, ...] = Field(
        default=(),
        max_length=20,
        description="MCP servers of your own whose tools some agents may use: name, command and "
        "args or url, tools, agents (market_scanner, context_analyzer), read_only, env; see "
        "docs/agents.md.",
    )

    @model_validator(mode="after")
    def _servers_have_names_of_their_own(self) -> Self:
        names = [server.name for server in self.mcp_servers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"mcp_servers: the name {twice[0]!r} is there twice")
        return self

    @model_validator(mode="after")
    def _checks_are_not_left_out(self) -> Self:
        for name in ("market_guardian", "risk_assessor", "strategy_executor"):
            settings: AgentConfig = getattr(self, name)
            if settings.on_failure is FailurePolicy.LEAVE_OUT:
                raise ValueError(
                    f"{name}.on_failure = leave_out: its task is a check, and a check that did "
                    "not happen is not passed"
                )
        for name in EXPLAINING_AGENTS:
            if getattr(self, name).on_failure is FailurePolicy.LEAVE_OUT:
                raise ValueError(f"{name}.on_failure = leave_out: it takes no part in any trade")
        return self
