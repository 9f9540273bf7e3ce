"""Rules about how often: what keeps a loop that has run away from spending the account."""

from __future__ import annotations

from trading.clock import HOUR_MS, MINUTE_MS
from trading.risk.entry_facts import EntryFacts
from trading.risk.risk_config import RiskConfig
from trading.risk.rule import Breach, Rule


def _per_minute(facts: EntryFacts, config: RiskConfig) -> Breach | None:
    return _count(facts.sent_since(facts.now_ms - MINUTE_MS), config.max_orders_per_minute)


def _per_hour(facts: EntryFacts, config: RiskConfig) -> Breach | None:
    return _count(facts.sent_since(facts.now_ms - HOUR_MS), config.max_orders_per_hour)


def _repeats(facts: EntryFacts, config: RiskConfig) -> Breach | None:
    before = facts.sent_since(facts.now_ms - HOUR_MS, facts.order.symbol)
    return _count(before, config.max_symbol_entries_per_hour)


def _count(before: int, limit: int) -> Breach | None:
    return None if before < limit else Breach(str(limit), str(before + 1))


PACE_RULES: tuple[Rule[EntryFacts], ...] = (
    Rule("max_orders_per_minute", _per_minute),
    Rule("max_orders_per_hour", _per_hour),
    Rule("max_symbol_entries_per_hour", _repeats),
)
