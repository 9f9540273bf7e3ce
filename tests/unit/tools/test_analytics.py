"""The arithmetic of the analysis tools."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import analytics
from trading.model.market import Bar, Book, BookLevel


def bars_of(closes: list[float]) -> list[Bar]:
    return [
        Bar("SOLUSDT", index * 60_000, 60_000, close, close, close, close, 1.0)
        for index, close in enumerate(closes)
    ]


def book_of(bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> Book:
    def levels(side: list[tuple[str, str]]) -> tuple[BookLevel, ...]:
        return tuple(BookLevel(price=Decimal(p), quantity=Decimal(q)) for p, q in side)

    return Book(symbol="SOLUSDT", time_ms=0, bids=levels(bids), asks=levels(asks))


def test_beta_and_correlation_of_a_doubled_series_are_two_and_one() -> None:
    reference = [0.1, -0.2, 0.3, 0.0, 0.5, -0.4, 0.2, 0.1, -0.1, 0.3]
    correlation, beta = analytics.correlation_and_beta([2 * r for r in reference], reference)
    assert correlation == pytest.approx(1.0)
    assert beta == pytest.approx(2.0)


def test_too_few_or_flat_returns_give_no_correlation() -> None:
    assert analytics.correlation_and_beta([1.0] * 5, [1.0] * 5) == (None, None)
    assert analytics.correlation_and_beta([1.0] * 20, [0.5] * 20) == (None, None)


def test_a_move_the_market_explains_is_not_isolated() -> None:
    assert analytics.isolated_share(4.0, 4.0, 1.0) == 0.0
    assert analytics.isolated_share(4.0, 2.0, 1.0) == pytest.approx(0.5)
    assert analytics.isolated_share(4.0, -2.0, 1.0) == 1.0


def test_buying_walks_the_asks_and_says_when_they_end() -> None:
    book = book_of([("99", "10")], [("101", "1"), ("103", "10")])
    # 101 buys 1, the next 103 buys 1: 204 for 2 is 102 apiece, 2 % above the mid of 100.
    assert analytics.buy_slippage_pct(book, Decimal(204)) == pytest.approx(2.0)
    assert analytics.buy_slippage_pct(book, Decimal(10_000)) is None


def test_minutes_missing_in_one_pair_are_left_out_of_both() -> None:
    own, market = bars_of([100, 101, 102, 103]), bars_of([50, 51, 52, 53])
    own_returns, market_returns = analytics.common_returns_pct(
        own, [bar for bar in market if bar.open_time_ms != 60_000], before_ms=10**9
    )
    assert len(own_returns) == len(market_returns) == 2
    assert own_returns[0] == pytest.approx(2.0)


def test_rsi_is_high_after_gains_only_and_half_when_nothing_moves() -> None:
    assert analytics.relative_strength_index(
        bars_of([100 + i for i in range(20)])
    ) == pytest.approx(100.0)
    assert analytics.relative_strength_index(bars_of([100.0] * 20)) == 50.0
    assert analytics.relative_strength_index(bars_of([100.0] * 5)) is None


@given(
    isolated=st.floats(0, 1),
    volume=st.floats(0, 1e6),
    imbalance=st.floats(-1, 1),
    retraced=st.floats(0, 1),
)
def test_the_pump_likelihood_stays_a_probability(
    isolated: float, volume: float, imbalance: float, retraced: float
) -> None:
    likelihood = analytics.pump_and_dump_likelihood(
        isolated=isolated, volume_multiple=volume, imbalance=imbalance, retraced=retraced
    )
    assert 0.0 <= likelihood <= 1.0
