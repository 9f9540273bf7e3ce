"""Rules about how much is at stake: in a position, a pair, a sector, together, and in cash."""

from __future__ import annotations

from decimal import Decimal

from trading.model.order import ZERO
from trading.risk.entry_facts import EntryFacts
from trading.risk.risk_config import RiskConfig
from trading.risk.rule import Breach, Rule, decimal_of
from trading.risk.sectors import sector_of
from trading.risk.sizing import percent


def _one_position(facts: EntryFacts, _: RiskConfig) -> Breach | None:
    symbol = facts.order.symbol
    if symbol not in facts.account.open_notional and symbol not in facts.reserved:
        return None
    return Breach("1", "2", f"{symbol} is under way")


def _concurrent(facts: EntryFacts, config: RiskConfig) -> Breach | None:
    busy = len({*facts.account.open_notional, *facts.reserved})
    if busy < config.max_concurrent_positions:
        return None
    return Breach(str(config.max_concurrent_positions), str(busy + 1))


def _position(facts: EntryFacts, config: RiskConfig) -> Breach | None:
    return _above(facts.order.notional, facts.account.equity, config.max_position_pct)


def _symbol(facts: EntryFacts, config: RiskConfig) -> Breach | None:
    limit_pct = config.symbol_limits_pct.get(facts.order.symbol)
    if limit_pct is None:
        return None
    held = facts.exposure_by_symbol.get(facts.order.symbol, ZERO)
    return _above(held + facts.order.notional, facts.account.equity, limit_pct)


def _sector(facts: EntryFacts, config: RiskConfig) -> Breach | None:
    sector = sector_of(facts.order.symbol, config.sectors)
    held = sum(
        (
            notional
            for symbol, notional in facts.exposure_by_symbol.items()
            if sector_of(symbol, config.sectors) == sector
        ),
        ZERO,
    )
    value = held + facts.order.notional
    return _above(value, facts.account.equity, config.max_sector_exposure_pct, sector)


def _portfolio(facts: EntryFacts, config: RiskConfig) -> Breach | None:
    held = sum(facts.exposure_by_symbol.values(), ZERO)
    value = held + facts.order.notional
    return _above(value, facts.account.equity, config.max_portfolio_exposure_pct)


def _correlated(facts: EntryFacts, config: RiskConfig) -> Breach | None:
    """Positions whose correlation cannot be told count as moving together with this one."""
    alike = []
    for symbol in facts.exposure_by_symbol:
        correlation = facts.market.correlations.get(symbol)
        if correlation is None or correlation >= config.correlation_threshold:
            alike.append(symbol)
    if not alike:
        return None
    held = sum((facts.exposure_by_symbol[symbol] for symbol in alike), ZERO)
    return _above(
        held + facts.order.notional,
        facts.account.equity,
        config.max_correlated_exposure_pct,
        f"moves with {', '.join(sorted(alike))}",
    )


def _cash(facts: EntryFacts, config: RiskConfig) -> Breach | None:
    """An entry may not spend what other orders were promised, nor the reserve."""
    reserve = facts.account.equity * percent(config.cash_reserve_pct)
    spendable = facts.account.cash - reserve
    value = facts.promised + facts.order.notional
    return None if value <= spendable else Breach(f"{spendable:.2f}", f"{value:.2f}")


def _above(value: Decimal, equity: Decimal, limit_pct: float, message: str = "") -> Breach | None:
    limit = equity * decimal_of(limit_pct) / 100
    return None if value <= limit else Breach(f"{limit:.2f}", f"{value:.2f}", message)


EXPOSURE_RULES: tuple[Rule[EntryFacts], ...] = (
    Rule("one_position_per_symbol", _one_position),
    Rule("max_concurrent_positions", _concurrent),
    Rule("max_position_pct", _position),
    Rule("symbol_limits_pct", _symbol),
    Rule("max_sector_exposure_pct", _sector),
    Rule("max_portfolio_exposure_pct", _portfolio),
    Rule("max_correlated_exposure_pct", _correlated),
    Rule("cash", _cash),
)
