"""Limits under threads: what one order reserved, no other can spend."""

from __future__ import annotations

import threading
import time
from decimal import Decimal

import pytest
from calm_market import UNHURRIED, market
from hypothesis import given
from hypothesis import strategies as st

from trading.errors import RiskLimitError
from trading.risk.entry_facts import AccountView, EntryOrder, TradeHistory
from trading.risk.limits import RiskLimits
from trading.risk.reservations import Reservation, ReservationBook
from trading.risk.risk_config import RiskConfig

SHARE_OF_LIMIT = Decimal("0.6")
ROUNDS = 200


def account(**changes: Decimal | dict[str, Decimal]) -> AccountView:
    values: dict[str, object] = {
        "equity": Decimal(10_000),
        "cash": Decimal(10_000),
        "day_start_equity": Decimal(10_000),
        "open_notional": {},
    }
    return AccountView(**{**values, **changes})  # type: ignore[arg-type]


def reserve(
    limits: RiskLimits,
    order_id: str,
    symbol: str,
    notional: Decimal,
    view: AccountView | None = None,
    now_ms: int = 0,
) -> None:
    """An entry of ``notional`` that rests in a calm market with a book."""
    order = EntryOrder(symbol, notional, Decimal(1), Decimal(1), takes_liquidity=False)
    limits.reserve(
        order_id,
        order,
        account=lambda: view or account(),
        market=market(symbol),
        history=TradeHistory(),
        now_ms=now_ms,
    )


def config(**changes: object) -> RiskConfig:
    values = {
        "max_position_pct": 100,
        "max_portfolio_exposure_pct": 50,
        "max_orders_per_minute": 99,
        **UNHURRIED,
    }
    return RiskConfig(**{**values, **changes})  # type: ignore[arg-type]


class CheckThenAct(RiskLimits):
    """The mutant: checks first and books afterwards."""

    def reserve(self, order_id, order, *, account, market, history, now_ms):  # type: ignore[no-untyped-def]
        self.check(order, account(), market, history, now_ms)
        time.sleep(0)
        self._reservations.restore(order_id, Reservation(order.symbol, order.notional))


def passes_at_once(kind: type[RiskLimits], orders: int = 8) -> int:
    """How many of ``orders`` orders at 60 % of the exposure limit pass when sent at once."""
    limits = kind(config(), ReservationBook())
    notional = Decimal(10_000) / 2 * SHARE_OF_LIMIT
    barrier = threading.Barrier(orders)
    passed: list[int] = []

    def send(number: int) -> None:
        barrier.wait()
        try:
            reserve(limits, f"o{number}", f"C{number}USDT", notional)
        except RiskLimitError:
            return
        passed.append(number)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(orders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(passed)


def test_of_eight_orders_at_sixty_percent_of_a_limit_exactly_one_passes() -> None:
    assert {passes_at_once(RiskLimits) for _ in range(ROUNDS)} == {1}


def test_check_then_act_lets_two_pass() -> None:
    assert max(passes_at_once(CheckThenAct) for _ in range(ROUNDS)) > 1


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4_000)), max_size=30))
def test_exposure_never_exceeds_its_limit(orders: list[tuple[int, int]]) -> None:
    book = ReservationBook()
    limits = RiskLimits(config(max_concurrent_positions=100), book)
    for number, (symbol, notional) in enumerate(orders):
        try:
            reserve(limits, str(number), f"C{symbol}USDT", Decimal(notional))
        except RiskLimitError:
            continue
        if number % 3 == 0:
            book.release(str(number))
    assert book.total <= 5_000
    assert book.total == sum(book.by_symbol().values())


@pytest.mark.parametrize(
    ("view", "settings", "rule"),
    [
        ({"equity": Decimal(9_400)}, {}, "max_daily_loss_pct"),
        ({"open_notional": {"AAAUSDT": Decimal(1)}}, {}, "one_position_per_symbol"),
        (
            {"open_notional": {"BBBUSDT": Decimal(1)}},
            {"max_concurrent_positions": 1},
            "max_concurrent_positions",
        ),
        ({}, {"max_position_pct": 9}, "max_position_pct"),
        ({"open_notional": {"BBBUSDT": Decimal(4_500)}}, {}, "max_portfolio_exposure_pct"),
        ({"cash": Decimal(999)}, {}, "cash"),
    ],
)
def test_each_limit_refuses_with_rule_limit_and_value(
    view: dict[str, Decimal | dict[str, Decimal]], settings: dict[str, object], rule: str
) -> None:
    limits = RiskLimits(config(**settings), ReservationBook())
    with pytest.raises(RiskLimitError) as refusal:
        reserve(limits, "o", "AAAUSDT", Decimal(1_000), account(**view))
    assert refusal.value.rule == rule
    assert refusal.value.limit
    assert refusal.value.value


def test_entries_are_limited_in_any_sixty_seconds() -> None:
    book = ReservationBook()
    limits = RiskLimits(config(max_orders_per_minute=2), book)
    for number, now_ms in enumerate((0, 30_000)):
        reserve(limits, str(number), "AAAUSDT", Decimal(1), now_ms=now_ms)
        book.release(str(number))
    with pytest.raises(RiskLimitError, match="max_orders_per_minute"):
        reserve(limits, "2", "AAAUSDT", Decimal(1), now_ms=59_999)
    reserve(limits, "3", "AAAUSDT", Decimal(1), now_ms=60_001)


def test_a_reservation_only_ever_shrinks() -> None:
    book = ReservationBook()
    book.restore("o", Reservation("AAAUSDT", Decimal(100)))
    book.shrink("o", Decimal(40))
    book.shrink("o", Decimal(70))
    assert book.total == 40
    book.shrink("o", Decimal(0))
    assert book.by_symbol() == {}
