"""The sum of what goes out never exceeds the sum of what was approved."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.errors import RiskLimitError
from trading.risk.approvals import ApprovalLedger


def test_an_approval_is_for_one_order_up_to_its_notional_once() -> None:
    ledger = ApprovalLedger()
    ledger.approve("a", Decimal(100))
    with pytest.raises(RiskLimitError, match="unapproved"):
        ledger.spend("b", Decimal(1))
    with pytest.raises(RiskLimitError, match="unapproved"):
        ledger.spend("a", Decimal("100.01"))
    ledger.spend("a", Decimal(100))
    with pytest.raises(RiskLimitError, match="unapproved"):
        ledger.spend("a", Decimal(1))


def test_a_withdrawn_approval_cannot_be_spent() -> None:
    ledger = ApprovalLedger()
    ledger.approve("a", Decimal(100))
    ledger.withdraw("a")
    with pytest.raises(RiskLimitError):
        ledger.spend("a", Decimal(100))


steps = st.tuples(
    st.sampled_from(["approve", "withdraw", "spend"]), st.sampled_from("abc"), st.integers(1, 100)
)


@given(st.lists(steps, max_size=40))
def test_a_loop_that_runs_away_sends_no_more_than_was_approved(
    calls: list[tuple[str, str, int]],
) -> None:
    ledger, open_approvals, approved, sent = ApprovalLedger(), dict[str, int](), 0, 0
    for call, order_id, notional in calls:
        if call == "approve":
            open_approvals[order_id] = notional
            approved += notional
            ledger.approve(order_id, Decimal(notional))
        elif call == "withdraw":
            open_approvals.pop(order_id, None)
            ledger.withdraw(order_id)
        else:
            allowed = open_approvals.get(order_id, 0) >= notional
            try:
                ledger.spend(order_id, Decimal(notional))
            except RiskLimitError:
                assert not allowed
            else:
                assert allowed
                del open_approvals[order_id]
                sent += notional
    total_approved, total_sent = ledger.totals
    assert total_sent == sent <= approved
    assert total_sent <= total_approved
