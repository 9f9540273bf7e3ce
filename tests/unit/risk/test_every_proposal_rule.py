"""Each rule for proposals at its limit and one step beyond, and with the rule taken out."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from rule_cases import CONFIG, NOW_MS, SYMBOL, Case, without

from trading.errors import DecisionRejectedError
from trading.model.decision import TradeProposal
from trading.model.market import Instrument
from trading.model.order import OrderType, Side
from trading.risk.decision_validation import validate_proposal
from trading.risk.proposal_rules import (
    PROPOSAL_RULES,
    ProposalCase,
    ProposalFacts,
    SpikeFacts,
)
from trading.risk.risk_config import RiskConfig
from trading.risk.rule import Rule

PROPOSAL = TradeProposal(
    spike_id="s",
    symbol=SYMBOL,
    notional=Decimal(100),
    stop_loss_pct=2.0,
    take_profit_pct=4.0,
    confidence=0.9,
    epoch=3,
    decided_at_ms=NOW_MS,
    deadline_ms=NOW_MS + 30_000,
    reasoning="",
)
INSTRUMENT = Instrument(
    symbol=SYMBOL,
    base_asset="ABC",
    quote_asset="USDT",
    tick_size=Decimal("0.01"),
    step_size=Decimal("0.1"),
    min_quantity=Decimal("0.1"),
    max_quantity=Decimal(1000),
    min_notional=Decimal(5),
)
SPIKE = SpikeFacts(SYMBOL, NOW_MS - 1_000, Decimal("9.5"), Decimal(10))
KNOWN = ProposalFacts(NOW_MS, 3, True, 10.0, INSTRUMENT, SPIKE)

# What of a proposal and its facts lets it pass at the limit, and one step beyond.
PROPOSAL_CASES = [
    Case("symbol_unknown", {}, {"instrument": None}),
    Case(
        "symbol_unknown",
        {},
        {"symbol": "DEFUSDT", "spike": replace(SPIKE, symbol="DEFUSDT")},
        "another",
    ),
    Case(
        "symbol_not_trading",
        {},
        {"instrument": INSTRUMENT.model_copy(update={"trading": False})},
    ),
    Case("side", {}, {"side": Side.SELL}),
    Case("entry_type", {"entry_type": OrderType.MARKET}, {"entry_type": OrderType.STOP_LOSS}),
    Case("not_finite", {}, {"take_profit_pct": float("inf")}),
    Case("notional", {"notional": Decimal("0.01")}, {"notional": Decimal(0)}),
    Case("min_confidence", {"confidence": 0.6}, {"confidence": 0.599}),
    Case("min_stop_loss_pct", {"stop_loss_pct": 0.3}, {"stop_loss_pct": 0.299}),
    Case("max_stop_loss_pct", {"stop_loss_pct": 10.0}, {"stop_loss_pct": 10.001}),
    Case("min_take_profit_pct", {"take_profit_pct": 0.3}, {"take_profit_pct": 0.299}),
    Case("epoch", {"epoch": 3}, {"epoch": 4}),
    Case("deadline", {"deadline_ms": NOW_MS + 1}, {"deadline_ms": NOW_MS}),
    Case(
        "deadline_too_far",
        {"deadline_ms": NOW_MS + 300_000},
        {"deadline_ms": NOW_MS + 300_001},
    ),
    Case("data_stale", {}, {"data_fresh": False}),
    Case("no_price", {}, {"last_price": None}),
    Case(
        "price_collar",
        {"limit_price": Decimal("10.20")},
        {"limit_price": Decimal("10.21")},
        "above",
    ),
    Case(
        "price_collar", {"limit_price": Decimal("9.80")}, {"limit_price": Decimal("9.79")}, "below"
    ),
    Case("spike_unknown", {}, {"spike": None}),
    Case("spike_symbol", {}, {"spike": replace(SPIKE, symbol="DEFUSDT")}),
    Case(
        "spike_stale",
        {"spike": replace(SPIKE, detected_at_ms=NOW_MS - 120_000)},
        {"spike": replace(SPIKE, detected_at_ms=NOW_MS - 120_001)},
    ),
    Case("max_resolved_share", {"last_price": 9.601}, {"last_price": 9.6}),
]
BLOCKED = RiskConfig(blocked_symbols=(SYMBOL,))
NOT_ALLOWED = RiskConfig(allowed_symbols=("DEFUSDT",))


def proposal_refusal(
    changes: dict[str, Any],
    rules: tuple[Rule[ProposalCase], ...],
    config: RiskConfig = CONFIG,
) -> str | None:
    own = {key: value for key, value in changes.items() if key in TradeProposal.model_fields}
    facts = {key: value for key, value in changes.items() if key not in own}
    # model_copy does not validate: as a careless caller would, it lets anything through.
    proposal = PROPOSAL.model_copy(update=own)
    try:
        validate_proposal(proposal, replace(KNOWN, **facts), config, rules)
    except DecisionRejectedError as error:
        refusal = error
    else:
        return None
    assert refusal.limit
    assert refusal.value
    return refusal.rule


@pytest.mark.parametrize("case", PROPOSAL_CASES, ids=str)
def test_a_proposal_passes_at_the_limit_and_is_refused_one_step_beyond(case: Case) -> None:
    assert proposal_refusal(case.at, PROPOSAL_RULES) is None
    assert proposal_refusal(case.beyond, PROPOSAL_RULES) == case.rule


@pytest.mark.parametrize(
    ("config", "rule"), [(BLOCKED, "symbol_blocked"), (NOT_ALLOWED, "symbol_not_allowed")]
)
def test_a_pair_is_refused_by_configuration_and_by_nothing_else(
    config: RiskConfig, rule: str
) -> None:
    assert proposal_refusal({}, PROPOSAL_RULES) is None
    assert proposal_refusal({}, PROPOSAL_RULES, config) == rule
    assert proposal_refusal({}, without(PROPOSAL_RULES, rule), config) is None


@pytest.mark.parametrize("case", PROPOSAL_CASES, ids=str)
def test_a_proposal_rule_that_is_taken_out_is_missed(case: Case) -> None:
    """The mutant of the check above."""
    assert proposal_refusal(case.beyond, without(PROPOSAL_RULES, case.rule)) != case.rule


def test_every_proposal_rule_is_tried() -> None:
    names = [rule.name for rule in PROPOSAL_RULES]
    tried = {case.rule for case in PROPOSAL_CASES} | {"symbol_blocked", "symbol_not_allowed"}
    assert tried == set(names)
    assert len(names) == len(set(names)) >= 15
