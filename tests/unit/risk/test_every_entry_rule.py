"""Each rule for sized entries at its limit and one step beyond, and with the rule taken out."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from calm_market import Uncorrelated
from rule_cases import CONFIG, MINUTE_MS, NOW_MS, SYMBOL, Case, without

from trading.errors import RiskLimitError
from trading.model.market import Book, BookLevel
from trading.risk.entry_facts import (
    AccountView,
    EntryFacts,
    EntryOrder,
    MarketConditions,
    SentEntry,
    TradeHistory,
)
from trading.risk.entry_rules import ENTRY_RULES
from trading.risk.limits import RiskLimits
from trading.risk.reservations import Reservation, ReservationBook
from trading.risk.rule import Rule


def book(bid: str = "9.99", ask: str = "10.01", offered: str = "1000000") -> Book:
    return Book(
        symbol=SYMBOL,
        time_ms=NOW_MS,
        bids=(BookLevel(price=Decimal(bid), quantity=Decimal(1_000)),),
        asks=(BookLevel(price=Decimal(ask), quantity=Decimal(offered)),),
    )


ACCOUNT = AccountView(
    equity=Decimal(10_000),
    cash=Decimal(10_000),
    day_start_equity=Decimal(10_000),
    open_notional={},
    week_start_equity=Decimal(10_000),
    peak_equity=Decimal(10_000),
)
MARKET = MarketConditions(SYMBOL, 0.1, 1e9, Uncorrelated(), book())
ORDER = EntryOrder(SYMBOL, Decimal(10), Decimal(10), Decimal(10))
FACTS = EntryFacts(NOW_MS, ORDER, ACCOUNT, {}, TradeHistory(), MARKET, ())


def costing(notional: object) -> EntryOrder:
    """An entry of ``notional`` at a price of 10."""
    return replace(ORDER, quantity=Decimal(str(notional)) / 10)


def account(**changes: Any) -> AccountView:
    return replace(ACCOUNT, **{k: _decimal(v) for k, v in changes.items()})


def _decimal(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: Decimal(str(item)) for key, item in value.items()}
    return Decimal(str(value))


def market(**changes: Any) -> MarketConditions:
    return replace(MARKET, **changes)


def lost(streak: int, minutes_ago: float) -> TradeHistory:
    return TradeHistory(
        (*[Decimal(-1)] * streak, Decimal(1)), NOW_MS - round(minutes_ago * MINUTE_MS)
    )


def sent(count: int, seconds_ago: float, symbol: str = "XYZUSDT") -> tuple[SentEntry, ...]:
    return tuple(SentEntry(NOW_MS - round(seconds_ago * 1000), symbol) for _ in range(count))


ENTRY_CASES = [
    Case(
        "max_daily_loss_pct",
        {"account": account(equity="9500.01")},
        {"account": account(equity=9500)},
    ),
    Case(
        "max_weekly_loss_pct",
        {"account": account(week_start_equity="11111.10")},
        {"account": account(week_start_equity="11111.12")},
    ),
    Case(
        "max_drawdown_pct",
        {"account": account(peak_equity="12499.99")},
        {"account": account(peak_equity=12500)},
    ),
    Case("max_losing_streak", {"history": lost(4, 1)}, {"history": lost(5, 1)}),
    Case("max_losing_streak", {"history": lost(5, 60)}, {"history": lost(5, 59.99)}, "its pause"),
    Case(
        "one_position_per_symbol",
        {"account": account(open_notional={"XYZUSDT": 1})},
        {"account": account(open_notional={SYMBOL: 1})},
    ),
    Case(
        "one_position_per_symbol",
        {"reserved": {"XYZUSDT": Decimal(1)}},
        {"reserved": {SYMBOL: Decimal(1)}},
        "under way",
    ),
    Case(
        "max_concurrent_positions",
        {"account": account(open_notional={f"P{n}USDT": 1 for n in range(4)})},
        {"account": account(open_notional={f"P{n}USDT": 1 for n in range(5)})},
    ),
    Case(
        "max_position_pct",
        {"order": replace(costing(1000), symbol="DEFUSDT")},
        {"order": replace(costing("1000.01"), symbol="DEFUSDT")},
    ),
    Case("symbol_limits_pct", {"order": costing(800)}, {"order": costing("800.01")}),
    Case(
        "max_sector_exposure_pct",
        {"account": account(open_notional={"DEFUSDT": 3900})},
        {"account": account(open_notional={"DEFUSDT": "3900.01"})},
    ),
    Case(
        "max_sector_exposure_pct",
        {
            "order": replace(ORDER, symbol="NEWUSDT"),
            "account": account(open_notional={"OLDUSDT": 3900}),
        },
        {
            "order": replace(ORDER, symbol="NEWUSDT"),
            "account": account(open_notional={"OLDUSDT": "3900.01"}),
        },
        "of pairs in none",
    ),
    Case(
        "max_portfolio_exposure_pct",
        {"account": account(open_notional={"OLDUSDT": 5900})},
        {"account": account(open_notional={"OLDUSDT": "5900.01"})},
    ),
    Case(
        "max_portfolio_exposure_pct",
        {"reserved": {"OLDUSDT": Decimal(5900)}},
        {"reserved": {"OLDUSDT": Decimal("5900.01")}},
        "reserved",
    ),
    Case(
        "max_correlated_exposure_pct",
        {
            "market": market(correlations={"OLDUSDT": 0.8}),
            "account": account(open_notional={"OLDUSDT": 3900}),
        },
        {
            "market": market(correlations={"OLDUSDT": 0.8}),
            "account": account(open_notional={"OLDUSDT": "3900.01"}),
        },
    ),
    Case(
        "max_correlated_exposure_pct",
        {
            "market": market(correlations={"OLDUSDT": 0.79}),
            "account": account(open_notional={"OLDUSDT": 5000}),
        },
        {
            "market": market(correlations={"OLDUSDT": 0.8}),
            "account": account(open_notional={"OLDUSDT": 5000}),
        },
        "its threshold",
    ),
    Case(
        "max_correlated_exposure_pct",
        {
            "market": market(correlations={"OLDUSDT": 0.0}),
            "account": account(open_notional={"OLDUSDT": 5000}),
        },
        {
            "market": market(correlations={}),
            "account": account(open_notional={"OLDUSDT": 5000}),
        },
        "unknown",
    ),
    Case("cash", {"account": account(cash=200)}, {"account": account(cash="199.99")}),
    Case(
        "max_volatility_pct",
        {"market": market(volatility_pct=2.0)},
        {"market": market(volatility_pct=2.01)},
    ),
    Case(
        "max_volatility_pct",
        {},
        {"market": market(volatility_pct=None)},
        "unknown",
    ),
    Case(
        "max_share_of_volume_pct",
        {"market": market(quote_volume_1h=2000.0)},
        {"market": market(quote_volume_1h=1999.0)},
    ),
    Case("max_share_of_volume_pct", {}, {"market": market(quote_volume_1h=None)}, "unknown"),
    Case(
        "max_spread_pct",
        {"market": market(book=book("9.95", "10.05"))},
        {"market": market(book=book("9.94", "10.05"))},
    ),
    Case("max_spread_pct", {}, {"market": market(book=None)}, "unknown"),
    Case(
        "max_slippage_pct",
        {"market": market(book=book("9.99", "10.05"))},
        {"market": market(book=book("9.99", "10.051"))},
    ),
    Case(
        "max_slippage_pct",
        {"market": market(book=book(offered="10"))},
        {"market": market(book=book(offered="9.99"))},
        "too thin",
    ),
    Case("max_orders_per_minute", {"sent": sent(2, 59.9)}, {"sent": sent(3, 59.9)}),
    Case("max_orders_per_hour", {"sent": sent(4, 3599)}, {"sent": sent(5, 3599)}),
    Case(
        "max_symbol_entries_per_hour",
        {"sent": sent(1, 3599, SYMBOL)},
        {"sent": sent(2, 3599, SYMBOL)},
    ),
]


def entry_refusal(changes: dict[str, Any], rules: tuple[Rule[EntryFacts], ...]) -> str | None:
    """The rule that refuses an entry under these facts, through the engine itself."""
    facts = replace(FACTS, **changes)
    reservations = ReservationBook()
    for number, (symbol, notional) in enumerate(facts.reserved.items()):
        reservations.restore(f"r{number}", Reservation(symbol, notional))
    limits = RiskLimits(CONFIG, reservations, rules=rules)
    limits.restore_sent(facts.sent)
    before = reservations.total
    try:
        limits.reserve(
            "o",
            facts.order,
            account=lambda: facts.account,
            market=facts.market,
            history=facts.history,
            now_ms=facts.now_ms,
        )
    except RiskLimitError as error:
        refusal = error
    else:
        refusal = None
    if refusal is not None:
        assert refusal.limit
        assert refusal.value
        assert reservations.total == before
        assert limits.approvals.totals == (0, 0)
        return refusal.rule
    assert reservations.total == before + facts.order.notional
    return None


@pytest.mark.parametrize("case", ENTRY_CASES, ids=str)
def test_an_entry_passes_at_the_limit_and_is_refused_one_step_beyond(case: Case) -> None:
    assert entry_refusal(case.at, ENTRY_RULES) is None
    assert entry_refusal(case.beyond, ENTRY_RULES) == case.rule


@pytest.mark.parametrize("case", ENTRY_CASES, ids=str)
def test_an_entry_rule_that_is_taken_out_is_missed(case: Case) -> None:
    """The mutant of the check above: without its rule, what lies beyond is not refused by it."""
    assert entry_refusal(case.beyond, without(ENTRY_RULES, case.rule)) != case.rule


def test_every_entry_rule_is_tried() -> None:
    names = [rule.name for rule in ENTRY_RULES]
    assert {case.rule for case in ENTRY_CASES} == set(names)
    assert len(names) == len(set(names)) >= 10
