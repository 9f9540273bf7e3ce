"""What the built-in rules say of a refused order names the rule once."""

from __future__ import annotations

import pytest

from agents.rules.spike_rules import _refused


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("max_trades: 4 is beyond the limit of 3", "max_trades: 4 is beyond the limit of 3"),
        ("too many", "max_trades: too many"),
    ],
)
def test_a_rule_is_named_once(reason: str, said: str) -> None:
    assert _refused({"rule": "max_trades", "reason": reason}) == said
