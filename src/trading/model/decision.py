"""What the crews propose and what the core answers."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import Field

from trading.model.base import Fraction, PositiveDecimal, SymbolName, ValueModel
from trading.model.order import OrderType, Side


class TradeProposal(ValueModel):
    """An entry that a crew wants. The core decides on size, price and whether at all.

    ``epoch`` is the breaker's epoch the crew decided under; ``deadline_ms`` is market time after
    which the proposal is void. Percentages are of the entry price, positive.
    """

    spike_id: str
    symbol: SymbolName
    side: Side = Side.BUY
    entry_type: OrderType = OrderType.LIMIT
    limit_price: PositiveDecimal | None = None
    notional: PositiveDecimal  # quote asset; an upper bound, the risk engine may shrink it
    stop_loss_pct: float = Field(gt=0, lt=100)
    take_profit_pct: float = Field(gt=0, lt=1000)
    confidence: Fraction
    epoch: int = Field(ge=0)
    decided_at_ms: int
    deadline_ms: int
    reasoning: str = Field(max_length=4000)


class ProposalOutcome(StrEnum):
    ACCEPTED = "accepted"  # acknowledged by the venue (filled or resting)
    REFUSED = "refused"  # by us or the venue: nothing is out there
    UNKNOWN = "unknown"  # sent; being resolved by query
    AWAITING_APPROVAL = "awaiting_approval"  # passed every check; sent once a person approves


class ProposalResult(ValueModel):
    """The core's answer to a proposal. ``rule`` names what refused it."""

    outcome: ProposalOutcome
    client_order_id: str | None = None
    rule: str | None = None
    reason: str = ""
    filled_quantity: Decimal = Decimal(0)
    average_price: Decimal | None = None
    notional_approved: Decimal | None = None
    stop_client_order_id: str | None = None


class RiskPreview(ValueModel):
    """What the risk engine would say to a proposal now, without reserving anything."""

    approved: bool
    rule: str | None = None
    reason: str = ""
    notional: Decimal
    quantity: Decimal
    size_multiplier: float
    risk_amount: Decimal  # quote asset lost if the stop is hit
    equity: Decimal
    exposure: Decimal  # open and reserved, quote asset
    max_exposure: Decimal


NOT_DECIDED = "failed"
"""What the record of a task says that ended without any answer: no model gave one, or too late."""


class AgentDecision(ValueModel):
    """One decision of one agent, as it goes into agent_decisions.

    ``decided_by`` names the model that answered, or the rules. ``prompt_hash`` is over everything
    of ours that the answer depends on (``agents.prompts.prompt_hash``).
    """

    agent_name: str
    agent_role: str
    decision_type: str
    decision: str
    confidence: Fraction
    reasoning: str
    input_data: dict[str, Any]
    output_data: dict[str, Any]
    execution_time_ms: float = Field(ge=0)
    spike_event_id: str | None = None
    circuit_breaker_event_id: int | None = None
    decided_by: str = ""
    prompt_version: str = ""
    prompt_hash: str = ""
    model_calls: int = Field(default=0, ge=0)
    tokens: int = Field(default=0, ge=0)
    cost_micro_usd: int = Field(default=0, ge=0)


class ToolExecution(ValueModel):
    """One call of one tool, as it goes into tool_executions."""

    tool_name: str
    agent_name: str | None = None
    tool_class: str  # read, analyse, increase_risk, reduce_risk, control
    arguments: dict[str, Any]
    result: dict[str, Any]
    ok: bool
    breaker_status: str
    breaker_epoch: int
    execution_time_ms: float = Field(ge=0)
    spike_event_id: str | None = None


class SpikeRunStatus(StrEnum):
    TRADED = "traded"
    AWAITING_APPROVAL = "awaiting_approval"  # its entry waits for a person
    SKIPPED = "skipped"
    ABORTED = "aborted"  # the breaker tripped, or the deadline passed
    FAILED = "failed"


class SpikeRunReport(ValueModel):
    """How a spike crew's run ended; closes the claim on the spike."""

    spike_id: str
    status: SpikeRunStatus
    reason: str = ""
    context_analysis: dict[str, Any] | None = None
    risk_assessment: dict[str, Any] | None = None
    duration_ms: float = Field(ge=0)
