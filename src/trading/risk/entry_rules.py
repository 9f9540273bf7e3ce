"""The rules that a sized entry must pass, in the order in which they are asked.

Exits are never asked: nothing here may keep a position open.
"""

from __future__ import annotations

from trading.risk.entry_facts import EntryFacts
from trading.risk.exposure_rules import EXPOSURE_RULES
from trading.risk.loss_rules import LOSS_RULES
from trading.risk.market_rules import MARKET_RULES
from trading.risk.pace_rules import PACE_RULES
from trading.risk.rule import Rule

ENTRY_RULES: tuple[Rule[EntryFacts], ...] = (
    *LOSS_RULES,
    *EXPOSURE_RULES,
    *MARKET_RULES,
    *PACE_RULES,
)
