"""Plain-code checks of a proposal: the rules of ``proposal_rules``, in their order."""

from __future__ import annotations

from collections.abc import Iterable

from trading.errors import DecisionRejectedError
from trading.model.decision import TradeProposal
from trading.risk.proposal_rules import PROPOSAL_RULES, ProposalCase, ProposalFacts
from trading.risk.risk_config import RiskConfig
from trading.risk.rule import Rule, first_breach


def validate_proposal(
    proposal: TradeProposal,
    facts: ProposalFacts,
    config: RiskConfig,
    rules: Iterable[Rule[ProposalCase]] = PROPOSAL_RULES,
) -> None:
    """Pass, or raise.

    Raises:
        DecisionRejectedError: ``rule`` names the first that failed, with its limit and the value.
    """
    found = first_breach(rules, ProposalCase(proposal, facts), config)
    if found is not None:
        rule, breach = found
        raise DecisionRejectedError(rule, breach.message, limit=breach.limit, value=breach.value)
