"""Rules about what was lost already. A loss counts realised and open alike: it is of equity."""

from __future__ import annotations

from decimal import Decimal

from trading.clock import MINUTE_MS
from trading.risk.entry_facts import EntryFacts
from trading.risk.risk_config import RiskConfig
from trading.risk.rule import Breach, Rule, decimal_of


def _daily_loss(facts: EntryFacts, config: RiskConfig) -> Breach | None:
    return _loss(facts.account.daily_loss_pct, config.max_daily_loss_pct)


def _weekly_loss(facts: EntryFacts, config: RiskConfig) -> Breach | None:
    return _loss(facts.account.weekly_loss_pct, config.max_weekly_loss_pct)


def _drawdown(facts: EntryFacts, config: RiskConfig) -> Breach | None:
    return _loss(facts.account.drawdown_pct, config.max_drawdown_pct)


def _loss(value: Decimal, limit: float) -> Breach | None:
    if value < decimal_of(limit):
        return None
    return Breach(str(limit), f"{value:.2f}")


def _losing_streak(facts: EntryFacts, config: RiskConfig) -> Breach | None:
    streak, closed_at_ms = facts.history.losing_streak, facts.history.last_closed_at_ms
    if streak < config.max_losing_streak or closed_at_ms is None:
        return None
    over_ms = closed_at_ms + round(config.losing_streak_pause_minutes * MINUTE_MS)
    if facts.now_ms >= over_ms:
        return None
    left_minutes = (over_ms - facts.now_ms) / MINUTE_MS
    return Breach(
        str(config.max_losing_streak), str(streak), f"no entries for {left_minutes:.0f} minutes"
    )


LOSS_RULES: tuple[Rule[EntryFacts], ...] = (
    Rule("max_daily_loss_pct", _daily_loss),
    Rule("max_weekly_loss_pct", _weekly_loss),
    Rule("max_drawdown_pct", _drawdown),
    Rule("max_losing_streak", _losing_streak),
)
