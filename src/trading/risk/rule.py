"""A rule of the risk engine: a name, and a check that gives what is wrong or nothing.

The tables of rules (``proposal_rules``, ``entry_rules``) are tuples of these, so that a test can
take out any one and see that it is missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, TypeVar

from trading.risk.risk_config import RiskConfig

FactsT = TypeVar("FactsT")


@dataclass(frozen=True, slots=True)
class Breach:
    """What a rule found: its limit and the value beyond it, as text, in the rule's own unit."""

    limit: str
    value: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Rule(Generic[FactsT]):
    """``name`` is what a refusal is recorded under, and the setting that holds the limit, if any.

    ``check`` gets everything that the engine knows and gives None when the order may pass. What
    it needs and does not have it must take for a breach.
    """

    name: str
    check: Callable[[FactsT, RiskConfig], Breach | None]


def first_breach(
    rules: Iterable[Rule[FactsT]], facts: FactsT, config: RiskConfig
) -> tuple[str, Breach] | None:
    """Name and finding of the first rule that objects; None when all let pass."""
    for rule in rules:
        breach = rule.check(facts, config)
        if breach is not None:
            return rule.name, breach
    return None


def decimal_of(value: float) -> Decimal:
    """A float of the configuration or the market as the decimal it is written as."""
    return Decimal(str(value))
