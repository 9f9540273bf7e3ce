"""The rules that a proposal must pass before it gets a size. No model's word passes for a fact."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from trading.model.decision import TradeProposal
from trading.model.market import Instrument
from trading.model.order import OrderType, Side
from trading.risk.entry_facts import HUNDRED
from trading.risk.risk_config import RiskConfig
from trading.risk.rule import Breach, Rule, decimal_of

LEAST_MOVE = Decimal("0.01")  # of the price
ENTRY_TYPES = (OrderType.MARKET, OrderType.LIMIT, OrderType.LIMIT_MAKER)


@dataclass(frozen=True, slots=True)
class SpikeFacts:
    """What the store knows of the spike a proposal rests on."""

    symbol: str
    detected_at_ms: int
    price_from: Decimal
    price_to: Decimal

    def undone_share(self, price: Decimal) -> Decimal:
        """How much of the spike's move ``price`` takes back: 0 at its end, 1 at its origin.

        A move of less than ``LEAST_MOVE`` counts as that much: some spikes are seen in the book
        or the volume before the price has moved, and noise would undo those at once.
        """
        move = self.price_to - self.price_from
        back = price - self.price_to if move < 0 else self.price_to - price
        return back / max(abs(move), self.price_to * LEAST_MOVE)


@dataclass(frozen=True, slots=True)
class ProposalFacts:
    """What the core knows at the moment of the check; nothing of it comes from the proposal."""

    now_ms: int
    epoch: int
    data_fresh: bool
    last_price: float | None
    instrument: Instrument | None
    spike: SpikeFacts | None


@dataclass(frozen=True, slots=True)
class ProposalCase:
    """A proposal, and the facts it is judged by."""

    proposal: TradeProposal
    facts: ProposalFacts

    @property
    def last_price(self) -> Decimal | None:
        """The last price, where it is a price at all."""
        last = self.facts.last_price
        return (
            Decimal(repr(last)) if last is not None and math.isfinite(last) and last > 0 else None
        )


def _symbol_unknown(case: ProposalCase, _: RiskConfig) -> Breach | None:
    symbol, instrument = case.proposal.symbol, case.facts.instrument
    if instrument is not None and instrument.symbol == symbol:
        return None
    return Breach("a traded pair", symbol, f"{symbol} is not traded here")


def _symbol_not_trading(case: ProposalCase, _: RiskConfig) -> Breach | None:
    instrument = case.facts.instrument
    if instrument is None or instrument.trading:
        return None
    return Breach("trading", "halted", f"the venue has halted {instrument.symbol}")


def _symbol_blocked(case: ProposalCase, config: RiskConfig) -> Breach | None:
    symbol = case.proposal.symbol
    if symbol not in config.blocked_symbols:
        return None
    return Breach("not blocked", symbol, f"{symbol} is in blocked_symbols")


def _symbol_not_allowed(case: ProposalCase, config: RiskConfig) -> Breach | None:
    symbol = case.proposal.symbol
    if not config.allowed_symbols or symbol in config.allowed_symbols:
        return None
    return Breach("allowed", symbol, f"{symbol} is not in allowed_symbols")


def _side(case: ProposalCase, _: RiskConfig) -> Breach | None:
    if case.proposal.side is Side.BUY:
        return None
    return Breach(Side.BUY.value, case.proposal.side, "a spot entry can only buy")


def _entry_type(case: ProposalCase, _: RiskConfig) -> Breach | None:
    kind = case.proposal.entry_type
    return None if kind in ENTRY_TYPES else Breach("an entry", kind, f"{kind} is no entry order")


def _not_finite(case: ProposalCase, _: RiskConfig) -> Breach | None:
    # The model's own bounds refuse these too; a proposal built around them must not get by.
    proposal = case.proposal
    numbers: dict[str, float | Decimal | None] = {
        "stop_loss_pct": proposal.stop_loss_pct,
        "take_profit_pct": proposal.take_profit_pct,
        "confidence": proposal.confidence,
        "notional": proposal.notional,
        "limit_price": proposal.limit_price,
    }
    for name, value in numbers.items():
        if value is not None and not math.isfinite(float(value)):
            return Breach("a finite number", str(value), f"{name} is {value}")
    return None


def _notional(case: ProposalCase, _: RiskConfig) -> Breach | None:
    notional = case.proposal.notional
    if notional > 0:
        return None
    return Breach("> 0", str(notional), f"notional {notional} is not positive")


def _confidence(case: ProposalCase, config: RiskConfig) -> Breach | None:
    confidence, limit = case.proposal.confidence, config.min_confidence
    if confidence >= limit:
        return None
    return Breach(str(limit), str(confidence), f"confidence {confidence} is below {limit}")


def _stop_too_near(case: ProposalCase, config: RiskConfig) -> Breach | None:
    stop, limit = case.proposal.stop_loss_pct, config.min_stop_loss_pct
    return None if stop >= limit else Breach(str(limit), str(stop), f"stop of {stop} % is too near")


def _stop_too_far(case: ProposalCase, config: RiskConfig) -> Breach | None:
    stop, limit = case.proposal.stop_loss_pct, config.max_stop_loss_pct
    return None if stop <= limit else Breach(str(limit), str(stop), f"stop of {stop} % is too far")


def _take_profit(case: ProposalCase, config: RiskConfig) -> Breach | None:
    target, limit = case.proposal.take_profit_pct, config.min_take_profit_pct
    if target >= limit:
        return None
    return Breach(str(limit), str(target), f"take profit of {target} % is below {limit} %")


def _epoch(case: ProposalCase, _: RiskConfig) -> Breach | None:
    mine, current = case.proposal.epoch, case.facts.epoch
    if mine == current:
        return None
    return Breach(
        str(current), str(mine), f"decided under epoch {mine}, the current one is {current}"
    )


def _deadline(case: ProposalCase, _: RiskConfig) -> Breach | None:
    late_ms = case.facts.now_ms - case.proposal.deadline_ms
    if late_ms < 0:
        return None
    return Breach(
        str(case.proposal.deadline_ms),
        str(case.facts.now_ms),
        f"the decision expired {late_ms} ms ago",
    )


def _deadline_too_far(case: ProposalCase, config: RiskConfig) -> Breach | None:
    ahead_ms, limit_ms = (
        case.proposal.deadline_ms - case.facts.now_ms,
        config.max_decision_horizon_ms,
    )
    if ahead_ms <= limit_ms:
        return None
    return Breach(
        str(limit_ms),
        str(ahead_ms),
        f"the deadline is {ahead_ms} ms ahead, {limit_ms} allowed",
    )


def _data_stale(case: ProposalCase, _: RiskConfig) -> Breach | None:
    return None if case.facts.data_fresh else Breach("fresh", "stale", "market data is not fresh")


def _no_price(case: ProposalCase, _: RiskConfig) -> Breach | None:
    if case.last_price is not None:
        return None
    symbol = case.proposal.symbol
    return Breach("a price", str(case.facts.last_price), f"no recent price of {symbol}")


def _price_collar(case: ProposalCase, config: RiskConfig) -> Breach | None:
    limit, last = case.proposal.limit_price, case.last_price
    if limit is None:
        return None
    if last is None:
        return Breach(str(config.price_collar_pct), "unknown", "no price to measure from")
    distance_pct = abs(limit - last) / last * HUNDRED
    if distance_pct <= decimal_of(config.price_collar_pct):
        return None
    return Breach(
        str(config.price_collar_pct),
        f"{distance_pct:.2f}",
        f"limit {limit} is {distance_pct:.2f} % from the last price {last}, "
        f"{config.price_collar_pct} % allowed",
    )


def _spike_unknown(case: ProposalCase, _: RiskConfig) -> Breach | None:
    if case.facts.spike is not None:
        return None
    spike_id = case.proposal.spike_id
    return Breach("a recorded spike", spike_id, f"no spike {spike_id!r} is recorded")


def _spike_symbol(case: ProposalCase, _: RiskConfig) -> Breach | None:
    spike, symbol = case.facts.spike, case.proposal.symbol
    if spike is None or spike.symbol == symbol:
        return None
    return Breach(spike.symbol, symbol, f"the spike is on {spike.symbol}, the proposal on {symbol}")


def _spike_stale(case: ProposalCase, config: RiskConfig) -> Breach | None:
    if case.facts.spike is None:
        return None
    age_ms, limit_ms = case.facts.now_ms - case.facts.spike.detected_at_ms, config.max_spike_age_ms
    if age_ms <= limit_ms:
        return None
    return Breach(str(limit_ms), str(age_ms), f"the spike is {age_ms} ms old, {limit_ms} allowed")


def _spike_resolved(case: ProposalCase, config: RiskConfig) -> Breach | None:
    spike, last = case.facts.spike, case.last_price
    if spike is None or last is None:
        return None
    undone = spike.undone_share(last)
    if undone < decimal_of(config.max_resolved_share):
        return None
    return Breach(str(config.max_resolved_share), f"{undone:.2f}", "the spike has resolved")


PROPOSAL_RULES: tuple[Rule[ProposalCase], ...] = (
    Rule("symbol_unknown", _symbol_unknown),
    Rule("symbol_not_trading", _symbol_not_trading),
    Rule("symbol_blocked", _symbol_blocked),
    Rule("symbol_not_allowed", _symbol_not_allowed),
    Rule("side", _side),
    Rule("entry_type", _entry_type),
    Rule("not_finite", _not_finite),
    Rule("notional", _notional),
    Rule("min_confidence", _confidence),
    Rule("min_stop_loss_pct", _stop_too_near),
    Rule("max_stop_loss_pct", _stop_too_far),
    Rule("min_take_profit_pct", _take_profit),
    Rule("epoch", _epoch),
    Rule("deadline", _deadline),
    Rule("deadline_too_far", _deadline_too_far),
    Rule("data_stale", _data_stale),
    Rule("no_price", _no_price),
    Rule("price_collar", _price_collar),
    Rule("spike_unknown", _spike_unknown),
    Rule("spike_symbol", _spike_symbol),
    Rule("spike_stale", _spike_stale),
    Rule("max_resolved_share", _spike_resolved),
)
