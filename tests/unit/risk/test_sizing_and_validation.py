"""Sizes that never risk more than allowed, and proposals that are checked in plain code."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.errors import DecisionRejectedError, RiskLimitError
from trading.model.decision import TradeProposal
from trading.model.market import Instrument
from trading.model.order import OrderType, Side
from trading.risk.decision_validation import validate_proposal
from trading.risk.entry_facts import TradeHistory
from trading.risk.proposal_rules import ProposalFacts, SpikeFacts
from trading.risk.risk_config import RiskConfig, SizingConfig, SizingMethod
from trading.risk.sizing import SizedEntry, size_entry, size_multiplier_now

INSTRUMENT = Instrument(
    symbol="ABCUSDT",
    base_asset="ABC",
    quote_asset="USDT",
    tick_size=Decimal("0.01"),
    step_size=Decimal("0.1"),
    min_quantity=Decimal("0.1"),
    max_quantity=Decimal("1000"),
    min_notional=Decimal("5"),
)


def size(**changes: Any) -> SizedEntry:
    values: dict[str, Any] = {
        "equity": Decimal(10_000),
        "stop_loss_pct": 10.0,
        "requested_notional": Decimal(100_000),
        "limit_price": Decimal(10),
        "size_multiplier": 1.0,
        "instrument": INSTRUMENT,
        "config": RiskConfig(risk_per_trade_pct=1.0, max_position_pct=20.0),
    }
    return size_entry(**{**values, **changes})


def test_the_size_risks_the_configured_share_of_equity() -> None:
    sized = size()
    assert sized == (Decimal(100), Decimal(1_000), Decimal(100))


def test_warning_halves_the_size() -> None:
    assert size(size_multiplier=0.5).notional == size().notional / 2


def test_the_request_and_the_position_limit_cap_the_size() -> None:
    assert size(requested_notional=Decimal(300)).notional == 300
    assert size(stop_loss_pct=0.5).notional == 2_000


@given(
    equity=st.decimals(1, 1_000_000, places=2),
    stop=st.floats(0.3, 10),
    requested=st.decimals("0.01", 1_000_000, places=2),
    price=st.decimals("0.01", 100_000, places=2),
    multiplier=st.floats(0, 1),
)
def test_no_size_ever_exceeds_what_was_asked_or_allowed(
    equity: Decimal, stop: float, requested: Decimal, price: Decimal, multiplier: float
) -> None:
    config = RiskConfig(risk_per_trade_pct=1.0, max_position_pct=20.0)
    try:
        sized = size(
            equity=equity,
            stop_loss_pct=stop,
            requested_notional=requested,
            limit_price=price,
            size_multiplier=multiplier,
        )
    except RiskLimitError:
        return
    allowed = Decimal(str(multiplier))
    assert sized.notional <= requested * allowed
    assert sized.notional <= equity * Decimal(str(config.max_position_pct)) / 100 * allowed
    assert sized.risk_amount <= equity * Decimal(str(config.risk_per_trade_pct)) / 100
    assert sized.quantity % INSTRUMENT.step_size == 0
    assert sized.quantity <= INSTRUMENT.max_quantity


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"size_multiplier": 0.0}, "size_multiplier"),
        ({"equity": Decimal(0)}, "equity"),
        ({"limit_price": Decimal(100_000)}, "min_quantity"),
        ({"requested_notional": Decimal("5.1")}, "min_notional"),
    ],
)
def test_sizes_that_make_no_order_are_refused(changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(RiskLimitError) as refusal:
        size(**changes)
    assert refusal.value.rule == rule


PROPOSAL = TradeProposal(
    spike_id="s",
    symbol="ABCUSDT",
    notional=Decimal(100),
    stop_loss_pct=2.0,
    take_profit_pct=4.0,
    confidence=0.9,
    epoch=3,
    decided_at_ms=1_000,
    deadline_ms=31_000,
    reasoning="",
)
SPIKE = SpikeFacts("ABCUSDT", 500, Decimal("9.5"), Decimal(10))
FACTS = ProposalFacts(
    now_ms=2_000,
    epoch=3,
    data_fresh=True,
    last_price=10.0,
    instrument=INSTRUMENT,
    spike=SPIKE,
)


def rule_for(proposal: TradeProposal, facts: ProposalFacts, config: RiskConfig) -> str:
    with pytest.raises(DecisionRejectedError) as refusal:
        validate_proposal(proposal, facts, config)
    return refusal.value.rule


def test_a_sound_proposal_passes() -> None:
    validate_proposal(PROPOSAL, FACTS, RiskConfig())


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"symbol": "XYZUSDT"}, "symbol_unknown"),
        ({"side": Side.SELL}, "side"),
        ({"entry_type": OrderType.STOP_LOSS}, "entry_type"),
        ({"stop_loss_pct": float("nan")}, "not_finite"),
        ({"take_profit_pct": float("inf")}, "not_finite"),
        ({"notional": Decimal("NaN")}, "not_finite"),
        ({"notional": Decimal(-1)}, "notional"),
        ({"confidence": 0.1}, "min_confidence"),
        ({"stop_loss_pct": 0.1}, "min_stop_loss_pct"),
        ({"stop_loss_pct": 11.0}, "max_stop_loss_pct"),
        ({"take_profit_pct": 0.1}, "min_take_profit_pct"),
        ({"epoch": 2}, "epoch"),
        ({"epoch": 4}, "epoch"),
        ({"deadline_ms": 2_000}, "deadline"),
        ({"deadline_ms": 10_000_000}, "deadline_too_far"),
        ({"limit_price": Decimal("10.21")}, "price_collar"),
        ({"limit_price": Decimal("9.79")}, "price_collar"),
    ],
)
def test_a_proposal_built_around_its_models_bounds_is_refused(
    changes: dict[str, Any], rule: str
) -> None:
    # model_copy does not validate: as a careless caller would, it lets anything through.
    assert rule_for(PROPOSAL.model_copy(update=changes), FACTS, RiskConfig()) == rule


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"instrument": None}, "symbol_unknown"),
        ({"instrument": INSTRUMENT.model_copy(update={"trading": False})}, "symbol_not_trading"),
        ({"data_fresh": False}, "data_stale"),
        ({"last_price": None}, "no_price"),
        ({"last_price": float("nan")}, "no_price"),
        ({"spike": None}, "spike_unknown"),
        ({"spike": replace(SPIKE, symbol="OTHERUSDT")}, "spike_symbol"),
        ({"spike": replace(SPIKE, detected_at_ms=-200_000)}, "spike_stale"),
        ({"spike": replace(SPIKE, price_to=Decimal(12))}, "max_resolved_share"),
    ],
)
def test_facts_against_a_proposal_refuse_it(changes: dict[str, Any], rule: str) -> None:
    assert rule_for(PROPOSAL, replace(FACTS, **changes), RiskConfig()) == rule


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"blocked_symbols": ("ABCUSDT",)}, "symbol_blocked"),
        ({"allowed_symbols": ("BTCUSDT",)}, "symbol_not_allowed"),
    ],
)
def test_symbols_are_allowed_and_blocked_by_configuration(
    settings: dict[str, Any], rule: str
) -> None:
    assert rule_for(PROPOSAL, FACTS, RiskConfig(**settings)) == rule


def test_limits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="min_stop_loss_pct"):
        RiskConfig(min_stop_loss_pct=5, max_stop_loss_pct=4)
    with pytest.raises(ValueError, match="allowed and blocked"):
        RiskConfig(allowed_symbols=("ABCUSDT",), blocked_symbols=("ABCUSDT",))


def settings(method: str, **sizing: Any) -> RiskConfig:
    return RiskConfig(
        risk_per_trade_pct=1.0,
        max_position_pct=20.0,
        sizing=SizingConfig(method=SizingMethod(method), **sizing),
    )


@pytest.mark.parametrize(
    ("volatility_pct", "notional"), [(0.05, 1_000), (0.2, 1_000), (0.4, 500), (2.0, 100)]
)
def test_a_pair_twice_as_wild_gets_half_the_size(volatility_pct: float, notional: int) -> None:
    config = settings("volatility", target_volatility_pct=0.2)
    assert size(config=config, volatility_pct=volatility_pct).notional == notional


def test_volatility_sizing_without_a_volatility_makes_no_order() -> None:
    with pytest.raises(RiskLimitError) as refusal:
        size(config=settings("volatility"))
    assert refusal.value.rule == "sizing"


def trades(wins: int, losses: int, win: int = 1, loss: int = 1) -> TradeHistory:
    return TradeHistory((*[Decimal(win)] * wins, *[Decimal(-loss)] * losses), 0)


def test_the_kelly_bet_is_taken_in_part_and_never_beyond_the_fixed_fraction() -> None:
    # 52 % winners that win as much as losers lose: Kelly bets 4 %, a twentieth of it is 0.2 %.
    config = settings("kelly", kelly_fraction=0.05, kelly_min_trades=20)
    assert size(config=config, history=trades(26, 24)).notional == 200
    assert size(config=config, history=trades(45, 5)).notional == 1_000


def test_kelly_sizing_risks_half_until_enough_trades_are_known() -> None:
    config = settings("kelly", kelly_min_trades=20)
    assert size(config=config, history=trades(19, 0)).notional == 500


def test_kelly_sizing_refuses_without_an_edge() -> None:
    with pytest.raises(RiskLimitError) as refusal:
        size(config=settings("kelly"), history=trades(20, 30))
    assert refusal.value.rule == "kelly"


def test_a_pair_of_its_own_limit_gets_no_more_than_that() -> None:
    config = RiskConfig(
        risk_per_trade_pct=1.0, max_position_pct=20.0, symbol_limits_pct={"ABCUSDT": 3}
    )
    assert size(config=config).notional == 300


@pytest.mark.parametrize(
    ("breaker", "minutes_ago", "multiplier"),
    [(1.0, None, 1.0), (1.0, 0, 0.5), (1.0, 59.99, 0.5), (1.0, 60, 1.0), (0.25, 1, 0.25)],
)
def test_sizes_are_halved_for_an_hour_after_a_recovery(
    breaker: float, minutes_ago: float | None, multiplier: float
) -> None:
    now_ms = 100_000_000
    recovered = None if minutes_ago is None else now_ms - round(minutes_ago * 60_000)
    assert size_multiplier_now(breaker, recovered, now_ms, SizingConfig()) == multiplier


def test_a_pair_in_two_sectors_is_refused() -> None:
    with pytest.raises(ValueError, match="more than one sector: AAAUSDT"):
        RiskConfig(sectors={"one": ("AAAUSDT",), "two": ("AAAUSDT", "BBBUSDT")})
