"""What the tests of the risk engine's rules have in common: a configuration, and facts as cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trading.risk.risk_config import RiskConfig
from trading.risk.rule import Rule

SYMBOL = "ABCUSDT"
NOW_MS = 1_000_000_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS

CONFIG = RiskConfig(
    symbol_limits_pct={SYMBOL: 8},
    sectors={"coins": (SYMBOL, "DEFUSDT")},
    max_symbol_entries_per_hour=2,
    max_orders_per_minute=3,
    max_orders_per_hour=5,
    allowed_symbols=(SYMBOL, "DEFUSDT"),
)


@dataclass(frozen=True)
class Case:
    """Facts that ``rule`` lets pass at the limit, and facts one step beyond it."""

    rule: str
    at: dict[str, Any]
    beyond: dict[str, Any]
    note: str = ""

    def __str__(self) -> str:
        return f"{self.rule} {self.note}".strip()


def without(rules: tuple[Rule[Any], ...], name: str) -> tuple[Rule[Any], ...]:
    return tuple(rule for rule in rules if rule.name != name)
