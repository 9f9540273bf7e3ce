"""No rule of the risk engine has another's name, and the documentation has every name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trading.risk.entry_rules import ENTRY_RULES
from trading.risk.proposal_rules import PROPOSAL_RULES
from trading.risk.rule import Rule

RULES: list[Rule[Any]] = [*ENTRY_RULES, *PROPOSAL_RULES]


def test_no_two_rules_have_the_same_name() -> None:
    assert len(RULES) == len({rule.name for rule in RULES}) >= 25


def test_the_documentation_names_every_rule() -> None:
    page = (Path(__file__).parents[3] / "docs/risk.md").read_text()
    assert [rule.name for rule in RULES if f"`{rule.name}`" not in page] == []
