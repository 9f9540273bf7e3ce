"""What each agent hands over. Abstaining is a value of the type, never a missing answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from tools.cached_schema import CachedSchema


class AgentOutput(CachedSchema, ABC):
    """Base: no unknown fields, no infinities. ``task`` says what kind of output it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    confidence: float = Field(ge=0, le=1, description="How sure you are, 0 to 1.")
    reasoning: str = Field(
        min_length=1, max_length=3000, description="Why, with the numbers it rests on."
    )

    @property
    @abstractmethod
    def decision(self) -> str:
        """The output in a word or two, as it is recorded."""


class SpikeDetectionReport(AgentOutput):
    """The scanner's: is the reported spike there in the data?"""

    task: Literal["spike_detection"] = "spike_detection"
    symbol: str
    confirmed: bool = Field(description="False when the numbers do not bear it out.")
    direction: Literal["up", "down"]
    magnitude_pct: float = Field(description="Signed move in %, as in the spike data.")

    @property
    def decision(self) -> str:
        return "confirmed" if self.confirmed else "not confirmed"


class StabilityReport(AgentOutput):
    """The guardian's: is the market as a whole calm enough?"""

    task: Literal["stability_check"] = "stability_check"
    stable: bool = Field(description="False forbids an entry in this run.")
    share_of_limit: float = Field(
        ge=0, description="Share of its hard limit that the worst crash metric has used."
    )
    critical: bool = Field(
        default=False, description="True ends the whole run at once; for a market in a crash."
    )
    concerns: list[str] = Field(default_factory=list, max_length=10)

    @property
    def decision(self) -> str:
        return "stable" if self.stable else "critical" if self.critical else "unsafe"


class ContextAnalysis(AgentOutput):
    """The analyzer's: what kind of move is it?"""

    task: Literal["context_analysis"] = "context_analysis"
    symbol: str
    classification: Literal["momentum", "pump_and_dump", "market_move", "unclear"]
    favourable: bool = Field(description="False when an entry is not worth its risk.")
    isolated_share: float = Field(
        ge=0, le=1, description="Share of the move that the market does not explain."
    )
    pump_and_dump_likelihood: float = Field(ge=0, le=1)

    @property
    def decision(self) -> str:
        return f"{self.classification}, {'favourable' if self.favourable else 'not favourable'}"


class RiskEvaluation(AgentOutput):
    """The assessor's: size, stop and target, or a veto."""

    task: Literal["risk_evaluation"] = "risk_evaluation"
    symbol: str
    approved: bool
    notional: float = Field(ge=0, description="To request, in the quote asset; 0 with a veto.")
    stop_loss_pct: float = Field(ge=0, lt=50)
    take_profit_pct: float = Field(ge=0, lt=500)

    @property
    def decision(self) -> str:
        return "approved" if self.approved else "vetoed"


class ExecutionDecision(AgentOutput):
    """The executor's: entered through its tool, asked for a person's approval, or abstained."""

    task: Literal["execution"] = "execution"
    symbol: str
    action: Literal["enter", "await_approval", "abstain"]
    client_order_id: str | None = Field(
        default=None, description="As place_entry_order answered; null where there is no order yet."
    )

    @property
    def decision(self) -> str:
        return self.action


class PostTradeAnalysis(AgentOutput):
    """The assessor's look back at a closed trade: was the decision right, whatever came of it?"""

    task: Literal["post_trade_analysis"] = "post_trade_analysis"
    symbol: str
    outcome: Literal["profitable", "unprofitable"]
    pnl_pct: float = Field(description="As in the trade.")
    verdict: Literal["good_signal", "false_signal", "bad_exit", "unclear"] = Field(
        description="good_signal, false_signal (nothing followed the spike), bad_exit (it moved "
        "on, the exit did not fit), or unclear."
    )

    @property
    def decision(self) -> str:
        return f"{self.outcome}, {self.verdict}"


class GuardianAssessment(AgentOutput):
    """The guardian crew's view of the market and what it did about it."""

    task: Literal["guardian_assessment"] = "guardian_assessment"
    action: Literal["none", "warn", "trip"]
    risk_level: Literal["calm", "elevated", "high", "crash"]
    share_of_limit: float = Field(ge=0)
    concerns: list[str] = Field(default_factory=list, max_length=10)

    @property
    def decision(self) -> str:
        return f"{self.action} ({self.risk_level})"


