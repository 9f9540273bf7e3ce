"""Plain-code checks of a proposal. No model's word passes for a fact here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from trading.errors import DecisionRejectedError
from trading.model.decision import TradeProposal
from trading.model.market import Instrument
from trading.model.order import OrderType, Side
from trading.risk.risk_config import RiskConfig
from trading.risk.sizing import HUNDRED

ENTRY_TYPES = (OrderType.MARKET, OrderType.LIMIT, OrderType.LIMIT_MAKER)


@dataclass(frozen=True, slots=True)
class SpikeFacts:
    """What the store knows of the spike a proposal rests on."""

    symbol: str
    detected_at_ms: int


@dataclass(frozen=True, slots=True)
class ProposalFacts:
    """What the core knows at the moment of the check; nothing of it comes from the proposal."""

    now_ms: int
    epoch: int
    data_fresh: bool
    last_price: float | None
    instrument: Instrument | None
    spike: SpikeFacts | None


def validate_proposal(proposal: TradeProposal, facts: ProposalFacts, config: RiskConfig) -> None:
    """Pass, or raise.

    Raises:
        DecisionRejectedError: ``rule`` names the first check that failed.
    """
    _check_instrument(proposal, facts, config)
    _check_numbers(proposal, config)
    _check_time(proposal, facts, config)
    _check_price(proposal, facts, config)
    _check_spike(proposal, facts, config)


def _check_instrument(proposal: TradeProposal, facts: ProposalFacts, config: RiskConfig) -> None:
    symbol = proposal.symbol
    if facts.instrument is None or facts.instrument.symbol != symbol:
        raise DecisionRejectedError("symbol_unknown", f"{symbol} is not traded here")
    if not facts.instrument.trading:
        raise DecisionRejectedError("symbol_not_trading", f"the venue has halted {symbol}")
    if symbol in config.blocked_symbols:
        raise DecisionRejectedError("symbol_blocked", f"{symbol} is in blocked_symbols")
    if config.allowed_symbols and symbol not in config.allowed_symbols:
        raise DecisionRejectedError("symbol_not_allowed", f"{symbol} is not in allowed_symbols")
    if proposal.side is not Side.BUY:
        raise DecisionRejectedError("side", "a spot entry can only buy")
    if proposal.entry_type not in ENTRY_TYPES:
        raise DecisionRejectedError("entry_type", f"{proposal.entry_type} is no entry order")


def _check_numbers(proposal: TradeProposal, config: RiskConfig) -> None:
    # The model's own bounds refuse these too; a proposal built around them must not get by.
    numbers: dict[str, float | Decimal | None] = {
        "stop_loss_pct": proposal.stop_loss_pct,
        "take_profit_pct": proposal.take_profit_pct,
        "confidence": proposal.confidence,
        "notional": proposal.notional,
        "limit_price": proposal.limit_price,
    }
    for name, value in numbers.items():
        if value is not None and not math.isfinite(float(value)):
            raise DecisionRejectedError("not_finite", f"{name} is {value}")
    if proposal.notional <= 0:
        raise DecisionRejectedError("notional", f"notional {proposal.notional} is not positive")
    if proposal.confidence < config.min_confidence:
        raise DecisionRejectedError(
            "min_confidence", f"confidence {proposal.confidence} is below {config.min_confidence}"
        )
    if not config.min_stop_loss_pct <= proposal.stop_loss_pct <= config.max_stop_loss_pct:
        raise DecisionRejectedError(
            "stop_loss",
            f"stop of {proposal.stop_loss_pct} % is outside "
            f"{config.min_stop_loss_pct} to {config.max_stop_loss_pct} %",
        )
    if proposal.take_profit_pct < config.min_take_profit_pct:
        raise DecisionRejectedError(
            "take_profit",
            f"take profit of {proposal.take_profit_pct} % is below {config.min_take_profit_pct} %",
        )


def _check_time(proposal: TradeProposal, facts: ProposalFacts, config: RiskConfig) -> None:
    if proposal.epoch != facts.epoch:
        raise DecisionRejectedError(
            "epoch", f"decided under epoch {proposal.epoch}, the current one is {facts.epoch}"
        )
    if facts.now_ms >= proposal.deadline_ms:
        raise DecisionRejectedError(
            "deadline", f"the decision expired {facts.now_ms - proposal.deadline_ms} ms ago"
        )
    if proposal.deadline_ms - facts.now_ms > config.max_decision_horizon_ms:
        raise DecisionRejectedError(
            "deadline_too_far",
            f"the deadline is {proposal.deadline_ms - facts.now_ms} ms ahead, "
            f"{config.max_decision_horizon_ms} allowed",
        )


def _check_price(proposal: TradeProposal, facts: ProposalFacts, config: RiskConfig) -> None:
    if not facts.data_fresh:
        raise DecisionRejectedError("data_stale", "market data is not fresh")
    last = facts.last_price
    if last is None or not math.isfinite(last) or last <= 0:
        raise DecisionRejectedError("no_price", f"no recent price of {proposal.symbol}")
    if proposal.limit_price is None:
        return
    reference = Decimal(repr(last))
    distance_pct = abs(proposal.limit_price - reference) / reference * HUNDRED
    if distance_pct > Decimal(str(config.price_collar_pct)):
        raise DecisionRejectedError(
            "price_collar",
            f"limit {proposal.limit_price} is {distance_pct:.2f} % from the last price {last}, "
            f"{config.price_collar_pct} % allowed",
        )


def _check_spike(proposal: TradeProposal, facts: ProposalFacts, config: RiskConfig) -> None:
    spike = facts.spike
    if spike is None:
        raise DecisionRejectedError("spike_unknown", f"no spike {proposal.spike_id!r} is recorded")
    if spike.symbol != proposal.symbol:
        raise DecisionRejectedError(
            "spike_symbol", f"the spike is on {spike.symbol}, the proposal on {proposal.symbol}"
        )
    age_ms = facts.now_ms - spike.detected_at_ms
    if age_ms > config.max_spike_age_ms:
        raise DecisionRejectedError(
            "spike_stale", f"the spike is {age_ms} ms old, {config.max_spike_age_ms} allowed"
        )
