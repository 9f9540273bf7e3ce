"""What the messages to people say."""

from __future__ import annotations

from decimal import Decimal

import pytest

from trading.events import FundingCameLate, PositionChanged
from trading.model.breaker import Actor, BreakerSnapshot, BreakerStatus, Latch
from trading.model.order import Position
from trading.model.portfolio import Portfolio
from trading.node import notices
from trading.node.notify_config import NotificationLevel
from trading.risk.breaker_config import CircuitBreakerConfig, PositionsPolicy
from trading.storage.audit_chain import AuditHead

TRIP_MS = 1_760_130_484_000  # 2025-10-10 21:08:04 UTC
HEAD = AuditHead(7, "ab12")
HELD = Position(
    symbol="SOLUSDT",
    quantity=Decimal("2.50"),
    average_entry_price=Decimal(200),
    opened_at_ms=TRIP_MS - 60_000,
    stop_price=Decimal(190),
    fees_paid=Decimal("0.5"),
    realized_pnl=Decimal("-3.25"),
)


def a_snapshot(
    status: BreakerStatus = BreakerStatus.TRIGGERED, **fields: object
) -> BreakerSnapshot:
    return BreakerSnapshot.model_validate(
        {
            "status": status,
            "epoch": 3,
            "reason": "BTC -15.2 % in an hour",
            "actor": Actor.RULE,
            "changed_at_ms": TRIP_MS,
            "size_multiplier": 0,
            **fields,
        }
    )


def a_portfolio(*positions: Position) -> Portfolio:
    return Portfolio(
        quote_asset="USDT",
        equity=Decimal(10_000),
        free=Decimal(9_500),
        balances=(),
        positions=positions,
        open_orders=(),
        reserved_exposure=Decimal(0),
        exposure=Decimal(500),
        realized_pnl=Decimal(0),
        unrealized_pnl=Decimal(-25),
        prices={"SOLUSDT": Decimal(190)},
    )


def halted(
    snapshot: BreakerSnapshot,
    portfolio: Portfolio | None,
    policy: PositionsPolicy = PositionsPolicy.CLOSE_AT_MARKET,
) -> list[str]:
    config = CircuitBreakerConfig(positions_policy=policy)
    message = notices.halted(snapshot, config, "binance", {"BTCUSDT": 104_000.0}, portfolio, HEAD)
    assert message.level is NotificationLevel.CRITICAL
    assert message.title == "HALTED on binance: BTC -15.2 % in an hour"
    return message.text.splitlines()


def test_a_trip_says_when_why_prices_positions_what_was_done_and_what_comes_next() -> None:
    until_ms = TRIP_MS + 900_000
    assert halted(a_snapshot(cooldown_until_ms=until_ms), a_portfolio(HELD)) == [
        "Time: 2025-10-10 21:08:04 UTC",
        "Reason: BTC -15.2 % in an hour (rule)",
        "Prices: BTCUSDT 104,000",
        "Positions: SOLUSDT 2.5 at 200 (now 190, -25.00, stop 190)",
        "Done: no new entry is sent; open entries are cancelled; positions are sold at market.",
        "Next: cool-down until 21:23 UTC, then recovery in stages once the causes are clear",
        "Audit log: 7:ab12",
    ]


@pytest.mark.parametrize("policy", list(PositionsPolicy))
def test_every_way_with_positions_has_its_words(policy: PositionsPolicy) -> None:
    (done,) = (line for line in halted(a_snapshot(), None, policy) if line.startswith("Done: "))
    assert "positions" in done
    assert "{" not in done


def test_a_trip_that_waits_for_a_person_names_the_command_with_the_epoch() -> None:
    text = halted(a_snapshot(latch=Latch.MANUAL), a_portfolio())
    assert "Positions: none; equity 10,000.00 USDT" in text
    assert (
        "Next: nothing until a person releases the latch: "
        'spikeguard breaker clear --reason "…" --epoch 3'
    ) in text


def test_positions_that_cannot_be_asked_for_hold_up_no_message() -> None:
    assert "Positions: not known at this moment" in halted(a_snapshot(), None)


def test_a_recovery_says_its_time_the_result_and_the_capital_saved() -> None:
    over = a_snapshot(BreakerStatus.SAFE, reason="all stages passed", size_multiplier=1)
    message = notices.recovered(over, TRIP_MS - 1_866_000, Decimal("1234.5"), HEAD)
    assert message.title == "Trading again after 0:31:06"
    assert message.text.splitlines() == [
        "Time: 2025-10-10 21:08:04 UTC; halted since 2025-10-10 20:36:58 UTC",
        "Result: SAFE, all stages passed (rule)",
        "Capital saved: +1,234.50 against no breaker, in quote asset",
        "Audit log: 7:ab12",
    ]


def test_a_recovery_of_which_little_is_known_does_not_invent_it() -> None:
    message = notices.recovered(a_snapshot(BreakerStatus.SAFE), None, None, None)
    assert message.title == "Trading again"
    assert "halted since" not in message.text
    assert "Capital saved: not known" in message.text
    assert "Audit log: not noted yet" in message.text


def test_a_closed_position_says_what_it_earned_and_what_it_was() -> None:
    message = notices.position_closed(PositionChanged(HELD, closed=True))
    assert message.title == "SOLUSDT closed, P&L -3.25"
    assert message.text == "Bought at 200 on 2025-10-10 21:07:04 UTC; fees 0.50"


def test_a_closed_positions_message_says_what_its_trade_says_funding_included() -> None:
    message = notices.position_closed(PositionChanged(HELD, closed=True, pnl=Decimal("-4.5")))
    assert message.title == "SOLUSDT closed, P&L -4.50"


def test_funding_that_came_after_the_close_is_told_with_what_the_trade_earned() -> None:
    event = FundingCameLate("SOLUSDT", Decimal("-1.25"), Decimal("-5.75"))
    assert notices.funding_came_late(event).title == "SOLUSDT: funding of -1.25, P&L -5.75"