class RecoveryAssessment(AgentOutput):
    """The guardian's, while trading is halted or comes back: where recovery stands."""

    task: Literal["recovery_assessment"] = "recovery_assessment"
    recommendation: Literal["wait", "recover", "clear_latch"] = Field(
        description="wait, or what an operator should look at; nothing happens by it."
    )
    conditions_met: bool = Field(description="As the conditions tool answers.")
    unmet: list[str] = Field(
        default_factory=list, max_length=20, description="Names of the conditions not met."
    )

    @property
    def decision(self) -> str:
        return f"{self.recommendation} ({'all met' if self.conditions_met else 'not all met'})"


class IncidentReport(AgentOutput):
    """The guardian crew's account of a trip, for the operator."""

    task: Literal["incident_report"] = "incident_report"
    title: str = Field(min_length=1, max_length=200)
    summary: str = Field(min_length=1, max_length=3000)
    causes: list[str] = Field(max_length=10)
    recommendation: str = Field(min_length=1, max_length=1000)

    @property
    def decision(self) -> str:
        return self.title


_Point = Annotated[str, StringConstraints(min_length=1, max_length=600)]


class Explanation(AgentOutput):
    """A note of the safety desk for a person: an explanation, or an abstention.

    It is text. No field of it is a number, a name or a switch that anything acts on.
    """

    task: str
    subject: str = Field(description="The id of what is explained, as in the subject's data.")
    abstains: bool = Field(
        default=False, description="True when the data does not carry an explanation."
    )
    summary: str = Field(min_length=1, max_length=3000, description="What happened, in short.")
    causes: list[_Point] = Field(default_factory=list, max_length=10)
    what_to_check: list[_Point] = Field(
        default_factory=list, max_length=10, description="What a person should look at."
    )
    proposed_steps: list[_Point] = Field(
        default_factory=list, max_length=10, description="What a person may do; nothing does it."
    )

    @model_validator(mode="after")
    def _an_abstention_proposes_nothing(self) -> Self:
        if self.abstains and (self.causes or self.what_to_check or self.proposed_steps):
            raise ValueError("an abstention has no causes, checks or steps")
        return self

    @property
    def decision(self) -> str:
        return "abstained" if self.abstains else "explained"


class RefusalExplanation(Explanation):
    """The risk manager's: why a rule refused an entry."""

    task: Literal["refusal_explanation"] = "refusal_explanation"


class ReconciliationExplanation(Explanation):
    """The reconciliation agent's: what differed from the venue, and what is to be looked at."""

    task: Literal["reconciliation_explanation"] = "reconciliation_explanation"


class ErrorExplanation(Explanation):
    """The error recovery agent's: what keeps failing, and what a person may mend."""

    task: Literal["error_explanation"] = "error_explanation"


class DayNarrative(Explanation):
    """The compliance agent's: the day in words."""

    task: Literal["day_narrative"] = "day_narrative"


class SessionReport(Explanation):
    """The simulation agent's: what a run on virtual money traded, earned and went through."""

    task: Literal["session_report"] = "session_report"


OUTPUTS: dict[str, type[AgentOutput]] = {
    "spike_detection": SpikeDetectionReport,
    "stability_check": StabilityReport,
    "context_analysis": ContextAnalysis,
    "risk_evaluation": RiskEvaluation,
    "execution": ExecutionDecision,
    "post_trade_analysis": PostTradeAnalysis,
    "guardian_assessment": GuardianAssessment,
    "recovery_assessment": RecoveryAssessment,
    "incident_report": IncidentReport,
    "refusal_explanation": RefusalExplanation,
    "reconciliation_explanation": ReconciliationExplanation,
    "error_explanation": ErrorExplanation,
    "day_narrative": DayNarrative,
    "session_report": SessionReport,
}


def as_record(output: AgentOutput) -> dict[str, Any]:
    """``output`` as it is stored."""
    return output.model_dump(mode="json")
